"""Simulated time: cycles of a core clock that firmware may change on the way."""

from __future__ import annotations


class Clock:
    """Turns the core's cycles into seconds; the rate may change, time never jumps."""

    def __init__(self, hz: int) -> None:
        """Start at cycle 0.

        Args:
            hz: cycles a second after reset.
        """
        self.hz = hz
        self._cycle = 0
        self._second = 0.0

    def change(self, hz: int, now: int) -> None:
        """From cycle `now` on the core runs at `hz`."""
        if hz != self.hz:
            self._second = self.seconds(now)
            self._cycle = now
            self.hz = hz

    def seconds(self, now: int) -> float:
        """Simulated seconds since power-up, at cycle `now`."""
        return self._second + (now - self._cycle) / self.hz

    def microseconds(self, now: int) -> int:
        """The same, as a free-running microsecond counter shows it."""
        return int(self.seconds(now) * 1e6)
