"""Writes Thumb assembly for the Cortex-M0+ and counts its bytes and cycles while it does.

Cycles are Arm DDI 0484C, table 3-1, with a single-cycle multiplier, a refill of 1 and 0 wait
states: what miniml.sim.arm counts.
"""

from __future__ import annotations

import re

_TAKEN = {"b": 2, "bl": 3, "bx": 2, "blx": 2}
_CONDITIONS = frozenset(
    f"b{condition}"
    for condition in ("eq", "ne", "cs", "cc", "hs", "lo", "mi", "pl", "hi", "ls", "ge", "lt", "gt")
) | {"ble"}
_MEMORY = frozenset(("ldr", "ldrb", "ldrh", "ldrsb", "ldrsh", "str", "strb", "strh"))
_COLUMN = 32
_SP_REACH, _SP_STEP = 1020, 508  # of ADD Rd, SP, #imm and ADD SP, #imm


class Code:
    """Assembly text, its size in bytes, and its cycles along the straight way.

    `cycles` counts each conditional branch as not taken; one that is taken costs 1 more.
    """

    def __init__(self) -> None:
        """Empty."""
        self.lines: list[str] = []
        self.bytes = 0
        self.cycles = 0
        self._labels = 0

    def op(self, text: str, note: str = "") -> None:
        """One instruction, and what it is for."""
        self.bytes += 4 if text.startswith("bl ") else 2
        self.cycles += instruction_cycles(text)
        self.lines.append(f"\t{text:<{_COLUMN}}@ {note}" if note else f"\t{text}")

    def ops(self, *texts: str) -> None:
        """Several instructions."""
        for text in texts:
            self.op(text)

    def label(self, name: str) -> None:
        """A place that branches name."""
        self.lines.append(f"{name}:")

    def new_label(self, what: str) -> str:
        """A local label that nothing else has."""
        self._labels += 1
        return f".L{what}_{self._labels}"

    def note(self, text: str) -> None:
        """A comment on a line of its own."""
        self.lines.append(f"\t@ {text}")

    def directive(self, text: str) -> None:
        """A line for the assembler that takes no room."""
        self.lines.append(f"\t{text}")

    def align(self) -> None:
        """To a word, with zeros."""
        self.directive(".balign 4")
        self.bytes = (self.bytes + 3) & ~3

    def words(self, values: list[int | str], note: str = "") -> None:
        """32-bit constants (modulo 2^32), or symbols."""
        if note:
            self.note(note)
        for start in range(0, len(values), 8):
            shown = ", ".join(_word(value) for value in values[start : start + 8])
            self.lines.append(f"\t.word {shown}")
        self.bytes += 4 * len(values)

    def octets(self, values: list[int]) -> None:
        """Bytes (modulo 2^8)."""
        for start in range(0, len(values), 24):
            shown = ", ".join(str(value & 0xFF) for value in values[start : start + 24])
            self.lines.append(f"\t.byte {shown}")
        self.bytes += len(values)

    def constant(self, register: str, value: int) -> None:
        """Load a number from 0 to 2^32 - 1, two instructions a byte at most; flags are lost."""
        octets = value.to_bytes(4, "big").lstrip(b"\0") or b"\0"
        self.op(f"movs {register}, #{octets[0]}")
        for octet in octets[1:]:
            self.op(f"lsls {register}, {register}, #8")
            if octet:
                self.op(f"adds {register}, #{octet}")

    def sp_address(self, register: str, offset: int) -> None:
        """A register becomes SP + offset, a multiple of 4; flags may be lost."""
        if offset <= _SP_REACH:
            self.op(f"add {register}, sp, #{offset}")
        else:
            self.constant(register, offset)
            self.op(f"add {register}, sp, {register}")

    def move_sp(self, operation: str, size: int) -> None:
        """`sub` or `add` to SP, by any multiple of 4."""
        while size:
            step = min(size, _SP_STEP)
            self.op(f"{operation} sp, #{step}")
            size -= step


def _word(value: int | str) -> str:
    return value if isinstance(value, str) else f"0x{value & 0xFFFF_FFFF:08x}"


def instruction_cycles(text: str) -> int:
    """Cycles of one instruction; of a conditional branch: when it is not taken."""
    mnemonic = text.split(None, 1)[0]
    if mnemonic in _TAKEN:
        return _TAKEN[mnemonic]
    if mnemonic in _CONDITIONS:
        return 1
    if mnemonic in _MEMORY:
        return 2
    if mnemonic in ("ldm", "stm", "push", "pop"):
        count = registers_in(text)
        return 3 + count if "pc" in text else 1 + count
    return 1


def registers_in(text: str) -> int:
    """How many registers a list in braces names."""
    listed = re.search(r"\{(.*)\}", text)
    assert listed is not None, text
    count = 0
    for part in listed[1].split(","):
        first, _, last = part.strip().partition("-")
        count += int(last[1:]) - int(first[1:]) + 1 if last else 1
    return count
