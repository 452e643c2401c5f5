/* Runs the cases behind `cases` one by one and writes what they left to a file, by
 * semihosting. For QEMU: netduinoplus2 (Cortex-M4) and microbit (Cortex-M0). A case has
 * CASE_BYTES: the instruction, R0-R12 (R8-R12 first on M0), APSR, on M4 FPSCR and S0-S31,
 * then the scratch memory. A result has the same order without the instruction. */
.syntax unified
.thumb
.equ FRAME, SCRATCH - STATE_BYTES

.section .vectors, "a"
.word FRAME - 1024
.word start + 1
.rept 14
.word fault + 1
.endr

.data
name: .asciz "results.bin"
.balign 4
open_block: .word name, 5, 11
write_block: .word 0, FRAME, STATE_BYTES + SCRATCH_BYTES
next: .word cases
left: .word COUNT

.text
.global start
.thumb_func
start:
#ifdef M4
  ldr r0, =0xE000ED88 /* CPACR */
  ldr r1, =0x00F00000
  str r1, [r0]
  dsb
  isb
#endif
  movs r0, #1
  ldr r1, =open_block
  bkpt #0xAB
  ldr r1, =write_block
  str r0, [r1]

run_case:
  ldr r7, =next
  ldr r6, [r7]
  ldr r0, [r6]
  ldr r1, =slot
  str r0, [r1]
  adds r6, #4
  ldr r5, =FRAME
  movs r4, #0
copy:
  ldr r0, [r6, r4]
  str r0, [r5, r4]
  adds r4, #4
  ldr r0, =STATE_BYTES + SCRATCH_BYTES
  cmp r4, r0
  bne copy
  adds r6, r4
  str r6, [r7]
  ldr r0, [r5, #52]
#ifdef M4
  ldr r1, [r5, #56]
  vmsr fpscr, r1
  add r1, r5, #60
  vldm r1, {s0-s31}
  msr apsr_nzcvqg, r0
#else
  msr apsr_nzcvq, r0
#endif
  isb
  mov sp, r5
#ifdef M4
  ldm sp!, {r0-r12}
#else
  pop {r0-r4}
  mov r8, r0
  mov r9, r1
  mov r10, r2
  mov r11, r3
  mov r12, r4
  pop {r0-r7}
#endif
.balign 4
slot:
  .word 0
#ifdef M4
  push {r0-r12}
  mrs r0, apsr
  ldr r5, =FRAME
  str r0, [r5, #52]
  vmrs r0, fpscr
  str r0, [r5, #56]
  add r1, r5, #60
  vstm r1, {s0-s31}
#else
  push {r0-r7}
  mrs r5, apsr
  mov r0, r8
  mov r1, r9
  mov r2, r10
  mov r3, r11
  mov r4, r12
  push {r0-r4}
  mov r0, r5
  ldr r5, =FRAME
  str r0, [r5, #52]
#endif
  ldr r0, =FRAME - 1024
  mov sp, r0
  movs r0, #5
  ldr r1, =write_block
  bkpt #0xAB
  ldr r1, =left
  ldr r0, [r1]
  subs r0, #1
  str r0, [r1]
  beq done
  b run_case

.thumb_func
fault:
done:
  movs r0, #0x18
  ldr r1, =0x20026
  bkpt #0xAB
  b done
.ltorg

.section .cases, "a"
.balign 4
cases:
  .incbin "cases.bin"
