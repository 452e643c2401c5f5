"""Rows a second of several equal simulated boards at once, against one: `miniml bench together`."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from miniml.boards import Board, pick_board
from miniml.errors import FlashError
from miniml.hil.board_log import BoardLog
from miniml.hil.link.line_port import LinePort
from miniml.hil.link.session import Session
from miniml.hil.place.simulated_board import SimulatedBoard
from miniml.hil.project import miniml_dir
from miniml.hil.proof.exercise import Exercise
from miniml.hil.proof.identity import check_firmware, who_is_there
from miniml.hil.run_options import RunOptions
from miniml.hil.source import Source, open_source

RUN_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Together:
    """What the rounds gave, a figure a round.

    Attributes:
        board, boards, rows: how many of which, and rows of each a round, every layer compared.
        processors: that this machine has for us.
        alone: rows a second of one board, the mean of all of them, one after the other.
        together: rows a second of all of them at once.
        mismatches: bytes that differ.
    """

    board: str
    boards: int
    rows: int
    processors: int
    alone: list[float]
    together: list[float]
    mismatches: int

    @property
    def gain(self) -> float:
        """The median over the rounds of together / alone."""
        pairs = zip(self.together, self.alone, strict=True)
        return statistics.median(many / one for many, one in pairs)

    def record(self) -> dict[str, Any]:
        """As JSON has it."""
        figures = {name: [round(x, 1) for x in getattr(self, name)] for name in _FIGURES}
        return asdict(self) | figures | {"gain": round(self.gain, 2)}

    def text(self) -> str:
        """A line for each round, and the gain."""
        lines = [f"{self.boards} simulated {self.board} at once, {self.processors} processors"]
        lines += [
            f"  alone {one:7.1f} rows/s, together {many:7.1f}, {many / one:.2f} times"
            for one, many in zip(self.alone, self.together, strict=True)
        ]
        return "\n".join([*lines, f"median: {self.gain:.2f} times"])


_FIGURES = ("alone", "together")


def bench_together(options: RunOptions, boards: int, rounds: int) -> Together:
    """Runs test rows on each of `boards` boards in turn, then on all at once; `rounds` times.

    Args:
        options: its only board's simulated one must have been flashed (`miniml flash`).
        boards: how many, each a process of its own.
        rounds: at least one.

    Raises:
        UsageError, FlashError, StaleFirmwareError: board, build and model don't fit.
        BoardError: a board failed.
    """
    with open_source(options) as source, ExitStack() as stack:
        board = pick_board(source.boards, options.boards[0])
        source.load_models([board])
        flash = miniml_dir(options.project) / "boards" / board.name / "flash.bin"
        if not flash.is_file():
            raise FlashError(f"{flash} is missing: run `miniml flash --board {board.name}`")
        base = Path(stack.enter_context(TemporaryDirectory(prefix="miniml-together-")))
        runs = []
        for number in range(boards):
            folder = base / str(number)
            folder.mkdir()
            (folder / "flash.bin").write_bytes(flash.read_bytes())
            runs.append(_start(stack, source, board, folder, options.samples))
        rows, mismatches = runs[0]()[0], 0
        alone, together = [], []
        for _ in range(rounds):
            begin = time.monotonic()
            mismatches += sum(run()[1] for run in runs)
            alone.append(boards * rows / (time.monotonic() - begin))
            with ThreadPoolExecutor(boards) as pool:
                begin = time.monotonic()
                waiting = [pool.submit(run) for run in runs]
                mismatches += sum(future.result()[1] for future in waiting)
                together.append(boards * rows / (time.monotonic() - begin))
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    return Together(board.name, boards, rows, processors, alone, together, mismatches)


def _start(
    stack: ExitStack, source: Source, board: Board, folder: Path, samples: int | None
) -> Callable[[], tuple[int, int]]:
    """A board of its own; what runs its rows gives their number and the bytes that differ."""
    simulated = SimulatedBoard(board, folder, BoardLog(board.name))
    simulated.start()
    stack.callback(simulated.stop)
    port = simulated.port()
    assert port is not None
    line = stack.enter_context(closing(LinePort(port, board.link_baud)))
    session = Session(line, BoardLog(board.name))
    build = source.build(board.name)
    check_firmware(who_is_there(session, board.reset_settle_ms / 1000), build)
    subject = source.subject(board, build, samples)
    exercise = Exercise(session, subject.model, RUN_TIMEOUT_S, lambda *progress: None)

    def run() -> tuple[int, int]:
        result = exercise.run_rows("test", subject.rows)
        return result.rows, result.mismatches

    return run
