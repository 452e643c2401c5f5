"""Assembly text with its size and its cycles, counted as docs/SIMULATOR_ARM.md states them.

Every instruction names its width (.n or .w), so that the size is known without an assembler.
Cycles: 1 unless said otherwise; a load right after a load whose result is not its address costs one
less; a taken branch 1 + REFILL.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

REFILL = 2
_NARROW_LOAD = 124
_NARROW_SP = 1020
_WIDE = 4095
_NUMBERS = {**{f"r{number}": number for number in range(13)}, "lr": 14}
_LOW = frozenset(f"r{number}" for number in range(8))


def is_low(register: str) -> bool:
    """r0 to r7: what 16-bit instructions can name."""
    return register in _LOW


def by_number(register: str) -> int:
    """Sort key of a register list."""
    return _NUMBERS[register]


class Assembly:
    """Instructions in the order of execution.

    Attributes:
        lines: text.
        size: bytes of code.
        cycles: of one run through all of it, loops included.
        loaded: the register of a load that has just been added, or None.
    """

    def __init__(self, loaded: str | None = None) -> None:
        """Empty; `loaded`: what the instruction before loads, if it is a single load."""
        self.lines: list[str] = []
        self.size = 0
        self.cycles = 0
        self._times = 1
        self.loaded = loaded

    def comment(self, text: str) -> None:
        """A line for the reader."""
        self.lines.append(f"  @ {text}")

    def append(self, part: Assembly) -> None:
        """Add straight code that was made to follow."""
        self.lines += part.lines
        self.size += part.size
        self.cycles += part.cycles * self._times
        self.loaded = part.loaded

    def label(self, name: str) -> None:
        """A place to branch to."""
        self.lines.append(f"{name}:")
        self.loaded = None

    def op(self, text: str, size: int = 4, cycles: int = 1) -> None:
        """Any instruction but a load."""
        self.lines.append(f"  {text}")
        self.size += size
        self.cycles += cycles * self._times
        self.loaded = None

    def load(self, register: str, base: str, offset: int = 0, advance: int | None = None) -> None:
        """LDR from [base + offset]; or from [base], which then advances."""
        cycles = 2 if self.loaded in (None, base) else 1
        if advance is not None:
            self.op(f"ldr.w {register}, [{base}], #{advance}", 4, cycles)
        elif self._narrow(register, base, offset):
            self.op(f"ldr.n {register}, [{base}, #{offset}]", 2, cycles)
        else:
            self.op(f"ldr.w {register}, [{base}, #{offset}]", 4, cycles)
        self.loaded = register

    def load_byte(self, register: str, address: str, base: str) -> None:
        """LDRSB, wide."""
        cycles = 2 if self.loaded in (None, base) else 1
        self.op(f"ldrsb.w {register}, [{address}]", 4, cycles)
        self.loaded = register

    def store(self, register: str, base: str, offset: int) -> None:
        """STR to [base + offset]."""
        narrow = self._narrow(register, base, offset)
        width, size = ("n", 2) if narrow else ("w", 4)
        self.op(f"str.{width} {register}, [{base}, #{offset}]", size)

    def load_many(self, base: str, registers: Sequence[str]) -> None:
        """LDM, advancing the base; the lowest register gets the first word."""
        ordered = sorted(registers, key=by_number)
        if len(ordered) == 1:
            self.load(ordered[0], base, advance=4)
            return
        narrow = is_low(base) and all(is_low(register) for register in ordered)
        width, size = ("n", 2) if narrow else ("w", 4)
        self.op(f"ldmia.{width} {base}!, {{{', '.join(ordered)}}}", size, 1 + len(ordered))

    def constant(self, register: str, value: int) -> None:
        """Any 32-bit constant: one or two instructions of 32 bits."""
        value &= 0xFFFFFFFF
        self.op(f"movw {register}, #{value & 0xFFFF}")
        if value >> 16:
            self.op(f"movt {register}, #{value >> 16}")

    def address(self, register: str, symbol: str) -> None:
        """The address of a symbol."""
        self.op(f"movw {register}, #:lower16:{symbol}")
        self.op(f"movt {register}, #:upper16:{symbol}")

    def frame_address(self, register: str, offset: int) -> None:
        """SP + offset."""
        if offset <= _WIDE:
            self.op(f"addw {register}, sp, #{offset}")
        else:
            self.constant(register, offset)
            self.op(f"add.w {register}, sp, {register}")

    @contextmanager
    def loop(self, label: str, times: int) -> Iterator[None]:
        """What runs `times` times; it must end by setting Z when done. Adds the branch."""
        self.label(label)
        outer = self._times
        self._times *= times
        yield
        self.op(f"bne.w {label}", 4, 1 + REFILL)
        self._times = outer
        self.cycles -= REFILL * outer

    @staticmethod
    def _narrow(register: str, base: str, offset: int) -> bool:
        limit = _NARROW_SP if base == "sp" else _NARROW_LOAD
        known = base == "sp" or is_low(base)
        return is_low(register) and known and 0 <= offset <= limit and offset % 4 == 0
