"""An asynchronous serial line timed in core cycles, and the transmitter and receiver on it.

The chips' register fronts (stm32_usart.py, rp2040_uart.py) are thin: the timing, the
buffers, overrun and the skipping of idle polls are here.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol


class Pollable(Protocol):
    """The part of a machine that waiting for a flag needs."""

    def now(self) -> int:
        """The current cycle."""

    def program_counter(self) -> int:
        """Where the core is."""

    def skip(self, period: int, until: int | None) -> None:
        """Let whole loop periods go by, up to a cycle or the next thing that happens."""

    def idle(self) -> None:
        """The firmware only waits for input: end the run so that the board can wait too."""


class Uart:
    """Shift registers, buffers and flags of one serial port.

    Args:
        machine: whose cycles pace the line.
        buffer: bytes that fit before the transmitter's shift register and behind the
            receiver's (1 for a plain data register, 32 for RP2040's FIFOs).
    """

    # A loop that polls less often than this does other work: leave it alone.
    LONGEST_POLL = 2000
    POLLS_BEFORE_SKIPPING = 4

    def __init__(self, machine: Pollable, buffer: int) -> None:
        """Idle, with no rate set: bytes take no time until the firmware sets one."""
        self._machine = machine
        self.buffer = buffer
        self.frame_cycles = 1
        self.receiver_on = False
        self.interrupts = False
        self.received: deque[int] = deque()
        self.overrun = False
        self.overruns = 0
        self.sent = bytearray()
        self._sending: deque[tuple[int, int]] = deque()
        self._line: deque[int] = deque()
        self._arrival = 0
        self._polls = 0
        self._poll_pc = 0
        self._poll_cycle = 0
        self._poll_period = 0
        self._announced_idle = False

    # ---- the host's side ----

    def put_on_line(self, content: bytes) -> None:
        """The host sends; the bytes arrive one frame after another."""
        if content:
            now = self._machine.now()
            if not self._line:
                self._arrival = max(self._arrival, now) + self.frame_cycles
            self._line.extend(content)
            self._active()

    def take_sent(self) -> bytes:
        """What has left the transmitter since the last call."""
        self.advance()
        content = bytes(self.sent)
        self.sent.clear()
        return content

    @property
    def quiet(self) -> bool:
        """Nothing on the way in either direction."""
        return not self._line and not self._sending and not self.received

    def next_event(self) -> int | None:
        """The cycle at which the next frame ends."""
        ends = [self._sending[0][0]] if self._sending else []
        if self._line:
            ends.append(self._arrival)
        return min(ends, default=None)

    # ---- the register front's side ----

    def advance(self) -> None:
        """Bring both directions up to the current cycle."""
        now = self._machine.now()
        while self._sending and self._sending[0][0] <= now:
            self.sent.append(self._sending.popleft()[1])
        while self._line and self._arrival <= now:
            self._arrive(self._line.popleft())
            self._arrival += self.frame_cycles

    def _arrive(self, byte: int) -> None:
        if not self.receiver_on:
            return
        if len(self.received) >= self.buffer:
            self.overrun = True
            self.overruns += 1
        else:
            self.received.append(byte)
            self._active()

    def transmit(self, byte: int) -> None:
        """Firmware writes the data register; lost when it is full, as on the hardware."""
        self.advance()
        self._active()
        if self.can_transmit:
            begin = self._sending[-1][0] if self._sending else self._machine.now()
            self._sending.append((begin + self.frame_cycles, byte & 0xFF))

    def receive(self) -> int:
        """Firmware reads the data register."""
        self.advance()
        self._active()
        return self.received.popleft() if self.received else 0

    @property
    def can_transmit(self) -> bool:
        """The data register or FIFO has room."""
        return len(self._sending) <= self.buffer

    @property
    def transmitter_empty(self) -> bool:
        """The last frame has left the shift register."""
        return not self._sending

    @property
    def waiting_to_send(self) -> int:
        """Bytes before the shift register."""
        return max(0, len(self._sending) - 1)

    def polled(self) -> None:
        """Firmware read the status; skip ahead when it does nothing but that.

        Loop periods are skipped whole, so a waiting loop ends at the very cycle at which
        it would have ended.
        """
        self._polls += 1
        if self._polls < self.POLLS_BEFORE_SKIPPING or self.received:
            return
        now = self._machine.now()
        pc = self._machine.program_counter()
        if pc != self._poll_pc and now - self._poll_cycle < self.LONGEST_POLL and self._poll_pc:
            return
        period = now - self._poll_cycle
        steady = pc == self._poll_pc and period == self._poll_period
        self._poll_pc, self._poll_cycle, self._poll_period = pc, now, period
        if not steady or not 0 < period <= self.LONGEST_POLL:
            return
        if self.quiet and not self._announced_idle:
            self._announced_idle = True
            self._machine.idle()
            return
        self._machine.skip(period, self.next_event())
        self._poll_cycle = self._machine.now()
        self.advance()

    @property
    def idle(self) -> bool:
        """The firmware has been seen to do nothing but wait for input."""
        return self._announced_idle and self.quiet

    def _active(self) -> None:
        self._polls = 0
        self._poll_pc = 0
        self._poll_period = 0
        self._announced_idle = False
