"""How far each board is: a line a board on a terminal, a few plain lines anywhere else."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TextIO

# A suite's plain lines: at each quarter; those of a soak, whose steps are seconds: at each 5 %.
PLAIN_STEPS = 4
PLAIN_SOAK_STEPS = 20
SOAK = "soak seconds"
_REDRAW_S = 0.1


class ProgressLines:
    """Shows what the boards' threads tell it."""

    def __init__(
        self, boards: Sequence[str], stream: TextIO | None = None, *, plain: bool = False
    ) -> None:
        """On stderr unless told; `plain` keeps a terminal from being redrawn."""
        self._stream = stream or sys.stderr
        self._redraws = self._stream.isatty() and not plain
        self._states = dict.fromkeys(boards, "")
        self._told: dict[tuple[str, str], int] = {}
        self._drawn, self._next_redraw = 0, 0.0
        self._lock = threading.Lock()

    def of(self, board: str) -> Callable[[str, int, int], None]:
        """The progress function of one board: suite, how many are done, of how many."""

        def show(suite: str, done: int, total: int) -> None:
            with self._lock:
                self._states[board] = f"{board} {suite} {done:,}/{total:,}"
                if self._redraws:
                    self._redraw(finished=done == total)
                else:
                    self._tell(board, suite, done, total)

        return show

    def end(self) -> None:
        """Leaves a clean terminal."""
        with self._lock:
            if self._drawn:
                self._stream.write(f"\x1b[{self._drawn}A\x1b[J")
                self._stream.flush()
            self._drawn, self._redraws = 0, False

    def _redraw(self, *, finished: bool) -> None:
        now = time.monotonic()
        if now < self._next_redraw and not finished:
            return
        self._next_redraw = now + _REDRAW_S
        # A line that wraps would be two.
        width = max(20, shutil.get_terminal_size().columns - 1)
        lines = [state[:width] for state in self._states.values() if state]
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        self._stream.write(up + "".join(f"\r\x1b[K{line}\n" for line in lines))
        self._stream.flush()
        self._drawn = len(lines)

    def _tell(self, board: str, suite: str, done: int, total: int) -> None:
        steps = PLAIN_SOAK_STEPS if suite == SOAK else PLAIN_STEPS
        step = done * steps // total if total else steps
        if step > self._told.get((board, suite), 0):
            self._told[board, suite] = step
            print(self._states[board], file=self._stream, flush=True)
