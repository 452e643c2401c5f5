"""Peripherals that are plain registers, and the bus that finds a peripheral by address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Peripheral(Protocol):
    """Registers by their word offset."""

    def read(self, offset: int) -> int:
        """The 32-bit register at this offset."""

    def write(self, offset: int, value: int) -> None:
        """Set the 32-bit register at this offset."""


class RegisterFile:
    """Registers that keep what is written; `follow` makes status bits follow others.

    Args:
        reset: values after reset by offset.
        follow: by offset, a function from the stored to the read value.
        written: called after each write with (offset, value).
    """

    def __init__(
        self,
        reset: dict[int, int] | None = None,
        follow: dict[int, Callable[[int], int]] | None = None,
        written: Callable[[int, int], None] | None = None,
    ) -> None:
        """Take the reset values."""
        self.values = dict(reset or {})
        self._follow = follow or {}
        self._written = written

    def read(self, offset: int) -> int:
        """The stored value, seen through `follow`."""
        value = self.values.get(offset, 0)
        follow = self._follow.get(offset)
        return follow(value) if follow else value

    def write(self, offset: int, value: int) -> None:
        """Store."""
        self.values[offset] = value & 0xFFFF_FFFF
        if self._written:
            self._written(offset, value)


def ready_follows(pairs: dict[int, int]) -> Callable[[int], int]:
    """A status register whose ready bits follow the enable bits.

    Args:
        pairs: enable bit number to ready bit number.
    """

    def follow(value: int) -> int:
        for enable, ready in pairs.items():
            value = value & ~(1 << ready) | (value >> enable & 1) << ready
        return value

    return follow


class PeripheralBus:
    """Dispatches by address; unknown peripherals are register files of their own.

    Args:
        peripherals: by base address.
        span: the distance of two peripherals, a power of two.
    """

    def __init__(self, peripherals: dict[int, Peripheral], span: int) -> None:
        """Hold them by base."""
        self._peripherals = peripherals
        self._mask = span - 1

    def read(self, address: int, size: int) -> int:
        """1, 2 or 4 bytes of a register."""
        base = address & ~self._mask
        peripheral = self._peripherals.get(base)
        if peripheral is None:
            peripheral = self._peripherals[base] = RegisterFile()
        offset = address & self._mask
        return peripheral.read(offset & ~3) >> (offset & 3) * 8 & (1 << size * 8) - 1

    def write(self, address: int, size: int, value: int) -> None:
        """Store; a narrow store changes its bytes of the register."""
        base = address & ~self._mask
        peripheral = self._peripherals.get(base)
        if peripheral is None:
            peripheral = self._peripherals[base] = RegisterFile()
        offset = address & self._mask
        if size < 4:
            shift = (offset & 3) * 8
            mask = (1 << size * 8) - 1 << shift
            old = 0 if isinstance(peripheral, NarrowWrites) else peripheral.read(offset & ~3)
            value = old & ~mask | value << shift & mask
        peripheral.write(offset & ~3, value)


class NarrowWrites:
    """Base of peripherals whose registers must not be read to store a byte (data registers)."""
