"""A board on a serial port of this machine, or behind a URL that pyserial opens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from miniml.boards import Board
from miniml.hil.finding.attached import attached_ports, find_port, is_pty
from miniml.hil.place.board_lock import board_lock, port_key
from miniml.hil.place.simulated_board import SimulatedBoard


class PortPlace:
    """A board on a port, real unless the port is a PTY."""

    ours: SimulatedBoard | None = None

    def __init__(self, board: Board, port: str, wait_s: float, *, given: bool) -> None:
        """`given`: the user named the port; it isn't looked for anew after flashing."""
        self.board, self.note = board, ""
        self._port, self._given, self._wait_s = port, given or bool(board.port), wait_s
        self.simulated = is_pty(port)

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """Holds the port's lock."""
        with board_lock(port_key(self._port), f"port {self._port}", self._wait_s):
            yield

    def port(self) -> str | None:
        """The port; a Pico's own may have another name after a flash."""
        if self._given:
            gone = (
                "://" not in self._port
                and self._port.startswith("/")
                and (not Path(self._port).exists())
            )
            return None if gone else self._port
        return find_port(self.board, attached_ports())
