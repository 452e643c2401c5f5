"""What AVR arithmetic does to a register pair and the flags: the manual's formulas in Python.

Source: AVR Instruction Set Manual DS40002198, "Status Register (SREG) and Boolean Formula" of each
instruction. Flags are the bits of SREG: C 0, Z 1, N 2, V 3, S 4, H 5, T 6.
"""

from __future__ import annotations

C, Z, N, V, S, H, T = (1 << bit for bit in range(7))


def _sign(flags: int) -> int:
    """S is N xor V."""
    return flags | (S if bool(flags & N) != bool(flags & V) else 0)


def _negative_zero(result: int) -> int:
    return (result >> 7) * N | (result == 0) * Z


def add(d: int, r: int, carry: int, flags: int) -> tuple[int, int]:
    """ADD and ADC."""
    result = d + r + carry & 0xFF
    carries = d & r | r & ~result | ~result & d
    overflow = d & r & ~result | ~d & ~r & result
    found = flags & T | (carries >> 7 & 1) * C | (carries >> 3 & 1) * H
    found |= (overflow >> 7 & 1) * V | (result >> 7) * N | (result == 0) * Z
    return result, _sign(found)


def subtract(d: int, r: int, carry: int, flags: int, keeps_zero: bool) -> tuple[int, int]:
    """SUB, SUBI, CP, CPI and, with `keeps_zero`, SBC, SBCI, CPC."""
    result = d - r - carry & 0xFF
    borrows = ~d & r | r & result | result & ~d
    overflow = d & ~r & ~result | ~d & r & result
    zero = result == 0 and (not keeps_zero or bool(flags & Z))
    found = flags & T | (borrows >> 7 & 1) * C | (borrows >> 3 & 1) * H
    found |= (overflow >> 7 & 1) * V | (result >> 7) * N | zero * Z
    return result, _sign(found)


def logic(result: int, flags: int) -> tuple[int, int]:
    """AND, OR, EOR and their constants: V is cleared, C and H stay."""
    return result, _sign(flags & (T | H | C) | (result >> 7) * N | (result == 0) * Z)


def shift_right(d: int, top: int, flags: int) -> tuple[int, int]:
    """LSR, ROR, ASR, `top` being the new bit 7: V is N xor C."""
    result = d >> 1 | top << 7
    found = flags & (T | H) | (d & 1) * C | (result >> 7) * N | (result == 0) * Z
    found |= V if bool(found & N) != bool(found & C) else 0
    return result, _sign(found)


def one(name: str, d: int, flags: int) -> tuple[int, int]:
    """Instructions with one register."""
    if name == "com":
        result = ~d & 0xFF
        return result, _sign(flags & (T | H) | C | _negative_zero(result))
    if name == "neg":
        result = -d & 0xFF
        found = flags & T | (result != 0) * C | (result == 0x80) * V
        return result, _sign(found | ((result | d) >> 3 & 1) * H | _negative_zero(result))
    if name in ("inc", "dec"):
        result = d + (1 if name == "inc" else -1) & 0xFF
        overflow = result == (0x80 if name == "inc" else 0x7F)
        return result, _sign(flags & (T | H | C) | overflow * V | _negative_zero(result))
    if name == "swap":
        return (d >> 4 | d << 4) & 0xFF, flags
    top = {"lsr": 0, "ror": flags & C, "asr": d >> 7}[name]
    return shift_right(d, top, flags)


def two(name: str, d: int, r: int, flags: int) -> tuple[int, int]:
    """Instructions with two registers or a register and a constant; CP, CPI and CPC keep `d`."""
    carry = flags & C
    if name in ("add", "adc"):
        return add(d, r, carry if name == "adc" else 0, flags)
    if name in ("sub", "subi", "cp", "cpi"):
        result, found = subtract(d, r, 0, flags, False)
        return (d if name[0] == "c" else result), found
    if name in ("sbc", "sbci", "cpc"):
        result, found = subtract(d, r, carry, flags, True)
        return (d if name == "cpc" else result), found
    operators = {"and": d & r, "or": d | r, "eor": d ^ r}
    return logic(operators[name.removesuffix("i")], flags)


def word(name: str, pair: int, constant: int, flags: int) -> tuple[int, int]:
    """ADIW and SBIW."""
    result = pair + (constant if name == "adiw" else -constant) & 0xFFFF
    rising, falling = result >> 15 & ~(pair >> 15), pair >> 15 & ~(result >> 15)
    overflow, carry = (rising, falling) if name == "adiw" else (falling, rising)
    found = flags & (T | H) | carry * C | overflow * V
    return result, _sign(found | (result >> 15) * N | (result == 0) * Z)


def multiply(name: str, d: int, r: int, flags: int) -> tuple[int, int]:
    """MUL, MULS, MULSU and the fractional ones: C is bit 15 before the shift."""
    first = d - 256 if d > 127 and name not in ("mul", "fmul") else d
    second = r - 256 if r > 127 and name in ("muls", "fmuls") else r
    product = first * second & 0xFFFF
    result = product << 1 & 0xFFFF if name.startswith("f") else product
    return result, flags & ~(C | Z) | (product >> 15) * C | (result == 0) * Z
