"""Random instructions with random operands for the simulated ARM cores, always the same ones.

A case is one instruction, the registers before it, and 64 bytes that loads and stores
may touch. Everything that the architecture leaves UNPREDICTABLE is kept out.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass

SCRATCH = 0x2000_2000
SCRATCH_BYTES = 64
LOW = range(8)
ANY = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
SPECIAL_WORDS = (0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0x7FFF, 0x8000, 0x80, 0x00FF_FF00)
SPECIAL_FLOATS = (
    0x0000_0000,  # 0
    0x8000_0000,  # -0
    0x3F80_0000,  # 1
    0x7F80_0000,  # infinity
    0xFF80_0000,
    0x7FC0_0000,  # quiet NaN
    0x7F80_0001,  # signalling NaN
    0x0000_0001,  # smallest denormal
    0x007F_FFFF,  # largest denormal
    0x7F7F_FFFF,  # largest
    0x4F00_0000,  # 2**31
    0xCF00_0000,
)


@dataclass(frozen=True)
class Case:
    """One instruction and the state before it.

    Attributes:
        name: of the instruction's group.
        code: 2 or 4 bytes.
        registers: R0 to R12.
        flags: APSR.
        floats: S0 to S31 as words.
        fpscr: FPSCR.
        memory: of SCRATCH.
    """

    name: str
    code: bytes
    registers: tuple[int, ...]
    flags: int
    floats: tuple[int, ...]
    fpscr: int
    memory: bytes


Draw = Callable[[random.Random], int]


def _fields(base: int, **fields: tuple[int, Draw]) -> Draw:
    """An opcode with each field drawn at its bit position."""

    def draw(rng: random.Random) -> int:
        return base | sum(pick(rng) << shift for shift, pick in fields.values())

    return draw


def _register(choice: tuple[int, ...] = ANY) -> Draw:
    return lambda rng: rng.choice(choice)


def _bits(count: int) -> Draw:
    return lambda rng: rng.getrandbits(count)


def _one_of(*values: int) -> Draw:
    return lambda rng: rng.choice(values)


def _three(base: int, **more: tuple[int, Draw]) -> Draw:
    """32-bit: Rn 19:16, Rd 11:8, Rm 3:0."""
    return _fields(base, n=(16, _register()), d=(8, _register()), m=(0, _register()), **more)


def _four(base: int, **more: tuple[int, Draw]) -> Draw:
    """32-bit: as three, and Ra 15:12."""
    return _three(base, a=(12, _register()), **more)


def _long(base: int, **more: tuple[int, Draw]) -> Draw:
    """32-bit: Rn, RdLo, RdHi, Rm with two different results."""

    def draw(rng: random.Random) -> int:
        low, high = rng.sample(ANY, 2)
        extra = sum(pick(rng) << shift for shift, pick in more.values())
        return base | rng.choice(ANY) << 16 | low << 12 | high << 8 | rng.choice(ANY) | extra

    return draw


def _saturate(base: int) -> Draw:
    """SSAT, USAT with a shift; ASR #0 means SSAT16's encoding and is left to that."""

    def draw(rng: random.Random) -> int:
        amount = rng.randrange(1, 32)
        shift = (amount >> 2) << 12 | (amount & 3) << 6
        right = rng.getrandbits(1) << 21
        return (
            base
            | right
            | rng.choice(ANY) << 16
            | rng.choice(ANY) << 8
            | shift
            | (rng.randrange(32))
        )

    return draw


def _bit_field(base: int, insert: bool) -> Draw:
    def draw(rng: random.Random) -> int:
        lsb = rng.randrange(32)
        width = rng.randrange(1, 33 - lsb)
        last = lsb + width - 1 if insert else width - 1
        source = rng.choice(ANY)
        return base | source << 16 | (lsb >> 2) << 12 | rng.choice(ANY) << 8 | (lsb & 3) << 6 | last

    return draw


# Both cores: 16-bit data processing
NARROW: dict[str, Draw] = {
    "shift immediate": lambda rng: rng.randrange(0x0000, 0x1800),
    "add, subtract": lambda rng: rng.randrange(0x1800, 0x2000),
    "8-bit immediate": lambda rng: rng.randrange(0x2000, 0x4000),
    "data processing": lambda rng: rng.randrange(0x4000, 0x4400),
    "high registers": lambda rng: (
        rng.choice((0x4400, 0x4500, 0x4600))
        | rng.choice((8, 9, 10, 11, 12)) << 3
        | (lambda d: (d & 8) << 4 | d & 7)(rng.choice(ANY))
    ),
    "extend": lambda rng: rng.randrange(0xB200, 0xB300),
    "reverse": lambda rng: rng.choice((0xBA00, 0xBA40, 0xBAC0)) | rng.getrandbits(6),
}

# Cortex-M4: by the tables of ARMv7-M ARM, A5.3
_SHIFTED = {"i": (12, _bits(3)), "k": (6, _bits(2)), "t": (4, _bits(2)), "s": (20, _bits(1))}
_IMMEDIATE = {"i": (26, _bits(1)), "k": (12, _bits(3)), "v": (0, _bits(8)), "s": (20, _bits(1))}
WIDE: dict[str, Draw] = {
    "shifted register": _three(
        0xEA00_0000, op=(21, _one_of(0, 1, 2, 3, 4, 8, 10, 11, 13, 14)), **_SHIFTED
    ),
    "move shifted": _fields(0xEA4F_0000, d=(8, _register()), m=(0, _register()), **_SHIFTED),
    "not shifted": _fields(0xEA6F_0000, d=(8, _register()), m=(0, _register()), **_SHIFTED),
    "compare shifted": _fields(
        0xEA10_0F00,
        op=(21, _one_of(0, 4, 8, 13)),
        n=(16, _register()),
        m=(0, _register()),
        i=(12, _bits(3)),
        k=(6, _bits(2)),
        t=(4, _bits(2)),
    ),
    "pack halfword": _three(0xEAC0_0000, i=(12, _bits(3)), k=(6, _bits(2)), t=(5, _bits(1))),
    "immediate": _fields(
        0xF000_0000,
        op=(21, _one_of(0, 1, 2, 3, 4, 8, 10, 11, 13, 14)),
        n=(16, _register()),
        d=(8, _register()),
        **_IMMEDIATE,
    ),
    "move immediate": _fields(0xF04F_0000, d=(8, _register()), **_IMMEDIATE),
    "move 16 bits": _fields(
        0xF240_0000,
        t=(23, _bits(1)),
        i=(26, _bits(1)),
        a=(16, _bits(4)),
        k=(12, _bits(3)),
        d=(8, _register()),
        v=(0, _bits(8)),
    ),
    "add 12 bits": _fields(
        0xF200_0000,
        t=(21, _one_of(0, 5)),
        i=(26, _bits(1)),
        n=(16, _register()),
        k=(12, _bits(3)),
        d=(8, _register()),
        v=(0, _bits(8)),
    ),
    "saturate signed": _saturate(0xF300_0000),
    "saturate unsigned": _saturate(0xF380_0000),
    "saturate halfwords": _fields(
        0xF320_0000, u=(23, _bits(1)), n=(16, _register()), d=(8, _register()), v=(0, _bits(4))
    ),
    "bit field insert": _bit_field(0xF360_0000, insert=True),
    "bit field extract": _bit_field(0xF340_0000, insert=False),
    "bit field extract unsigned": _bit_field(0xF3C0_0000, insert=False),
    "shift by register": _three(0xFA00_F000, op=(21, _bits(2)), s=(20, _bits(1))),
    "extend and add": _fields(
        0xFA00_F080,
        op=(20, _one_of(0, 1, 2, 3, 4, 5)),
        n=(16, _register((*ANY, 15))),
        d=(8, _register()),
        r=(4, _bits(2)),
        m=(0, _register()),
    ),
    "parallel add": _three(
        0xFA80_F000, op=(20, _one_of(0, 1, 2, 4, 5, 6)), kind=(4, _one_of(0, 1, 2, 4, 5, 6))
    ),
    "saturating add": _three(0xFA80_F080, op=(4, _bits(2))),
    "select": _three(0xFAA0_F080),
    "reverse wide": lambda rng: (
        (lambda m: 0xFA90_F080 | m << 16 | m)(rng.choice(ANY))
        | rng.choice(ANY) << 8
        | rng.getrandbits(2) << 4
    ),
    "count zeroes": lambda rng: (
        (lambda m: 0xFAB0_F080 | m << 16 | m)(rng.choice(ANY)) | rng.choice(ANY) << 8
    ),
    "multiply": _three(0xFB00_F000),
    "multiply accumulate": _four(0xFB00_0000, op=(4, _bits(1))),
    "multiply halfwords": _four(0xFB10_0000, xy=(4, _bits(2))),
    "multiply halfwords only": _three(0xFB10_F000, xy=(4, _bits(2))),
    "dual multiply": _four(0xFB20_0000, op=(20, _one_of(0, 2)), x=(4, _bits(1))),
    "dual multiply only": _three(0xFB20_F000, op=(20, _one_of(0, 2)), x=(4, _bits(1))),
    "multiply word by half": _four(0xFB30_0000, y=(4, _bits(1))),
    "multiply word by half only": _three(0xFB30_F000, y=(4, _bits(1))),
    "multiply top": _four(0xFB50_0000, r=(4, _bits(1))),
    "multiply top only": _three(0xFB50_F000, r=(4, _bits(1))),
    "multiply top subtract": _four(0xFB60_0000, r=(4, _bits(1))),
    "sum of differences": _four(0xFB70_0000),
    "long multiply": _long(0xFB80_0000, u=(21, _bits(1))),
    "divide": _three(0xFB90_F0F0, u=(21, _bits(1))),
    "long accumulate": _long(0xFBC0_0000, u=(21, _bits(1))),
    "long halfwords": _long(0xFBC0_0080, xy=(4, _bits(2))),
    "long dual": _long(0xFBC0_00C0, op=(20, _bits(1)), x=(4, _bits(1))),
    "long accumulate twice": _long(0xFBE0_0060),
}

_SD = {"dv": (12, _bits(4)), "dd": (22, _bits(1))}
_SN = {"nv": (16, _bits(4)), "nn": (7, _bits(1))}
_SM = {"mv": (0, _bits(4)), "mm": (5, _bits(1))}
FLOAT: dict[str, Draw] = {
    "VMLA": _fields(0xEE00_0A00, op=(20, _bits(1)), s=(6, _bits(1)), **_SD, **_SN, **_SM),
    "VMUL": _fields(0xEE20_0A00, s=(6, _bits(1)), **_SD, **_SN, **_SM),
    "VADD": _fields(0xEE30_0A00, s=(6, _bits(1)), **_SD, **_SN, **_SM),
    "VDIV": _fields(0xEE80_0A00, **_SD, **_SN, **_SM),
    "VFMA": (
        lambda rng: (
            rng.choice((0xEE90_0A00, 0xEEA0_0A00))
            | rng.getrandbits(1) << 6
            | _fields(0, **_SD, **_SN, **_SM)(rng)
        )
    ),
    "VABS, VNEG, VSQRT, VMOV": _fields(
        0xEEB0_0A40, op=(16, _bits(1)), k=(7, _bits(1)), **_SD, **_SM
    ),
    "VCMP": _fields(0xEEB4_0A40, e=(7, _bits(1)), **_SD, **_SM),
    "VCMP zero": _fields(0xEEB5_0A40, e=(7, _bits(1)), **_SD),
    "VCVT from integer": _fields(0xEEB8_0A40, s=(7, _bits(1)), **_SD, **_SM),
    "VCVT to integer": _fields(0xEEBC_0A40, s=(16, _bits(1)), r=(7, _bits(1)), **_SD, **_SM),
    "VCVT half": _fields(0xEEB2_0A40, op=(16, _bits(1)), t=(7, _bits(1)), **_SD, **_SM),
    "VCVT fixed": _fields(
        0xEEBA_0AC0, to=(18, _bits(1)), u=(16, _bits(1)), i=(5, _bits(1)), v=(0, _bits(4)), **_SD
    ),
    "VMOV immediate": _fields(0xEEB0_0A00, h=(16, _bits(4)), v=(0, _bits(4)), **_SD),
    "VMOV core": _fields(0xEE00_0A10, op=(20, _bits(1)), t=(12, _register()), **_SN),
}


def _address(rng: random.Random, low: int, high: int, multiple: int) -> int:
    return SCRATCH + rng.randrange(low, high, multiple)


def _narrow_access(rng: random.Random, registers: list[int], aligned: bool) -> int:
    """Register and immediate offset, LDM and STM; the base is made to fit."""
    kind = rng.choice(("register", "word", "byte", "half", "multiple"))
    base, index, data = rng.sample(LOW, 3)
    if kind == "multiple":
        listed = rng.sample([r for r in LOW if r != base], rng.randrange(1, 6))
        registers[base] = _address(rng, 0, 40, 4)
        return 0xC000 | rng.getrandbits(1) << 11 | base << 8 | sum(1 << r for r in listed)
    if kind == "register":
        step = 4 if aligned else 1
        registers[base] = _address(rng, 0, 32, step)
        registers[index] = rng.randrange(0, 28, step)
        return 0x5000 | rng.getrandbits(3) << 9 | index << 6 | base << 3 | data
    group, step, size = {"word": (0x6000, 4, 32), "byte": (0x7000, 1, 32), "half": (0x8000, 2, 16)}[
        kind
    ]
    offset = rng.randrange(0, min(32, 60 // step - 1))
    registers[base] = SCRATCH + rng.randrange(0, max(step, 60 - offset * step), step)
    return group | rng.getrandbits(1) << 11 | min(offset, size - 1) << 6 | base << 3 | data


def _wide_access(rng: random.Random, registers: list[int]) -> int:
    """imm12, imm8 with pre- and post-index, shifted register, LDRD and STRD, LDM and STM."""
    base, index, data, second = rng.sample(ANY, 4)
    kind = rng.choice(("imm12", "imm8", "register", "dual", "multiple"))
    if kind == "multiple":
        listed = rng.sample([r for r in ANY if r != base], rng.randrange(2, 7))
        down = rng.getrandbits(1)
        registers[base] = SCRATCH + (32 if down else 0) + rng.randrange(0, 8, 4)
        mode = 0xE900_0000 if down else 0xE880_0000
        return mode | rng.getrandbits(2) << 20 | base << 16 | sum(1 << r for r in listed)
    registers[base] = SCRATCH + rng.randrange(16, 40)
    if kind == "dual":
        registers[base] &= ~3
        mode = rng.choice((0xE840_0000 | 1 << 24, 0xE860_0000, 0xE860_0000 | 1 << 24))
        up, load = rng.getrandbits(1) << 23, rng.getrandbits(1) << 20
        return mode | up | load | base << 16 | data << 12 | second << 8 | rng.randrange(0, 4)
    # STRB, STRH, STR, LDRB, LDRH, LDR, LDRSB, LDRSH
    access = rng.choice((0x00, 0x20, 0x40, 0x10, 0x30, 0x50, 0x110, 0x130)) << 16
    opcode = 0xF800_0000 | access | base << 16 | data << 12
    if kind == "imm12":
        return opcode | 0x0080_0000 | rng.randrange(0, 20)
    if kind == "imm8":
        mode = rng.choice((0x900, 0xB00, 0xD00, 0xF00, 0xC00))
        return opcode | mode | rng.randrange(0, 16)
    registers[index] = rng.randrange(0, 3)
    return opcode | rng.getrandbits(2) << 4 | index


def _float_access(rng: random.Random, registers: list[int]) -> int:
    base = rng.choice(ANY)
    registers[base] = _address(rng, 16, 40, 4)
    load, double = rng.getrandbits(1) << 20, rng.getrandbits(1) << 8
    first = rng.randrange(0, 12) << 12
    if rng.getrandbits(1):  # VLDR, VSTR
        up = rng.getrandbits(1) << 23
        return 0xED00_0A00 | up | load | base << 16 | double | first | rng.randrange(0, 4)
    words = 2 * rng.randrange(1, 3)
    write_back = rng.getrandbits(1) << 21
    return 0xEC80_0A00 | load | write_back | base << 16 | double | first | words


def _word(rng: random.Random) -> int:
    return rng.choice(SPECIAL_WORDS) if rng.random() < 0.3 else rng.getrandbits(32)


def _float(rng: random.Random) -> int:
    if rng.random() < 0.25:
        return rng.choice(SPECIAL_FLOATS)
    if rng.random() < 0.5:
        return int(struct.unpack("<I", struct.pack("<f", rng.uniform(-1000, 1000)))[0])
    return rng.getrandbits(32)


def _encode(opcode: int) -> bytes:
    if opcode >> 16:
        return struct.pack("<2H", opcode >> 16, opcode & 0xFFFF)
    return struct.pack("<H", opcode)


def cases(core: str, count: int, seed: int = 1) -> list[Case]:
    """The first `count` cases of a core, spread evenly over its groups.

    Args:
        core: "cortex-m4" or "cortex-m0plus".
        count: how many.
        seed: of the generator.
    """
    m4 = core == "cortex-m4"
    groups: dict[str, Draw | None] = {**NARROW, "access": None}
    if m4:
        groups |= {**WIDE, **FLOAT, "wide access": None, "float access": None}
    names = list(groups)
    result = []
    for number in range(count):
        rng = random.Random(f"{core} {seed} {number}")
        name = names[number % len(names)]
        registers = [_word(rng) for _ in ANY]
        draw = groups[name]
        if draw is not None:
            opcode = draw(rng)
        elif name == "access":
            opcode = _narrow_access(rng, registers, aligned=not m4)
        else:
            opcode = (_wide_access if name == "wide access" else _float_access)(rng, registers)
        floats = tuple(_float(rng) for _ in range(32)) if m4 else ()
        fpscr = rng.choice((0, 0, 0, 1, 2, 3, 4, 8)) << 22 if m4 else 0
        flags = rng.getrandbits(5) << 27 | (rng.getrandbits(4) << 16 if m4 else 0)
        if not m4:
            flags &= 0xF000_0000
        result.append(
            Case(
                name,
                _encode(opcode),
                tuple(registers),
                flags,
                floats,
                fpscr,
                rng.randbytes(SCRATCH_BYTES),
            )
        )
    return result
