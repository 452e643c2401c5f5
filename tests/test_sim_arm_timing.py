"""Cycles of the simulated ARM cores against Arm's tables, row by row.

Cortex-M4: Arm 100166 (TRM), table 3-1, section 3.3.2 (pairing), table 7-1 (FPU).
Cortex-M0+: Arm DDI 0484C, table 3-1. P is the refill of the pipeline.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from sim_arm_program import assemble

from miniml.sim.arm.core import Stop
from miniml.sim.arm.machine import PARAMETERS, CoreName, Machine

P4 = PARAMETERS["cortex-m4"]["refill"]
P0 = PARAMETERS["cortex-m0plus"]["refill"]
RAM = 0x2000_0100  # R0 to R3 and R7 point here when a row begins; R4 to R6 are 4, 1, 0

# (row of the table, instructions, cycles)
M4_TABLE_3_1 = [
    ("Move: register", "mov r4, r5", 1),
    ("Move: 16-bit immediate", "movw r4, #1234", 1),
    ("Move: immediate into top", "movt r4, #1234", 1),
    ("Move: to PC", "adr r4, 1f; .balign 4; mov pc, r4; .balign 4; 1:", 2 + 1 + P4 - 1),
    ("Add", "add r4, r5, r6", 1),
    ("Add with carry", "adc r4, r5, r6, lsl #3", 1),
    ("Form address", "adr r4, 1f; 1:", 1),
    ("Subtract", "sub r4, r5, #7", 1),
    ("Subtract with borrow", "sbc r4, r5, r6", 1),
    ("Reverse subtract", "rsb r4, r5, r6", 1),
    ("Multiply", "mul r4, r5, r6", 1),
    ("Multiply accumulate", "mla r4, r5, r6, r4", 1),
    ("Multiply subtract", "mls r4, r5, r6, r4", 1),
    ("Long signed", "smull r4, r5, r6, r4", 1),
    ("Long unsigned", "umull r4, r5, r6, r4", 1),
    ("Long signed accumulate", "smlal r4, r5, r6, r4", 1),
    ("Long unsigned accumulate", "umlal r4, r5, r6, r4", 1),
    ("Divide: signed, shortest", "sdiv r6, r5, r4", 2),
    ("Divide: unsigned, longest", "mvn r6, #0; udiv r6, r6, r5", 1 + 12),
    ("Saturate: signed", "ssat r4, #3, r5", 1),
    ("Saturate: unsigned", "usat r4, #3, r5, asr #2", 1),
    ("Compare", "cmp r4, r5", 1),
    ("Compare: negative", "cmn r4, r5", 1),
    ("Logical: AND", "and r4, r5, r6", 1),
    ("Logical: exclusive OR", "eor r4, r5, #1", 1),
    ("Logical: OR NOT", "orn r4, r5, r6", 1),
    ("Logical: bit clear", "bics r4, r5", 1),
    ("Logical: move NOT", "mvns r4, r5", 1),
    ("Logical: AND test", "tst r4, r5", 1),
    ("Logical: exclusive OR test", "teq r4, r5", 1),
    ("Shift: left", "lsls r4, r5, #3", 1),
    ("Shift: right by register", "lsrs r4, r5", 1),
    ("Shift: arithmetic", "asr.w r4, r5, r6", 1),
    ("Rotate", "ror r4, r5, #7", 1),
    ("Rotate: with extension", "rrx r4, r5", 1),
    ("Count leading zeroes", "clz r4, r5", 1),
    ("Load: word", "ldr r4, [r0]", 2),
    ("Load: word, register", "ldr r5, [r0, r4]", 2),
    ("Load: to PC", "ldr pc, =1f + 1; .ltorg; .balign 4; 1:", 2 + P4),
    ("Load: halfword", "ldrh r4, [r0, #2]", 2),
    ("Load: byte", "ldrb r4, [r0, #1]", 2),
    ("Load: signed halfword", "ldrsh r4, [r0, #4]", 2),
    ("Load: signed byte", "ldrsb r5, [r0, r4]", 2),
    ("Load: PC relative", "ldr r4, 1f; b 2f; .balign 4; 1: .word 0; 2:", 2 + 1 + P4),
    ("Load: doubleword", "ldrd r4, r5, [r0]", 1 + 2),
    ("Load: multiple", "ldm r0, {r4, r5, r6}", 1 + 3),
    ("Load: multiple, wide", "ldmdb r0, {r4, r5, r6, r8, r9}", 1 + 5),
    ("Store: word, immediate offset", "str r4, [r0, #8]", 1),
    ("Store: word, register offset", "str r5, [r0, r4]", 2),
    ("Store: halfword", "strh r4, [r0, #6]", 1),
    ("Store: byte", "strb r4, [r0, #5]", 1),
    ("Store: doubleword", "strd r4, r5, [r0]", 1 + 2),
    ("Store: multiple", "stm r0, {r4, r5, r6}", 1 + 3),
    ("Push", "push {r4, r5, r6}", 1 + 3),
    ("Push: with link register", "push {r4, lr}", 1 + 2),
    ("Pop", "pop {r4, r5, r6}", 1 + 3),
    (
        "Pop: and return",
        "ldr r4, =1f + 1; push {r4}; pop {pc}; .ltorg; .balign 4; 1:",
        2 + 2 + (1 + 1 + P4),
    ),
    ("Semaphore: load exclusive", "ldrex r4, [r0]", 2),
    ("Semaphore: store exclusive", "strex r4, r5, [r0]", 2),
    ("Semaphore: clear exclusive", "clrex", 1),
    ("Branch: conditional, not taken", "cmp r4, r4; bne 1f; 1:", 1 + 1),
    ("Branch: conditional, taken", "cmp r4, r4; beq 1f; nop; 1:", 1 + 1 + P4),
    ("Branch: unconditional", "b 1f; 1:", 1 + P4),
    ("Branch: with link", "bl 1f; 1:", 1 + P4),
    ("Branch: with exchange", "ldr r4, =1f + 1; nop; bx r4; .ltorg; .balign 4; 1:", 2 + 1 + 1 + P4),
    (
        "Branch: with link and exchange",
        "ldr r4, =1f + 1; nop; blx r4; .ltorg; .balign 4; 1:",
        2 + 1 + 1 + P4,
    ),
    ("Branch: if zero, taken", "cbz r6, 1f; nop; 1:", 1 + P4),
    ("Branch: if zero, not taken", "cbz r4, 1f; 1:", 1),
    ("Branch: byte table", "tbb [pc, r6]; .byte 1, 0; 1:", 2 + P4),
    ("Branch: halfword table", "tbh [pc, r6, lsl #1]; .hword 1; 1:", 2 + P4),
    ("State change: if-then", "cmp r4, r4; ite eq; moveq r5, #1; movne r5, #2", 1 + 1 + 2),
    ("State change: disable interrupts", "cpsid i", 1),
    ("State change: read special register", "mrs r4, apsr", 1),
    ("State change: write special register", "msr apsr_nzcvq, r4", 1),
    ("Extend: signed", "sxth r4, r5", 1),
    ("Extend: unsigned", "uxtb.w r4, r5, ror #8", 1),
    ("Bit field: extract", "ubfx r4, r5, #3, #4", 1),
    ("Bit field: insert", "bfi r4, r5, #3, #4", 1),
    ("Reverse", "rev r4, r5", 1),
    ("Reverse: bits", "rbit r4, r5", 1),
    ("Hint: send event", "sev", 1),
    ("Hint: no operation", "nop", 1),
    ("Barriers: instruction synchronisation", "isb", 1 + P4),
    ("Barriers: data memory", "dmb", 1),
    ("Barriers: data synchronisation", "dsb", 1),
    # table 3-2: DSP
    ("Parallel add", "sadd8 r4, r5, r6", 1),
    ("Parallel saturating subtract", "uqsub16 r4, r5, r6", 1),
    ("Pack halfword", "pkhbt r4, r5, r6, lsl #4", 1),
    ("Extend and add", "sxtab16 r4, r5, r6", 1),
    ("Saturating add", "qadd r4, r5, r6", 1),
    ("Dual multiply accumulate", "smlad r4, r5, r6, r4", 1),
    ("Dual multiply accumulate long", "smlald r4, r5, r6, r5", 1),
    ("Multiply accumulate halfwords", "smlabb r4, r5, r6, r4", 1),
    ("Multiply accumulate word by halfword", "smlawt r4, r5, r6, r4", 1),
    ("Most significant word multiply", "smmlar r4, r5, r6, r4", 1),
    ("Sum of absolute differences", "usada8 r4, r5, r6, r4", 1),
    ("Select", "sel r4, r5, r6", 1),
    ("Long accumulate twice", "umaal r4, r5, r6, r4", 1),
]
M4_SECTION_3_3_2 = [
    ("LDR; LDR", "ldr r4, [r1]; ldr r5, [r2]", 3),
    ("LDR; STR, immediate", "ldr r4, [r1]; str r4, [r3, #20]", 3),
    ("LDR; STR, register", "ldr r5, [r1]; str r6, [r3, r4]", 3),
    ("three LDR", "ldr r4, [r1]; ldr r5, [r2]; ldr r6, [r3, #4]", 4),
    (
        "address from the load before",
        "ldr r4, =0x20000100; nop; ldr r5, [r1]; str r4, [r2]; ldr r4, [r2]; ldr r5, [r4]",
        2 + 1 + 2 + 1 + 2 + 2,
    ),
    ("nothing overlaps a store", "str r4, [r1]; ldr r5, [r2]", 1 + 2),
    ("LDRD overlaps nothing", "ldrd r4, r5, [r1]; ldr r6, [r2]", 3 + 2),
    ("LDM overlaps nothing", "ldr r4, [r1]; ldm r2, {r5, r6}", 2 + 3),
    ("halfword at an odd address", "ldrh r4, [r0, #1]", 2 + 1),
    ("word at an address of a halfword", "ldr.w r4, [r0, #2]", 2 + 1),
    ("word at an odd address", "ldr.w r4, [r0, #1]", 2 + 2),
    ("word stored at an odd address", "str.w r4, [r0, #3]", 1 + 2),
    ("post-index is aligned", "ldr r4, [r0], #3", 2),
    ("pre-index is not", "ldr r4, [r0, #-3]!", 2 + 2),
    ("register offset", "ldr r4, [r0, r5]", 2 + 2),
    ("shifted register offset", "ldrh r4, [r0, r5, lsl #1]", 2),
]
M4_TABLE_7_1 = [
    ("VABS", "vabs.f32 s0, s1", 1),
    ("VADD", "vadd.f32 s0, s1, s2", 1),
    ("VCMP", "vcmp.f32 s1, s2", 1),
    ("VCVT", "vcvt.s32.f32 s0, s1", 1),
    ("VCVT fixed", "vcvt.f32.s32 s0, s0, #3", 1),
    ("VDIV", "vdiv.f32 s0, s1, s2", 14),
    ("VLDM", "vldm r0, {s4-s7}", 1 + 4),
    ("VLDM of doubles", "vldm r0, {d2-d3}", 1 + 2 * 2),
    ("VLDR", "vldr s0, [r0]", 2),
    ("VLDR of a constant", "vldr s0, 1f; b 2f; .balign 4; 1: .word 0; 2:", 2 + 1 + P4),
    (
        "VLDR of a constant, odd halfword",
        "nop; vldr s0, 1f; b 2f; .balign 4; 1: .word 0; 2:",
        1 + 2 + 1 + P4,
    ),
    ("VLDR of a double", "vldr d0, [r0]", 3),
    ("VMLA", "vmla.f32 s0, s1, s2", 3),
    ("VMLS", "vmls.f32 s0, s1, s2", 3),
    ("VMOV immediate", "vmov.f32 s0, #1.0", 1),
    ("VMOV register", "vmov.f32 s0, s1", 1),
    ("VMOV to one core register", "vmov r4, s1", 1),
    ("VMOV from one core register", "vmov s1, r4", 1),
    ("VMOV of two core registers", "vmov s2, s3, r4, r5", 2),
    ("VMRS", "vmrs r4, fpscr", 1),
    ("VMSR", "vmsr fpscr, r6", 1),
    ("VMUL", "vmul.f32 s0, s1, s2", 1),
    ("VNEG", "vneg.f32 s0, s1", 1),
    ("VNMLA", "vnmla.f32 s0, s1, s2", 3),
    ("VNMUL", "vnmul.f32 s0, s1, s2", 1),
    ("VPOP", "vpop {s0-s2}", 1 + 3),
    ("VPUSH", "vpush {s0-s2}", 1 + 3),
    ("VSQRT", "vsqrt.f32 s0, s1", 14),
    ("VSTM", "vstm r0, {s4-s7}", 1 + 4),
    ("VSTR", "vstr s0, [r0]", 2),
    ("VSTR of a double", "vstr d0, [r0]", 3),
    ("VSUB", "vsub.f32 s0, s1, s2", 1),
    ("VFMA", "vfma.f32 s0, s1, s2", 3),
    ("VFNMS", "vfnms.f32 s0, s1, s2", 3),
    ("result used at once", "vadd.f32 s0, s1, s2; vmul.f32 s3, s0, s1", 1 + 1 + 1),
    ("result used later", "vadd.f32 s0, s1, s2; nop; vmul.f32 s3, s0, s1", 3),
    ("addend is read a cycle later", "vmul.f32 s0, s1, s2; vmla.f32 s0, s3, s4", 1 + 3),
    ("result stored at once", "vadd.f32 s0, s1, s2; vstr s0, [r0]", 1 + 1 + 2),
    ("result moved at once", "vadd.f32 s0, s1, s2; vmov r4, s0", 1 + 1 + 1),
]
M0_TABLE_3_1 = [
    ("Move: 8-bit immediate", "movs r4, #1", 1),
    ("Move: lo to lo", "movs r4, r5", 1),
    ("Move: any to any", "mov r8, r4", 1),
    ("Move: any to PC", "adr r4, 1f; mov pc, r4; .balign 4; 1:", 1 + 1 + P0),
    ("Add: 3-bit immediate", "adds r4, r5, #1", 1),
    ("Add: all registers lo", "adds r4, r5, r6", 1),
    ("Add: any to any", "add r4, r8", 1),
    ("Add: 8-bit immediate", "adds r4, #100", 1),
    ("Add: with carry", "adcs r4, r5", 1),
    ("Add: immediate to SP", "add sp, #8", 1),
    ("Add: form address from SP", "add r4, sp, #8", 1),
    ("Add: form address from PC", "adr r4, 1f; .balign 4; 1:", 1),
    ("Subtract: lo and lo", "subs r4, r5, r6", 1),
    ("Subtract: with carry", "sbcs r4, r5", 1),
    ("Subtract: immediate from SP", "sub sp, #8", 1),
    ("Subtract: negate", "rsbs r4, r5, #0", 1),
    ("Multiply", "muls r4, r5, r4", 1),
    ("Compare", "cmp r4, r5", 1),
    ("Compare: negative", "cmn r4, r5", 1),
    ("Compare: immediate", "cmp r4, #3", 1),
    ("Logical: AND", "ands r4, r5", 1),
    ("Logical: exclusive OR", "eors r4, r5", 1),
    ("Logical: OR", "orrs r4, r5", 1),
    ("Logical: bit clear", "bics r4, r5", 1),
    ("Logical: move NOT", "mvns r4, r5", 1),
    ("Logical: AND test", "tst r4, r5", 1),
    ("Shift: left by immediate", "lsls r4, r5, #3", 1),
    ("Shift: left by register", "lsls r4, r5", 1),
    ("Shift: right arithmetic", "asrs r4, r5, #3", 1),
    ("Rotate", "rors r4, r5", 1),
    ("Load: word, immediate offset", "ldr r4, [r0, #4]", 2),
    ("Load: halfword, immediate offset", "ldrh r4, [r0, #4]", 2),
    ("Load: byte, immediate offset", "ldrb r4, [r0, #4]", 2),
    ("Load: word, register offset", "ldr r5, [r0, r4]", 2),
    ("Load: signed byte", "ldrsb r5, [r0, r4]", 2),
    ("Load: PC relative", "ldr r4, =0x12345678", 2),
    ("Load: SP relative", "ldr r4, [sp, #4]", 2),
    ("Load: multiple", "ldm r0!, {r4, r5, r6}", 1 + 3),
    ("Load: single-cycle I/O port", "ldr r4, [r2]", 1),
    ("Store: word, immediate offset", "str r4, [r0, #4]", 2),
    ("Store: halfword", "strh r4, [r0, #4]", 2),
    ("Store: byte, register offset", "strb r5, [r0, r4]", 2),
    ("Store: SP relative", "str r4, [sp, #4]", 2),
    ("Store: multiple", "stm r0!, {r4, r5, r6}", 1 + 3),
    ("Store: single-cycle I/O port", "str r4, [r2, #16]", 1),
    ("Push", "push {r4, r5, r6}", 1 + 3),
    ("Push: with link register", "push {r4, lr}", 1 + 2),
    ("Pop", "pop {r4, r5, r6}", 1 + 3),
    ("Pop: and return", "ldr r4, =1f + 1; push {r4}; pop {pc}; .balign 4; 1:", 2 + 2 + 3 + 1),
    ("Branch: conditional, not taken", "cmp r4, r4; bne 1f; 1:", 1 + 1),
    ("Branch: conditional, taken", "cmp r4, r4; beq 1f; nop; 1:", 1 + 2),
    ("Branch: unconditional", "b 1f; 1:", 2),
    ("Branch: with link", "bl 1f; 1:", 3),
    ("Branch: with exchange", "ldr r4, =1f + 1; bx r4; .balign 4; 1:", 2 + 2),
    ("Branch: with link and exchange", "ldr r4, =1f + 1; blx r4; .balign 4; 1:", 2 + 2),
    ("Extend", "sxth r4, r5", 1),
    ("Reverse", "rev r4, r5", 1),
    ("State change: CPSID", "cpsid i", 1),
    ("State change: read special register", "mrs r4, apsr", 3),
    ("State change: write special register", "msr apsr_nzcvq, r4", 3),
    ("Hint: send event", "sev", 1),
    ("Hint: no operation", "nop", 1),
    ("Barriers: instruction synchronisation", "isb", 3),
    ("Barriers: data memory", "dmb", 3),
    ("Barriers: data synchronisation", "dsb", 3),
]
TABLES: dict[CoreName, list[tuple[str, str, int]]] = {
    "cortex-m4": [*M4_TABLE_3_1, *M4_SECTION_3_3_2, *M4_TABLE_7_1],
    "cortex-m0plus": M0_TABLE_3_1,
}


def cycles_of_rows(core: CoreName, folder: Path, **parameters: int) -> list[int]:
    """Cycles of each row's instructions, between two NOPs that are taken off."""
    text = []
    for number, (_, instructions, _) in enumerate(TABLES[core]):
        body = "\n".join(part.strip() for part in instructions.split(";"))
        text.append(f".balign 4\nrow{number}:\nnop\n{body}\nnop\nbkpt #0\n.balign 4\n.ltorg")
    elf = assemble(folder, core, "\n".join(text))
    results = []
    with_io = [(0xD000_0000, 0x1000)]
    machine = Machine.bare(core, parameters, windows=with_io)
    machine.load_elf(elf)
    for number, (name, _, _) in enumerate(TABLES[core]):
        for register, value in enumerate([RAM, RAM, RAM, RAM, 4, 1, 0, RAM]):
            machine.set_register(register, value)
        if core == "cortex-m0plus":
            machine.set_register(2, 0xD000_0000)
        machine.set_register(13, 0x2000_4000)
        machine.set_register(15, machine.symbols[f"row{number}"])
        before = machine.core.cycles
        assert machine.run(instructions=100) == Stop.BREAKPOINT, name
        results.append(machine.core.cycles - before - 2)
    return results


@pytest.mark.parametrize("core", list(TABLES))
def test_each_row_of_arms_tables(core: CoreName, tmp_path: Path) -> None:
    measured = cycles_of_rows(core, tmp_path)
    wrong = [
        f"{name}: {cycles} instead of {expected}"
        for (name, _, expected), cycles in zip(TABLES[core], measured, strict=True)
        if cycles != expected
    ]
    assert wrong == []
    assert len(measured) >= 60
