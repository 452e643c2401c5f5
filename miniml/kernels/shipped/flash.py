"""What memory costs on top of zero wait states: the rules of miniml/sim/arm/core/memory_timing.c.

docs/SIMULATOR_ARM.md ("As shipped") has the sources and the assumptions.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

from miniml.kernels.shipped.text import SRAM

ART_BASE = 0x0800_0000
XIP_BASE, XIP_FILL = 0x1000_0000, 64  # cycles of a line, see SIMULATOR_ARM.md
_ART_LINE, _XIP_LINE = 16, 8  # bytes
_ART_INSTRUCTIONS, _ART_DATA = 64, 8  # lines
_XIP_SETS, _XIP_WAYS = 1024, 2
_FETCH_BUFFER = 3  # words that the core fetches ahead over the system bus


def art_wait_states(clock_hz: int) -> int:
    """Of an STM32F4's flash at 2.7 V to 3.6 V: one for each 30 MHz begun (RM0090, table 10)."""
    return max(-(-clock_hz // 30_000_000) - 1, 0)


def shipped_memory(core: str, clock_hz: int) -> str:
    """What the chip of a core has, in a few words."""
    return (
        "as shipped: "
        + {
            "avr": "flash without wait states",
            "cortex-m4": f"{art_wait_states(clock_hz)} wait states behind the ART, warm",
            "cortex-m0plus": "16 KB of XIP cache, warm",
        }[core]
    )


class Memory(Protocol):
    """Stalls of each access; `now` never falls from call to call."""

    def fetch(self, address: int, size: int, now: int) -> int:
        """Cycles that an instruction waits."""

    def data(self, address: int, now: int) -> int:
        """Cycles that a load or store within a word waits."""


class _Lines:
    """A cache of some lines; the one that was used longest ago leaves."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._lines: OrderedDict[int, None] = OrderedDict()

    def __contains__(self, line: int) -> bool:
        return line in self._lines

    def use(self, line: int) -> bool:
        """Whether it was there; it is afterwards."""
        there = line in self._lines
        self._lines[line] = None
        self._lines.move_to_end(line)
        if len(self._lines) > self._count:
            self._lines.popitem(last=False)
        return there


class SystemBus:
    """Code in the SRAM of a Cortex-M4: a fetch takes two cycles, and data goes first."""

    def __init__(self) -> None:
        """Nothing was fetched yet."""
        self._word, self._ahead, self._free = -2, 0, 0

    def _fetch_ahead(self, now: int) -> None:
        while self._ahead < _FETCH_BUFFER and self._free < now:
            self._ahead += 1
            self._free += 2

    def fetch(self, word: int, now: int) -> int:
        """Cycles that a word of code is waited for."""
        if word == self._word:
            return 0
        follows = word == self._word + 1
        self._word = word
        self._fetch_ahead(now)
        if not follows:
            self._ahead, self._free = 0, now
        elif self._ahead:
            if self._ahead == _FETCH_BUFFER:
                self._free = max(self._free, now)
            self._ahead -= 1
            return 0
        stall = self._free + 1 - now
        self._free += 2
        return stall

    def access(self, now: int) -> None:
        """A load or store takes this cycle."""
        self._fetch_ahead(now)
        self._free = max(self._free, now + 1)


class Stm32f4:
    """ART accelerator in front of a flash with wait states, and the system bus."""

    def __init__(self, wait: int) -> None:
        """Caches are empty."""
        self._wait = wait
        self._instructions, self._data = _Lines(_ART_INSTRUCTIONS), _Lines(_ART_DATA)
        self._current = self._prefetched = -1
        self._ready = self._free = 0
        self._bus = SystemBus()

    def fetch(self, address: int, size: int, now: int) -> int:
        """Of flash, or over the system bus."""
        stall = 0
        if address >= SRAM:
            for word in range(address >> 2, (address + size - 1 >> 2) + 1):
                stall += self._bus.fetch(word, now + stall)
            return stall
        for line in range(address // _ART_LINE, (address + size - 1) // _ART_LINE + 1):
            if line != self._current:
                stall += self._fetch_line(line, now + stall)
        return stall

    def _fetch_line(self, line: int, now: int) -> int:
        stall = 0
        if line == self._prefetched:
            stall = max(self._ready - now, 0)
            if stall:  # it came too late: it counts as missed, and is kept
                self._instructions.use(line)
        elif not self._instructions.use(line):
            stall = self._read(now)
        self._current, self._prefetched = line, line + 1
        self._ready = now + stall
        if line + 1 not in self._instructions:
            self._read(now + stall)
            self._ready = self._free
        return stall

    def _read(self, now: int) -> int:
        if not self._wait:
            return 0
        start = max(self._free, now)
        self._free = start + self._wait + 1
        return start - now + self._wait

    def data(self, address: int, now: int) -> int:
        """Of flash; what goes over the system bus only delays fetches there."""
        if address >= SRAM:
            self._bus.access(now)
            return 0
        return 0 if self._data.use(address // _ART_LINE) else self._read(now)


class Rp2040:
    """The XIP cache: instructions and data together."""

    def __init__(self) -> None:
        """The cache is empty."""
        self._sets = [_Lines(_XIP_WAYS) for _ in range(_XIP_SETS)]

    def fetch(self, address: int, size: int, now: int) -> int:
        """Of flash; SRAM never waits."""
        stall = self.data(address, now)
        if size == 4 and address % _XIP_LINE == _XIP_LINE - 2:
            stall += self.data(address + 2, now)
        return stall

    def data(self, address: int, now: int) -> int:
        """Of flash; SRAM never waits."""
        if address >= SRAM:
            return 0
        line = address // _XIP_LINE
        return 0 if self._sets[line % _XIP_SETS].use(line) else XIP_FILL
