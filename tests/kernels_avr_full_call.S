; int8_t *full_call(run_function run, const int8_t *in, uint8_t n_layers): calls run with every
; call-saved register full; `full_call_faults` counts those that it changes, and an r1 that isn't 0.
.macro each action
    .irp number, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 28, 29
    \action \number
    .endr
.endm
.macro save number
    push r\number
.endm
.macro fill number
    ldi r18, 0xa0 + \number
    mov r\number, r18
.endm
.macro check number
    ldi r18, 0xa0 + \number
    cpse r\number, r18
    inc r19
.endm
.text
.global full_call
.type full_call, @function
full_call:
    each save
    each fill
    movw r30, r24
    movw r24, r22
    mov r22, r20
    icall
    lds r19, full_call_faults
    each check
    tst r1
    breq 1f
    inc r19
1:  clr r1
    sts full_call_faults, r19
    .irp number, 29, 28, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2
    pop r\number
    .endr
    ret
.size full_call, . - full_call
.section .bss.full_call_faults, "aw", @nobits
.global full_call_faults
full_call_faults:
    .zero 1
