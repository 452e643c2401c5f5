"""One conversation over a faulty line, as a run of the harness has it, and how it ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from miniml.bench.faults.firmware import BUILD_ID
from miniml.bench.faults.kinds import Kind
from miniml.bench.faults.wire import Wire
from miniml.boards import Board
from miniml.errors import BoardError
from miniml.hil.board_log import BoardLog
from miniml.hil.firmware_build import FirmwareBuild
from miniml.hil.link.line_port import LinePort
from miniml.hil.link.row_stream import run_rows
from miniml.hil.link.session import ANSWER_TIMEOUT_S, Session
from miniml.hil.proof.comparison import Comparison
from miniml.hil.proof.exercise import Cycles, Exercise
from miniml.hil.proof.identity import (
    check_board,
    check_firmware,
    check_shape,
    stack_use,
    who_is_there,
)
from miniml.model import Int8Array, QuantizedModel
from miniml.reference import run_layers

# Rows of a conversation: with every layer and cycles, as fast as the line allows, and quantized.
ROWS, STREAMED, FLOATS = 2, 5, 1
# A conversation that lasts longer hangs; the longest one takes a tenth of it.
HANG_S = 60.0


@dataclass(frozen=True, eq=False)
class Bench:
    """What the conversations are about: a board named `board`, its model, and rows."""

    board: Board
    model: QuantizedModel
    inputs: Int8Array

    def build(self) -> FirmwareBuild:
        """What the harness believes to have flashed."""
        return FirmwareBuild(
            environment=self.board.name,
            folder=Path(),
            build_id=BUILD_ID.lower(),
            model_id=self.model.model_id,
            model=self.model.name,
            model_dir=Path(),
            mode="int8",
            kernels_sha256=None,
            world="kit",
            platform="",
            toolchain="",
            elf_sha256="",
            flash=0,
            sram=0,
            link_flash=None,
            link_sram=None,
        )


@dataclass(frozen=True)
class Ending:
    """How a conversation ended.

    Attributes:
        how: "right", "FAIL" or an error's class; "lost rows" and "wrong cycles" are nobody's.
        exchanges: requests made.
        hung: it had to be ended from outside.
        message: the error's.
    """

    how: str
    exchanges: int
    hung: bool = False
    message: str = ""


def converse(bench: Bench, wire: Wire, kind: Kind, rng: Random, patience: float) -> Ending:
    """One conversation; where the kind says so, a second one on the port's next name."""
    ending = _converse_once(bench, wire.port, rng, patience)
    if not kind.reopens or ending.how != "PortError":
        return ending
    wire.plug_in()
    again = _converse_once(bench, wire.port, rng, patience)
    return replace(again, exchanges=ending.exchanges + again.exchanges)


def _converse_once(bench: Bench, port: str, rng: Random, patience: float) -> Ending:
    cancel = threading.Event()
    begin = time.monotonic()
    guard = threading.Timer(HANG_S, cancel.set)
    guard.daemon = True
    guard.start()
    session: Session | None = None
    how, message = "right", ""
    try:
        with closing(LinePort(port, bench.board.link_baud, cancel=cancel)) as line:
            session = Session(line, BoardLog(bench.board.name), patience=patience)
            how = _run(bench, session, port, rng)
    except BoardError as error:
        how, message = type(error).__name__, str(error)
    finally:
        guard.cancel()
    hung = cancel.is_set() or time.monotonic() - begin > HANG_S
    return Ending(how, session.requests if session else 0, hung, message)


def _run(bench: Bench, session: Session, port: str, rng: Random) -> str:
    identity = who_is_there(session, 0)
    check_board(identity, bench.board, port)
    check_firmware(identity, bench.build())
    check_shape(session, bench.model)
    exercise = Exercise(session, bench.model, ANSWER_TIMEOUT_S, lambda *progress: None)
    steps = [_exact, _streamed, _quantized]
    rng.shuffle(steps)
    for step in steps:
        if (how := step(bench, session, exercise, rng)) != "right":
            return how
    stack_use(session)
    return "right"


def _exact(bench: Bench, session: Session, exercise: Exercise, rng: Random) -> str:
    cycles = Cycles()
    rows = _some(bench, rng, ROWS)
    result = exercise.run_rows("test", rows, cycles)
    if result.rows != ROWS or len(result.outputs) != ROWS or len(cycles.masked) != ROWS:
        return "lost rows"
    # Each row again: a device counts the same.
    for row, masked in zip(rows, cycles.masked, strict=True):
        session.load(row.tobytes())
        if exercise.time(masked=True) != masked:
            return "wrong cycles"
    return "FAIL" if result.mismatches else "right"


def _streamed(bench: Bench, session: Session, exercise: Exercise, rng: Random) -> str:
    rows = _some(bench, rng, STREAMED)
    layers = run_layers(bench.model, rows)
    expected = [row.tobytes() for row in layers[-1]]
    inputs = [row.tobytes() for row in rows]
    found = list(run_rows(session, inputs, len(layers), len(expected[0]), ANSWER_TIMEOUT_S))
    if len(found) != STREAMED:
        return "lost rows"
    # A difference counts only if it comes back.
    result = Comparison("again")
    for row in _differing(found, expected):
        exercise.check_row(result, row, rows[row], [layer[row] for layer in layers])
    return "FAIL" if result.mismatches else "right"


def _quantized(bench: Bench, session: Session, exercise: Exercise, rng: Random) -> str:
    features = _some(bench, rng, FLOATS).astype("float32")
    result = exercise.quantize_rows(bench.model, features)
    if result.rows != FLOATS:
        return "lost rows"
    return "FAIL" if result.mismatches else "right"


def _some(bench: Bench, rng: Random, count: int) -> Int8Array:
    return bench.inputs[rng.sample(range(len(bench.inputs)), count)]


def _differing(found: Sequence[bytes], expected: Sequence[bytes]) -> list[int]:
    return [row for row, pair in enumerate(zip(found, expected, strict=True)) if pair[0] != pair[1]]
