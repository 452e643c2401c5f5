"""Cycles of AVR instructions on the simulated ATmega328P, measured between two marks.

Source of every figure: AVR Instruction Set Manual DS40002198, the instruction's own cycle table,
column AVRe (the same figures as "#Clocks" in the ATmega328P data sheet DS40002061B, chapter
"Instruction Set Summary"). Of `name: setup | code | cycles`, only `code` is measured.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from sim_avr_program import compile_avr

from miniml.sim.avr.batch import BatchResult, run_batch

ROWS = """
NOP: | nop | 1
ADD, ADC, SUB, SBC: | add r0, r1; adc r0, r1; sub r0, r1; sbc r0, r1 | 4
SUBI, SBCI, ANDI, ORI: | subi r20, 1; sbci r20, 2; andi r20, 3; ori r20, 4 | 4
AND, OR, EOR: | and r0, r1; or r0, r1; eor r0, r1 | 3
COM, NEG, INC, DEC: | com r0; neg r0; inc r0; dec r0 | 4
LSR, ROR, ASR, SWAP: | lsr r0; ror r0; asr r0; swap r0 | 4
CP, CPC, CPI: | cp r0, r1; cpc r0, r1; cpi r20, 5 | 3
BST, BLD, SEC, CLC: | bst r0, 1; bld r0, 2; sec; clc | 4
MOV, MOVW, LDI: | mov r0, r1; movw r2, r4; ldi r20, 6 | 3
ADIW: | adiw r24, 1 | 2
SBIW: | sbiw r24, 1 | 2
MUL: | mul r20, r21 | 2
MULS: | muls r20, r21 | 2
MULSU: | mulsu r20, r21 | 2
FMUL: | fmul r20, r21 | 2
FMULS: | fmuls r20, r21 | 2
FMULSU: | fmulsu r20, r21 | 2
LD X: ldi r26, 0; ldi r27, 3 | ld r0, X | 2
LD X+: ldi r26, 0; ldi r27, 3 | ld r0, X+ | 2
LD -X: ldi r26, 8; ldi r27, 3 | ld r0, -X | 2
LD Y+: ldi r28, 0; ldi r29, 3 | ld r0, Y+ | 2
LDD Y+q: ldi r28, 0; ldi r29, 3 | ldd r0, Y+5 | 2
LD -Z: ldi r30, 8; ldi r31, 3 | ld r0, -Z | 2
LDD Z+q: ldi r30, 0; ldi r31, 3 | ldd r0, Z+5 | 2
LDS: | lds r0, 0x300 | 2
ST X+: ldi r26, 0; ldi r27, 3 | st X+, r0 | 2
ST -Y: ldi r28, 8; ldi r29, 3 | st -Y, r0 | 2
STD Z+q: ldi r30, 0; ldi r31, 3 | std Z+5, r0 | 2
STS: | sts 0x300, r0 | 2
LPM: ldi r30, 0; ldi r31, 0 | lpm | 3
LPM Z: ldi r30, 0; ldi r31, 0 | lpm r4, Z | 3
LPM Z+: ldi r30, 0; ldi r31, 0 | lpm r4, Z+ | 3
PUSH: | push r0 | 2
POP: | pop r0 | 2
IN: | in r0, PORTB | 1
OUT: | out PORTB, r0 | 1
SBI: | sbi PORTB, 5 | 2
CBI: | cbi PORTB, 5 | 2
RJMP: | rjmp 1f; nop; 1: | 2
JMP: | jmp 1f; nop; 1: | 3
IJMP: ldi r30, lo8(gs(1f)); ldi r31, hi8(gs(1f)) | ijmp; nop; 1: | 2
RCALL and RET: | rcall subroutine | 7
CALL and RET: | call subroutine | 8
ICALL and RET: ldi r30, lo8(gs(subroutine)); ldi r31, hi8(gs(subroutine)) | icall | 7
RETI after RCALL: | rcall 1f; cli; rjmp 2f; 1: reti; 2: | 10
BRNE not taken: clr r0 | brne 1f; 1: | 1
BRNE taken: ldi r20, 1; tst r20 | brne 1f; nop; 1: | 2
BRCS taken: sec | brcs 1f; nop; 1: | 2
BRBC not taken: sec | brcc 1f; 1: | 1
CPSE without a skip: ldi r20, 1; ldi r21, 2 | cpse r20, r21; nop | 2
CPSE over one word: ldi r20, 1; ldi r21, 1 | cpse r20, r21; nop | 2
CPSE over two words: ldi r20, 1; ldi r21, 1 | cpse r20, r21; lds r0, 0x300 | 3
SBRC without a skip: ldi r20, 1 | sbrc r20, 0; nop | 2
SBRC over one word: ldi r20, 0 | sbrc r20, 0; nop | 2
SBRS over two words: ldi r20, 1 | sbrs r20, 0; jmp 0 | 3
SBIC over one word: cbi PORTB, 1 | sbic PORTB, 1; nop | 2
SBIC without a skip: sbi PORTB, 1 | sbic PORTB, 1; nop | 2
SBIS over two words: sbi PORTB, 1 | sbis PORTB, 1; sts 0x300, r0 | 3
WDR: | wdr | 1
dot product step LD, LPM, MULS, ADD, ADC: ldi r26, 0; ldi r27, 3; ldi r30, 0; ldi r31, 0 \
    | ld r20, X+; lpm r21, Z+; muls r20, r21; add r2, r0; adc r3, r1 | 9
""".replace("\\\n", "")


def parse_rows() -> list[tuple[str, str, str, int]]:
    rows = []
    for line in ROWS.strip().splitlines():
        name, _, rest = line.partition(":")
        setup, code, cycles = rest.rsplit("|", 2)
        rows.append((name, setup, code, int(cycles)))
    return rows


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> BatchResult:
    """All rows in one program, two marks each."""
    lines = ["rjmp start", "subroutine: ret", "start:"]
    for _, setup, code, _ in parse_rows():
        lines += [*setup.split(";"), "mark", *code.split(";"), "mark"]
    source = "\n".join([*lines, "halt", ""])
    elf = compile_avr(source, tmp_path_factory.mktemp("rows") / "rows.elf")
    result = run_batch(elf, cycles=100_000)
    assert result.end == "sleep"
    assert result.crashed == ""
    return result


@pytest.mark.parametrize("index", range(len(parse_rows())), ids=[row[0] for row in parse_rows()])
def test_cycles(measured: BatchResult, index: int) -> None:
    before, after = measured.marks[2 * index : 2 * index + 2]
    assert after.cycle - before.cycle - 1 == parse_rows()[index][3]


def test_reserved_opcode_is_reported_and_the_program_goes_on(tmp_path: Path) -> None:
    elf = compile_avr("nop\n.word 0x0001\nldi r20, 42\nhalt", tmp_path / "reserved.elf")
    result = run_batch(elf, cycles=1000)
    assert result.end == "sleep"
    assert result.registers[20] == 42
    assert result.crashed.startswith("reserved opcode at pc 0x0002, opcode 0x0001")


def test_access_beyond_the_sram_is_reported_and_the_program_goes_on(tmp_path: Path) -> None:
    elf = compile_avr("ldi r20, 42\nsts 0xffff, r20\nlds r21, 0x1000\nhalt", tmp_path / "wild.elf")
    result = run_batch(elf, cycles=1000)
    assert result.end == "sleep"
    assert result.faults == 2
    assert "beyond the SRAM at pc 0x0002" in result.crashed


def test_erased_flash_runs_through_to_address_zero_again(tmp_path: Path) -> None:
    elf = compile_avr("in r20, GPIOR0\ninc r20\nout GPIOR0, r20", tmp_path / "erased.elf")
    result = run_batch(elf, cycles=100_000)  # 0xFFFF is SBRS r31, 7: one cycle, no skip
    assert len(result.marks) == 100_000 // 16384 + 1
    assert result.marks[1].cycle - result.marks[0].cycle == 16384
