"""Values and flags of random instructions on the simulated ATmega328P against the manual."""

from __future__ import annotations

import random
from pathlib import Path

import avr_arithmetic as manual
import pytest
from sim_avr_program import compile_avr

from miniml.sim.avr.batch import run_batch

TWO = ["add", "adc", "sub", "sbc", "and", "or", "eor", "cp", "cpc"]
CONSTANT = ["subi", "sbci", "andi", "ori", "cpi"]
ONE = ["com", "neg", "inc", "dec", "lsr", "ror", "asr", "swap"]
MULTIPLY = ["mul", "muls", "mulsu", "fmul", "fmuls", "fmulsu"]
WORD = ["adiw", "sbiw"]
EDGES = [0, 1, 0x0F, 0x10, 0x7F, 0x80, 0x81, 0xFF]
STEPS = 600  # three bytes of SRAM each


def make_step(source: random.Random) -> tuple[list[str], tuple[int, int]]:
    """A random instruction and what it must leave: a 16-bit result and the flags."""
    name = source.choice(TWO + CONSTANT + ONE + MULTIPLY + WORD)
    d, r = (source.choice([*EDGES, source.randrange(256)]) for _ in range(2))
    flags = source.randrange(0x80)
    lines = [f"ldi r22, {flags}", f"ldi r20, {d}", f"ldi r21, {r}", "movw r24, r20"]
    lines += ["clr r0", "clr r1", "out SREG, r22"]
    if name in WORD:
        lines += [f"{name} r24, {r & 63}"]
        expected = manual.word(name, d | r << 8, r & 63, flags)
        where = ("r24", "r25")
    elif name in MULTIPLY:
        lines += [f"{name} r20, r21"]
        expected = manual.multiply(name, d, r, flags)
        where = ("r0", "r1")
    else:
        operand = f", {'r21' if name in TWO else r}" if name not in ONE else ""
        lines += [f"{name} r20{operand}"]
        low, found = manual.one(name, d, flags) if name in ONE else manual.two(name, d, r, flags)
        expected = (low | r << 8, found)
        where = ("r20", "r21")
    lines += ["in r23, SREG", f"st X+, {where[0]}", f"st X+, {where[1]}", "st X+, r23"]
    return lines, expected


@pytest.mark.parametrize("seed", range(8))
def test_random_instructions(tmp_path: Path, seed: int) -> None:
    source = random.Random(seed)
    steps = [make_step(source) for _ in range(STEPS)]
    lines = ["ldi r26, 0", "ldi r27, 1", *(line for step in steps for line in step[0]), "halt"]
    result = run_batch(compile_avr("\n".join(lines) + "\n", tmp_path / "a.elf"), cycles=100_000)
    assert result.end == "sleep"
    for index, (code, (value, flags)) in enumerate(steps):
        low, high, found = result.sram[3 * index : 3 * index + 3]
        assert (low | high << 8, found) == (value, flags), code
