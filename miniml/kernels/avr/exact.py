"""The portable last resort: requantization with 64 bits, for every row that the contract allows.

A subroutine that takes what a record in flash says. It takes the same cycles whatever the
accumulator is; how many depends on the row's shift alone.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

from miniml.kernels.avr.code import TAKEN, Code
from miniml.kernels.avr.rows import Row

RECORD_BYTES = 10
_A = (22, 23, 24, 25)  # accumulator
_M = (18, 19, 20, 21)  # 2 * multiplier
_P = (2, 3, 4, 5, 6, 7, 8, 9)  # product; its upper half is z, then |z|
_ZERO, _COUNT, _SIGN = 10, 16, 17
RESULT = 24
_TO_RIGHT = ("lsr", "ror", "ror", "ror")


def record(row: Row, delta: int) -> list[int]:
    """Bytes in flash: what to add to the sum, 2 * multiplier, left shift, right shift - 1."""
    right = max(-row.shift, 0)
    words = [delta, 2 * row.multiplier]
    content = [word >> 8 * position & 255 for word in words for position in range(4)]
    return [*content, max(row.shift, 0), right - 1 & 255]


def shift_cycles(row: Row) -> int:
    """Cycles that the row's shifts take on top of Routine.cycles."""
    left, right = max(row.shift, 0), max(-row.shift, 0)
    if right == 0:
        return 8 * left - 2  # past both loops, by way of one step to the left
    return 8 * (left + sum(divmod(right - 1, 8)))


@cache
def routine(label: str, wide: bool) -> Code:
    """From X: a sum of 24 bits in 4 bytes (or, wide, of 32), from Z: a record. Result in r24.

    X and Z move on to the next row. The cycles include RET, but not `shift_cycles`.
    """
    code = Code()
    code.label(label)
    code.comment("accumulator = sum + what the record says")
    code.op(*(f"ld r{register}, X+" for register in _A))
    code.op(*(f"lpm r{register}, Z+" for register in _M))
    for position, (a, m) in enumerate(zip(_A, _M, strict=True)):
        code.op(f"{'adc' if position else 'add'} r{a}, r{m}")
    if not wide:
        code.comment("sign of bit 23")
        code.op("mov r25, r24", "lsl r25", "sbc r25, r25")
    code.op(*(f"lpm r{register}, Z+" for register in _M))
    code.comment("left shift: 8 cycles a bit")
    code.op(f"lpm r{_COUNT}, Z+")
    code.label("1")
    code.op(f"dec r{_COUNT}", "brmi 2f")
    code.cycles += TAKEN
    _shift_loop(code, "lsl rol rol rol", _A)
    code.label("2")
    _product(code)
    _round_and_sign(code)
    _right_shift(code)
    _saturate(code)
    code.op("ret")
    return code


def _shift_loop(code: Code, names: str, registers: tuple[int, ...]) -> None:
    """The part of a loop that runs once a bit: 8 cycles with its head, counted by row."""
    body = Code()
    body.op(*(f"{name} r{r}" for name, r in zip(names.split(), registers, strict=True)))
    body.op("rjmp 1b")
    code.repeat(body, 0)


def _product(code: Code) -> None:
    """p = accumulator (unsigned) * 2 M, 64 bits."""
    code.comment("64-bit product; the accumulator as if unsigned")
    code.op(f"clr r{_ZERO}")
    code.op(*(f"clr r{register}" for register in _P))
    # By rising weight, a carry never leaves the third byte: that one holds only carries so far.
    for i, j in sorted(((i, j) for i in range(4) for j in range(4)), key=sum):
        k = i + j
        code.op(f"mul r{_A[i]}, r{_M[j]}", f"add r{_P[k]}, r0", f"adc r{_P[k + 1]}, r1")
        if k + 2 < 8:
            code.op(f"adc r{_P[k + 2]}, r{_ZERO}")


def _round_and_sign(code: Code) -> None:
    """z = (p - 2^32 * 2 M if the accumulator is negative + 2^31) >> 32; then |z| and its sign."""
    z = _P[4:]
    code.comment("less 2 M * 2^32 if the accumulator is negative")
    code.op(f"lsl r{_A[3]}", f"sbc r{_SIGN}, r{_SIGN}")
    code.op(*(f"and r{register}, r{_SIGN}" for register in _M))
    for position, (p, m) in enumerate(zip(z, _M, strict=True)):
        code.op(f"{'sbc' if position else 'sub'} r{p}, r{m}")
    code.comment("first rounding: half of 2^32 up")
    code.op(f"lsl r{_P[3]}", *(f"adc r{p}, r{_ZERO}" for p in z))
    code.comment("magnitude and sign")
    code.op(f"mov r{_SIGN}, r{z[3]}", f"lsl r{_SIGN}", f"sbc r{_SIGN}, r{_SIGN}")
    code.op(*(f"eor r{p}, r{_SIGN}" for p in z))
    for position, p in enumerate(z):
        code.op(f"{'sbc' if position else 'sub'} r{p}, r{_SIGN}")


def _right_shift(code: Code) -> None:
    """|z| = ((|z| >> (n - 1)) + 1) >> 1, ties away from zero; n = 0 doubles |z| < 2^31 before."""
    z = _P[4:]
    code.comment("second rounding: ties away from zero; 8 cycles a byte, 8 a bit")
    code.op(f"lpm r{_COUNT}, Z+", f"tst r{_COUNT}", "brmi 3f")
    code.label("2")
    code.op(f"subi r{_COUNT}, 8", "brmi 2f")
    code.cycles += TAKEN
    body = Code()
    code_moves = [f"mov r{low}, r{high}" for low, high in pairwise(z)]
    body.op(*code_moves, f"clr r{z[3]}", "rjmp 2b")
    code.repeat(body, 0)
    code.label("2")
    code.op(f"subi r{_COUNT}, {-8 & 255}")
    code.label("1")
    code.op(f"dec r{_COUNT}", "brmi 4f")
    code.cycles += TAKEN
    body = Code()
    body.op(*(f"{name} r{p}" for name, p in zip(_TO_RIGHT, z[::-1], strict=True)))
    body.op("rjmp 1b")
    code.repeat(body, 0)
    code.label("3")
    body = Code()
    body.op(*(f"{name} r{p}" for name, p in zip(("lsl", "rol", "rol", "rol"), z, strict=True)))
    code.repeat(body, 0)
    code.label("4")
    code.op("sec", *(f"adc r{p}, r{_ZERO}" for p in z))
    code.op(*(f"{name} r{p}" for name, p in zip(_TO_RIGHT, z[::-1], strict=True)))


def _saturate(code: Code) -> None:
    """[-127, 127]; BRLO over an LDI takes two cycles either way."""
    z = _P[4:]
    code.op(f"mov r{RESULT}, r{z[0]}", f"cpi r{RESULT}, 128")
    code.op(*(f"cpc r{p}, r{_ZERO}" for p in z[1:]))
    code.op("brlo .+2", f"ldi r{RESULT}, 127", f"sbrc r{_SIGN}, 7", f"neg r{RESULT}")
