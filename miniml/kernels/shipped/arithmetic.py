"""Moves, logic, sums, shifts, and what ARMv7E-M has for halfwords and bytes.

Architecture manuals: ARM DDI 0419 (ARMv6-M), DDI 0403 (ARMv7-M).
"""

from __future__ import annotations

from collections.abc import Callable

from miniml.kernels.shipped.machine import CONDITIONS, MASK, Machine, signed
from miniml.kernels.shipped.text import register

Step = Callable[[], None]
Value = Callable[[], int]
_LOGIC: dict[str, Callable[[int, int], int]] = {
    "and": lambda a, b: a & b,
    "bic": lambda a, b: a & ~b,
    "orr": lambda a, b: a | b,
    "eor": lambda a, b: a ^ b,
    "mul": lambda a, b: a * b,
}
_ONE: dict[str, Callable[[int], int]] = {
    "uxtb": lambda a: a & 0xFF,
    "uxth": lambda a: a & 0xFFFF,
    "sxtb": lambda a: signed(a, 8),
    "sxth": lambda a: signed(a, 16),
    "rev16": lambda a: (a & 0xFF00FF) << 8 | (a >> 8 & 0xFF00FF),
    "sxtb16": lambda a: (signed(a, 8) & 0xFFFF) | (signed(a >> 16, 8) & 0xFFFF) << 16,
    "mov": lambda a: a,
    "mvn": lambda a: ~a,
}
_SHIFTS = ("lsl", "lsr", "asr", "ror")


def shifted(value: int, kind: str, count: int, carry: int) -> tuple[int, int]:
    """A value by a barrel shifter, and the carry."""
    if count == 0:
        return value, carry
    if kind == "lsl":
        wide = value << count
        return wide & MASK, wide >> 32 & 1
    if kind == "ror":
        wide = (value << 32 | value) >> count % 32
        return wide & MASK, wide >> 31 & 1
    number = signed(value) if kind == "asr" else value
    return number >> count & MASK, number >> count - 1 & 1


def constant(number: int) -> Value:
    """A value that never changes."""
    return lambda: number


def operand(machine: Machine, texts: list[str]) -> Value:
    """#number, a register, or a register with a shift."""
    first = texts[0]
    if first.startswith("#"):
        return constant(number_of(machine, first))
    source, r = register(first), machine.r
    if len(texts) == 1:
        return lambda: r[source]
    kind, text = texts[1].split()
    count = int(text[1:])
    return lambda: shifted(r[source], kind, count, 0)[0]


def number_of(machine: Machine, text: str) -> int:
    """#number, or half of a symbol's address."""
    upper, _, symbol = text[1:].rpartition(":")
    value = machine.program.value(symbol)
    if upper:
        return value >> 16 if upper == ":upper16" else value & 0xFFFF
    return value


def data(machine: Machine, name: str, operands: list[str]) -> Step | None:
    """Data processing; None: it is something else."""
    m, r = machine, machine.r
    flags = name.endswith("s") and name[:-1] in {
        *_LOGIC, *_SHIFTS, "mov", "mvn", "add", "adc", "sub", "sbc", "rsb",
    }  # fmt: skip
    plain = name[:-1] if flags else name
    conditional = plain[:3] in ("mov", "mvn") and plain[3:] in CONDITIONS
    plain = plain[:3] if conditional or plain in ("addw", "subw", "movw") else plain
    if plain == "movt":
        target, upper = register(operands[0]), number_of(m, operands[1]) << 16

        def high() -> None:
            r[target] = r[target] & 0xFFFF | upper

        return high
    if plain in _ONE:
        return _one(m, plain, operands, flags=flags)
    compares = plain in ("cmp", "cmn", "tst")
    if not compares and plain not in (*_LOGIC, *_SHIFTS, "add", "adc", "sub", "sbc", "rsb"):
        return None
    target = register(operands[0])
    # Two operands: the target is the first source.
    has_three = len(operands) > 2 and not operands[2].startswith(_SHIFTS)
    first = target if compares or not has_three else register(operands[1])
    second = operand(m, operands[2:] if has_three else operands[1:])
    return _two(m, plain, target, first, second, flags=flags)


def _one(machine: Machine, name: str, operands: list[str], *, flags: bool) -> Step:
    m, r = machine, machine.r
    target, source, function = register(operands[0]), operand(machine, operands[1:]), _ONE[name]

    def step() -> None:
        r[target] = function(source()) & MASK
        if flags:
            m.set_nz(r[target])

    return step


def _two(
    machine: Machine, name: str, target: int, first: int, second: Value, *, flags: bool
) -> Step:
    m, r = machine, machine.r
    if name in _SHIFTS:

        def shift() -> None:
            r[target], carry = shifted(r[first], name, second() & 0xFF, m.c)
            if flags:
                m.set_nz(r[target])
                m.c = carry

        return shift
    if name in _LOGIC or name == "tst":
        function = _LOGIC["and" if name == "tst" else name]

        def logic() -> None:
            result = function(r[first], second()) & MASK
            if name != "tst":
                r[target] = result
            if flags or name == "tst":
                m.set_nz(result)

        return logic
    carries: dict[str, Callable[[int, int], tuple[int, int, int]]] = {
        "add": lambda a, b: (a, b, 0),
        "cmn": lambda a, b: (a, b, 0),
        "adc": lambda a, b: (a, b, m.c),
        "sub": lambda a, b: (a, ~b & MASK, 1),
        "cmp": lambda a, b: (a, ~b & MASK, 1),
        "sbc": lambda a, b: (a, ~b & MASK, m.c),
        "rsb": lambda a, b: (b, ~a & MASK, 1),
    }
    terms, compares = carries[name], name in ("cmp", "cmn")

    def total() -> None:
        a, b, carry = terms(r[first], second())
        result = m.add(a, b, carry, flags=flags or compares)
        if not compares:
            r[target] = result

    return total


def _saturated(value: int, low: int, high: int) -> int:
    return min(max(value, low), high) & MASK


def dsp(machine: Machine, name: str, operands: list[str]) -> Step | None:
    """Of ARMv7E-M: a register from the other operands; None: it is something else."""
    r = machine.r
    target = register(operands[0])
    if name in ("usat", "ssat"):
        bits, value = int(operands[1][1:]), operand(machine, operands[2:])
        low, high = (
            (0, (1 << bits) - 1) if name == "usat" else (-1 << bits - 1, (1 << bits - 1) - 1)
        )

        def saturate() -> None:
            r[target] = _saturated(signed(value()), low, high)

        return saturate
    if name == "usat16":
        top, source = (1 << int(operands[1][1:])) - 1, register(operands[2])

        def halves() -> None:
            value = r[source]
            parts = (_saturated(signed(value >> shift, 16), 0, top) for shift in (0, 16))
            r[target] = next(parts) | next(parts) << 16

        return halves
    if name == "sbfx":
        source, begin, width = register(operands[1]), int(operands[2][1:]), int(operands[3][1:])

        def field() -> None:
            r[target] = signed(r[source] >> begin, width) & MASK

        return field
    if name == "pkhtb":
        upper, lower = register(operands[1]), operand(machine, operands[2:])

        def pack() -> None:
            r[target] = r[upper] & 0xFFFF0000 | lower() & 0xFFFF

        return pack
    if name == "smull":
        above, first, second = (register(text) for text in operands[1:])

        def long() -> None:
            product = signed(r[first]) * signed(r[second])
            r[target], r[above] = product & MASK, product >> 32 & MASK

        return long
    functions: dict[str, Callable[[int, int, int], int]] = {
        "smlad": lambda a, b, c: (
            signed(a, 16) * signed(b, 16) + signed(a >> 16, 16) * signed(b >> 16, 16) + c
        ),
        "smmla": lambda a, b, c: signed(a) * signed(b) + (c << 32) >> 32,
        "qadd8": lambda a, b, _: _add_bytes(a, b),
    }
    if name not in functions:
        return None
    function = functions[name]
    first, second, *rest = (register(text) for text in operands[1:])
    third = rest[0] if rest else first

    def three() -> None:
        r[target] = function(r[first], r[second], r[third]) & MASK

    return three


def _add_bytes(a: int, b: int) -> int:
    result = 0
    for shift in (0, 8, 16, 24):
        total = signed(a >> shift, 8) + signed(b >> shift, 8)
        result |= (_saturated(total, -128, 127) & 0xFF) << shift
    return result
