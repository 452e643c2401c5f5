"""Where a board is: on a port of this machine, or simulated in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from miniml.boards import Board
from miniml.errors import FlashError, NoBoardError, PortError
from miniml.hil.board_log import BoardLog
from miniml.hil.finding.attached import attached_ports, check_port, find_port, is_pty
from miniml.hil.firmware_build import FirmwareBuild
from miniml.hil.place.board_lock import board_lock, port_key
from miniml.hil.place.simulated_board import SimulatedBoard
from miniml.hil.project import miniml_dir
from miniml.hil.run_options import RunOptions


class Place(Protocol):
    """A board that can be used, between `occupied` and its end.

    Attributes:
        simulated: whether it is a simulated board; then its results say so.
        ours: the simulated board that we run and control; None for any other.
        note: what the user should know about the choice; may be empty.
    """

    simulated: bool
    ours: SimulatedBoard | None
    note: str

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """Holds the board, alone and powered."""

    def port(self) -> str | None:
        """The port it is on right now; None while it has none."""


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


class SimulatedPlace:
    """A simulated board that is started for this run."""

    simulated = True

    def __init__(self, board: Board, options: RunOptions, log: BoardLog, note: str = "") -> None:
        """Nothing is started yet."""
        self.note = note
        self._state = miniml_dir(options.project) / "boards" / board.name
        self._board, self._wait_s = board, options.wait_s
        self.ours: SimulatedBoard | None = SimulatedBoard(
            board, self._state, log, pace=options.pace
        )

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """Runs the simulated board; its process is gone afterwards."""
        assert self.ours is not None
        what = f"simulated {self._board.name}"
        with board_lock(f"state {self._state.resolve()}", what, self._wait_s):
            try:
                self.ours.start()
                yield
            finally:
                self.ours.stop()

    def port(self) -> str | None:
        """Its current PTY."""
        assert self.ours is not None
        return self.ours.port()


def find_place(
    board: Board,
    boards: Mapping[str, Board],
    build: FirmwareBuild,
    options: RunOptions,
    log: BoardLog,
) -> Place:
    """Where the board is, by the order of docs/BOARDS.md.

    Raises:
        NoBoardError: none is attached and none may be simulated.
        PortError, WrongBoardError: several fit; another board's port.
        FlashError: the offline kit's build for a real board.
    """
    if options.port:
        if options.port.startswith("/") and not Path(options.port).exists():
            raise PortError(f"port {options.port} is missing: `miniml boards` shows what is there")
        check_port(board, options.port, boards.values(), attached_ports())
        if build.world == "kit" and "://" not in options.port and not is_pty(options.port):
            raise FlashError(
                f"the offline kit built this for simulated boards only: for the {board.name} on "
                f"{options.port} build with the official platforms (docs/PLATFORMIO.md)"
            )
        return PortPlace(board, options.port, options.wait_s, given=True)
    note = ""
    if options.simulated != "always":
        if port := find_port(board, attached_ports()):
            if build.world == "official" or is_pty(port):
                return PortPlace(board, port, options.wait_s, given=False)
            note = (
                f"a real {board.name} is on {port}, but the offline kit built this: it runs on "
                "simulated boards only"
            )
        if options.simulated == "never":
            raise NoBoardError(
                note or f"no {board.name} is attached: plug it in, or give --port (miniml boards)"
            )
    if not board.simulator:
        raise NoBoardError(f"no {board.name} is attached, and it has no simulated board")
    if build.world == "official" and board.core != "avr":
        raise NoBoardError(
            f"no {board.name} is attached, and the simulated one runs only what the offline kit "
            "builds: plug it in, or build with MINIML_WORLD=kit"
        )
    return SimulatedPlace(board, options, log, note)


def await_port(place: Place, timeout_s: float) -> str:
    """The board's port, waited for while it has none.

    Raises:
        PortError: it did not come (back).
    """
    deadline = time.monotonic() + timeout_s
    while (port := place.port()) is None:
        if place.ours is not None:
            place.ours.check()
        if time.monotonic() > deadline:
            raise PortError(f"the board's port did not come back within {timeout_s:g} s: replug it")
        time.sleep(0.05)
    return port
