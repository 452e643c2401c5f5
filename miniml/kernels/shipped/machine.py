"""Registers, flags, memory and cycles of a Cortex-M that runs a kernel's text."""

from __future__ import annotations

from miniml.kernels.shipped.flash import Memory
from miniml.kernels.shipped.text import SRAM, Program

MASK = 0xFFFF_FFFF
RETURN = 0xFFFF_FFFE  # where the kernel returns to
STACK = 16 * 1024  # bytes behind a program's own SRAM; frames of the widest layers take less
SP, LR, PC = 13, 14, 15
CONDITIONS = ("eq", "ne", "cs", "cc", "mi", "pl", "hi", "ls", "ge", "lt", "gt", "le")


def signed(value: int, bits: int = 32) -> int:
    """The low bits of a value as two's complement."""
    value &= (1 << bits) - 1
    return value - (value >> bits - 1 << bits)


class Machine:
    """State of one core.

    Attributes:
        r: registers, r[15] is where the next instruction lies.
        n, z, c, v: flags.
        skip: the next instruction's condition failed.
        now: cycles.
    """

    def __init__(self, program: Program, memory: Memory) -> None:
        """The program's content is loaded; memory's caches are as they are."""
        self.program, self.memory = program, memory
        self.flash = bytes(program.flash)
        self.sram = program.sram + bytes(STACK)
        self.r = [0] * 16
        self.n = self.z = self.c = self.v = 0
        self.skip = False
        self.now = 0

    def load(self, address: int, size: int) -> int:
        """Some bytes, without sign; what they wait for is counted."""
        self.now += self.memory.data(address, self.now)
        if address >= SRAM:
            return int.from_bytes(self.sram[address - SRAM : address - SRAM + size], "little")
        at = address - self.program.flash_base
        return int.from_bytes(self.flash[at : at + size], "little")

    def store(self, address: int, size: int, value: int) -> None:
        """Some bytes in the SRAM."""
        self.now += self.memory.data(address, self.now)
        at = address - SRAM
        self.sram[at : at + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")

    def set_nz(self, result: int) -> None:
        """The flags of any result."""
        self.n, self.z = result >> 31, int(result == 0)

    def add(self, a: int, b: int, carry: int, *, flags: bool) -> int:
        """a + b + carry."""
        total = a + b + carry
        result = total & MASK
        if flags:
            self.set_nz(result)
            self.c = total >> 32
            self.v = ((a ^ result) & (b ^ result)) >> 31
        return result

    def holds(self, condition: str) -> bool:
        """Whether a condition code is met."""
        return {
            "eq": self.z == 1,
            "ne": self.z == 0,
            "cs": self.c == 1,
            "cc": self.c == 0,
            "mi": self.n == 1,
            "pl": self.n == 0,
            "hi": self.c == 1 and self.z == 0,
            "ls": self.c == 0 or self.z == 1,
            "ge": self.n == self.v,
            "lt": self.n != self.v,
            "gt": self.z == 0 and self.n == self.v,
            "le": self.z == 1 or self.n != self.v,
        }[condition]
