"""A serial line with faults between a board and the host: two PTYs and a thread."""

from __future__ import annotations

import os
import select
import termios
import threading
import tty
from collections.abc import Callable

# Gets the number of a line from the board (from 0) and its bytes; returns what arrives instead.
Fault = Callable[[int, bytes], bytes]


class FaultyLine:
    """The host opens `port`; what the board says goes through `fault`, line by line."""

    def __init__(self, board_port: str) -> None:
        self.fault: Fault = lambda number, line: line
        self._lines = 0
        self._board = os.open(board_port, os.O_RDWR | os.O_NOCTTY)
        self._host, self._end = os.openpty()
        for descriptor in (self._board, self._end):
            tty.setraw(descriptor)
        # A simulated board hears only what comes at its own rate.
        attributes = termios.tcgetattr(self._board)
        attributes[4] = attributes[5] = termios.B115200
        termios.tcsetattr(self._board, termios.TCSANOW, attributes)
        self.port = os.ttyname(self._end)
        self._wake, self._stop = os.pipe()
        self._unplugged = False
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        """To be called from the fault: the host's port vanishes."""
        self._unplugged = True

    def close(self) -> None:
        """Ends the thread; both ports are free."""
        os.close(self._stop)
        self._thread.join(10)

    def _carry(self) -> None:
        pending = b""
        while not self._unplugged:
            ready, _, _ = select.select([self._board, self._host, self._wake], [], [])
            if self._wake in ready:
                break
            if self._host in ready:
                os.write(self._board, os.read(self._host, 4096))
            if self._board in ready:
                *whole, pending = (pending + os.read(self._board, 4096)).split(b"\n")
                for line in whole:
                    self._send(self.fault(self._lines, line + b"\n"))
                    self._lines += 1
        for descriptor in (self._end, self._host, self._board, self._wake):
            os.close(descriptor)

    def _send(self, data: bytes) -> None:
        if data and not self._unplugged:
            os.write(self._host, data)
