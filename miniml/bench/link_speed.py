"""How many test rows a second a board's line carries: `miniml bench link`."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

from miniml.boards import Board, pick_board
from miniml.hil.board_log import BoardLog
from miniml.hil.flash import FlashJob, flash
from miniml.hil.link.row_stream import run_rows
from miniml.hil.link.session import Session
from miniml.hil.open_board import open_board
from miniml.hil.place.find import find_place
from miniml.hil.project import miniml_dir
from miniml.hil.proof.device_rows import expected_layers
from miniml.hil.proof.identity import check_board, check_firmware, check_shape, who_is_there
from miniml.hil.run_options import RunOptions
from miniml.hil.source import Source, open_source

# A start bit, eight data bits and a stop bit.
BITS_A_BYTE = 10
RUN_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class LinkSpeed:
    """One board's rows over its line.

    Attributes:
        board, simulated, pace, baud: where; pace is "hardware" on a real board, and empty
            where nothing tells (simulated is None).
        rows: inferences, outputs only; all of them compared with the reference.
        wrong: rows whose bytes differ.
        payload: bytes of a row's inputs and outputs, as they lie in memory.
        seconds: from the first request to the last answer.
        retries: rows that were done again.
    """

    board: str
    simulated: bool | None
    pace: str
    baud: int
    rows: int
    wrong: int
    payload: int
    seconds: float
    retries: int

    @property
    def rows_per_second(self) -> float:
        """Measured."""
        return self.rows / self.seconds

    @property
    def share(self) -> float:
        """Of the rows a second that the payload's bytes alone would allow at this rate."""
        return self.rows_per_second * self.payload * BITS_A_BYTE / self.baud

    def record(self) -> dict[str, Any]:
        """As JSON has it, with the two figures."""
        figures = {"rows_per_second": self.rows_per_second, "share": self.share}
        return asdict(self) | {name: round(value, 3) for name, value in figures.items()}


def table(speeds: Sequence[LinkSpeed]) -> str:
    """A line a board; ends with how to read it."""
    layout = "  {:<15} {:<9} {:>8} {:>6} {:>6} {:>8} {:>8} {:>7} {:>7}"
    lines = [
        layout.format(
            *("board", "pace", "baud", "rows", "wrong", "payload", "rows/s", "share", "again")
        )
    ]
    lines += [
        layout.format(
            *(speed.board, speed.pace, f"{speed.baud:,}", speed.rows, speed.wrong),
            *(f"{speed.payload} B", f"{speed.rows_per_second:.1f}", f"{speed.share:.1%}"),
            speed.retries,
        )
        for speed in speeds
    ]
    return "\n".join(
        [
            *lines,
            "Test rows, outputs only, two requests under way. payload: bytes of a row's inputs and",
            "outputs; share: of the rows a second that these bytes alone would take at this rate,",
            "one way. A simulated board that runs free has no rate: its share means nothing.",
        ]
    )


def bench_link(options: RunOptions, passes: int) -> list[LinkSpeed]:
    """Runs all test rows over each board's line, `passes` times, one board after the other.

    Raises:
        UsageError, FlashError, StaleFirmwareError: board, build and model don't fit.
        NoBoardError, BoardError: no board, or it failed.
    """
    with open_source(options) as source:
        boards = [pick_board(source.boards, name) for name in options.boards]
        source.load_models(boards)
        return [_measure(options, source, board, passes) for board in boards]


def _measure(options: RunOptions, source: Source, board: Board, passes: int) -> LinkSpeed:
    build = source.build(board.name)
    subject = source.subject(board, build, options.samples)
    model, rows = subject.model, [row.tobytes() for row in subject.rows]
    expected = [row.tobytes() for row in expected_layers(model, subject.rows)[-1]]
    cancel = threading.Event()
    file = miniml_dir(options.project) / "log" / f"{board.name}-bench.log"
    with closing(BoardLog(board.name, file, verbose=options.verbose)) as log:
        place = find_place(board, source.boards, build, options, log)
        with place.occupied():
            if options.flash:
                flash(FlashJob(options.project, board, place, build, log, cancel, options.wait_s))
            with closing(open_board(place, board, log, cancel)) as line:
                session = Session(line, log, patience=options.patience)
                identity = who_is_there(session, board.reset_settle_ms / 1000)
                check_board(identity, board, line.url)
                check_firmware(identity, build)
                check_shape(session, model)
                layers, width = len(model.widths) - 1, len(expected[0])
                begin = time.monotonic()
                found = list(run_rows(session, rows * passes, layers, width, RUN_TIMEOUT_S))
                seconds = time.monotonic() - begin
    return LinkSpeed(
        board=board.name,
        simulated=place.simulated,
        pace={True: options.pace, False: "hardware", None: ""}[place.simulated],
        baud=board.link_baud,
        rows=passes * len(rows),
        wrong=sum(a != b for a, b in zip(found, expected * passes, strict=True)),
        payload=len(rows[0]) + len(expected[0]),
        seconds=seconds,
        retries=session.retries,
    )
