"""The Cortex-M4's bit-band aliases: a word for each bit of the first megabyte of SRAM and of the
peripherals (Cortex-M4 TRM 100166, 3.7). ST's HAL switches the PLL and the HSE by them.
"""

from __future__ import annotations

from miniml.sim.arm.machine import Bus
from miniml.sim.arm.memory import Memory

SRAM_ALIAS, PERIPHERAL_ALIAS = 0x2200_0000, 0x4200_0000
SRAM_REGION, PERIPHERAL_REGION = 0x2000_0000, 0x4000_0000
ALIAS_SIZE = 32 << 20
WINDOWS = [(SRAM_ALIAS, ALIAS_SIZE), (PERIPHERAL_ALIAS, ALIAS_SIZE)]


class BitBandBus:
    """A bus with both aliases in front of it; all other addresses pass through.

    A write reads, changes and writes the whole word, as one transfer that nothing interrupts.
    Not modelled: its extra bus cycles, and the fault where SRAM ends (reads 0, writes nothing).

    Args:
        bus: the peripherals.
        sram: the memory at 0x20000000.
    """

    def __init__(self, bus: Bus, sram: Memory) -> None:
        """Nothing is read or written yet."""
        self._bus = bus
        self._sram = sram

    def read(self, address: int, size: int) -> int:
        """A bit as 0 or 1 in an alias, else what the bus says."""
        target = _target(address)
        if target is None:
            return self._bus.read(address, size)
        word, bit = target
        return self._read_word(word) >> bit & 1

    def write(self, address: int, size: int, value: int) -> None:
        """Bit 0 of the value becomes the bit in an alias, else the bus stores."""
        target = _target(address)
        if target is None:
            self._bus.write(address, size, value)
            return
        word, bit = target
        self._write_word(word, self._read_word(word) & ~(1 << bit) | (value & 1) << bit)

    def _read_word(self, address: int) -> int:
        if address >= PERIPHERAL_REGION:
            return self._bus.read(address, 4)
        offset = address - SRAM_REGION
        return int.from_bytes(self._sram.content[offset : offset + 4], "little")

    def _write_word(self, address: int, value: int) -> None:
        if address >= PERIPHERAL_REGION:
            self._bus.write(address, 4, value)
        elif address - SRAM_REGION < self._sram.size:
            self._sram.load(value.to_bytes(4, "little"), address - SRAM_REGION)


def _target(address: int) -> tuple[int, int] | None:
    """Address of the word and number of the bit that an alias stands for."""
    for alias, region in ((SRAM_ALIAS, SRAM_REGION), (PERIPHERAL_ALIAS, PERIPHERAL_REGION)):
        if alias <= address < alias + ALIAS_SIZE:
            number = (address - alias) // 4
            return region + number // 32 * 4, number % 32
    return None
