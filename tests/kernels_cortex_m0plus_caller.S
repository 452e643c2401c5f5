@ Calls a function with every register that a caller may have in use full, and says in R0 whether
@ they came back (0: they did). R0, R1: arguments, R2: the function; its result goes to [R3].
	.syntax unified
	.cpu cortex-m0plus
	.thumb
	.text
	.global call_full
	.type call_full, %function
call_full:
	push {r3-r7, lr}
	mov r4, r8
	mov r5, r9
	mov r6, r10
	mov r7, r11
	push {r4-r7}
	ldr r4, =0x11111111
	ldr r5, =0x22222222
	ldr r6, =0x33333333
	ldr r7, =0x44444444
	mov r8, r5
	mov r9, r6
	mov r10, r7
	mov r11, r4
	mov r12, r4
	blx r2
	ldr r3, [sp, #16]
	str r0, [r3]
	ldr r0, =0x11111111
	subs r4, r4, r0
	mov r1, r11
	subs r1, r1, r0
	orrs r4, r1
	ldr r0, =0x22222222
	subs r5, r5, r0
	orrs r4, r5
	mov r1, r8
	subs r1, r1, r0
	orrs r4, r1
	ldr r0, =0x33333333
	subs r6, r6, r0
	orrs r4, r6
	mov r1, r9
	subs r1, r1, r0
	orrs r4, r1
	ldr r0, =0x44444444
	subs r7, r7, r0
	orrs r4, r7
	mov r1, r10
	subs r1, r1, r0
	orrs r4, r1
	movs r0, r4
	pop {r4-r7}
	mov r8, r4
	mov r9, r5
	mov r10, r6
	mov r11, r7
	pop {r3-r7, pc}
	.ltorg
@ Lets SysTick interrupt every R0 cycles; the handler counts and leaves nothing as it was below SP.
	.global interrupt_often
	.type interrupt_often, %function
interrupt_often:
	ldr r1, =0xe000ed08
	ldr r2, =vectors
	str r2, [r1]
	ldr r1, =0xe000e010
	str r0, [r1, #4]
	str r0, [r1, #8]
	movs r0, #7
	str r0, [r1]
	bx lr
	.type handler, %function
handler:
	ldr r0, =ticks
	ldr r1, [r0]
	adds r1, #1
	str r1, [r0]
	ldr r0, =0xdeadbeef
	movs r1, r0
	movs r2, r0
	movs r3, r0
	mov r12, r0
	push {r0-r3}
	push {r0-r3}
	add sp, #32
	bx lr
	.ltorg
	.balign 256
vectors:
	.word 0x20100000
	.rept 15
	.word handler
	.endr
	.bss
	.global ticks
	.balign 4
ticks:
	.space 4
