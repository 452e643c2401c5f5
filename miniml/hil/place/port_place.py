"""A board on a serial port of this machine, or behind a URL that pyserial opens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from miniml.boards import Board
from miniml.errors import PortError
from miniml.hil.finding.attached import AttachedPort, attached_ports, is_pty
from miniml.hil.finding.candidates import follow
from miniml.hil.lock.board_lock import board_lock, port_key
from miniml.hil.place.place import NOT_TOLD, Exporter, told
from miniml.hil.place.simulated_board import SimulatedBoard


class PortPlace:
    """A board on a port: real, unless the port is a PTY or somebody says so (`told`).

    Attributes:
        doubt: why a silent board on this port isn't flashed; empty: it is the board's for sure.
    """

    ours: SimulatedBoard | None = None
    exporter: Exporter | None = None

    def __init__(
        self, board: Board, port: str, wait_s: float, doubt: str = "", *, world: str
    ) -> None:
        """The board is on `port` now; after a flash its USB socket counts, not the name.

        `world` is the build's.
        """
        self.board, self.note, self.doubt = board, "", doubt
        self._port, self._wait_s = port, wait_s
        self._interrupted = threading.Event()
        self._before = [item for item in attached_ports() if item.is_at(port)]
        self.socket = self._before[0].socket if self._before else ""
        self.simulated: bool | None
        if "://" in port:
            self.simulated = told(board.simulated, world=world)
            if self.simulated is None:
                self.note = NOT_TOLD
        else:
            self.simulated = is_pty(port) or board.simulated == "yes"

    @classmethod
    def in_loader(cls, board: Board, socket: str, wait_s: float) -> PortPlace:
        """A board in its boot loader: its port will come up in the same USB socket."""
        place = cls(board, f"at USB socket {socket}", wait_s, world="official")
        # A chip's own port is the device's first interface.
        place._before = [AttachedPort(place._port, location=f"{socket}:1.0")]
        place.socket = socket
        return place

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """Holds the port's lock."""
        key, what = port_key(self._port, self._before), f"port {self._port}"
        with board_lock(key, what, self._wait_s, self._interrupted):
            yield

    def port(self) -> str | None:
        """The port right now; a board's own may have another name after a flash."""
        if "://" in self._port:
            return self._port
        return follow(self._port, self._before, attached_ports())

    def check(self) -> None:
        """A port that has gone may come back; nobody waits for it after an interruption."""
        if self._interrupted.is_set():
            raise PortError(f"waiting for port {self._port} was interrupted")

    def cause(self) -> str:
        """Nothing but the port is known."""
        return ""

    def interrupt(self) -> None:
        """Waits no longer for the lock."""
        self._interrupted.set()
