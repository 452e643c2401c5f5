"""An asynchronous serial line timed in core cycles, and the transmitter and receiver on it.

The chips' register fronts (stm32_usart.py, rp2040_uart.py) are thin: the timing, the
buffers, overrun and the skipping of idle polls are here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol


class Core(Protocol):
    """The part of a board that a UART needs."""

    def now(self) -> int:
        """The current cycle."""

    def watch(self, address: int, value: int, until: int | None) -> None:
        """A register reads this value up to a cycle, or until `end_watch`."""

    def end_watch(self) -> None:
        """The watched register may have changed."""


class Uart:
    """Shift registers, buffers and flags of one serial port.

    Args:
        core: whose cycles pace the line.
        buffer: bytes that fit before the transmitter's shift register and behind the
            receiver's (1 for a plain data register, 32 for RP2040's FIFOs).
    """

    def __init__(self, core: Core, buffer: int) -> None:
        """Idle, with no rate set: bytes take no time until the firmware sets one."""
        self._core = core
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
        self._watched = False

    # ---- the host's side ----

    def put_on_line(self, content: bytes) -> None:
        """The host sends; the bytes arrive one frame after another."""
        if content:
            now = self._core.now()
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
        sent = self._sending[0][0] if self._sending else None
        if not self._line:
            return sent
        return self._arrival if sent is None else min(sent, self._arrival)

    # ---- the register front's side ----

    def advance(self) -> None:
        """Bring both directions up to the current cycle."""
        if not self._sending and not self._line:
            return
        now = self._core.now()
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
            begin = self._sending[-1][0] if self._sending else self._core.now()
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

    def watch_status(self, address: int, value: int) -> None:
        """Firmware read the status: it stays so until the next frame ends."""
        self._watched = True
        self._core.watch(address, value, self.next_event())

    def _active(self) -> None:
        if self._watched:
            self._watched = False
            self._core.end_watch()


class InterruptLine:
    """A UART's interrupt line.

    Telling the core makes it stop and look, so that a line that stays low is not told again; one
    that stays high is, as the handler may have returned meanwhile.
    """

    def __init__(self, tell: Callable[[bool], None]) -> None:
        """Low."""
        self._tell = tell
        self._high = False

    def set(self, high: bool) -> None:
        """The level from now on."""
        if high or self._high:
            self._high = high
            self._tell(high)
