"""A simulated board that is started for a run, in a process of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from miniml.boards import Board
from miniml.errors import BoardError
from miniml.hil.board_log import BoardLog
from miniml.hil.lock.board_lock import board_lock
from miniml.hil.place.place import Exporter
from miniml.hil.place.simulated_board import SimulatedBoard
from miniml.hil.project import miniml_dir
from miniml.hil.run_options import RunOptions


class SimulatedPlace:
    """A simulated board that is started for this run."""

    simulated: bool | None = True
    exporter: Exporter | None = None
    socket = doubt = ""

    def __init__(self, board: Board, options: RunOptions, log: BoardLog, note: str = "") -> None:
        """Nothing is started yet."""
        self.note = note
        self._state = miniml_dir(options.project) / "boards" / board.name
        self._board, self._wait_s = board, options.wait_s
        self._interrupted = threading.Event()
        self.ours: SimulatedBoard | None = SimulatedBoard(
            board, self._state, log, pace=options.pace
        )

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """Runs the simulated board; its process is gone afterwards."""
        assert self.ours is not None
        what = f"simulated {self._board.name}"
        with board_lock(f"state {self._state.resolve()}", what, self._wait_s, self._interrupted):
            try:
                self.ours.start()
                yield
            finally:
                self.ours.stop()

    def port(self) -> str | None:
        """Its current PTY."""
        assert self.ours is not None
        return self.ours.port()

    def check(self) -> None:
        """Raises SimulatorError if its process has ended."""
        assert self.ours is not None
        self.ours.check()

    def cause(self) -> str:
        """What the simulator says of the board's end."""
        assert self.ours is not None
        try:
            status = self.ours.control("status")
        except BoardError:
            return "the simulated board's process has ended"
        reason = status.get("crashed") or status.get("reason")
        return f"simulated board: {reason}" if reason else ""

    def interrupt(self) -> None:
        """Ends its process, as a power cut; waits no longer for its lock."""
        self._interrupted.set()
        assert self.ours is not None
        self.ours.kill()
