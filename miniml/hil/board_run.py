"""One board from finding it to its result: the harness' only path, whoever calls it."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np

from miniml.boards import Board
from miniml.cost.paths import Int64Array
from miniml.errors import BoardError, MiniMLError, PortError
from miniml.hil.board_log import BoardLog
from miniml.hil.firmware_build import FirmwareBuild
from miniml.hil.flash import FlashJob, flash
from miniml.hil.link.session import Session
from miniml.hil.look_before import look_before_flashing
from miniml.hil.open_board import open_board
from miniml.hil.place.find import find_place
from miniml.hil.place.place import Place
from miniml.hil.place.poison import check_poison, lift_poison, poison
from miniml.hil.project import miniml_dir
from miniml.hil.proof.baselines import Baseline, BaselineKey, find_baseline, load_baselines
from miniml.hil.proof.comparison import Comparison
from miniml.hil.proof.cycle_rules import cycle_rule
from miniml.hil.proof.device_rows import score
from miniml.hil.proof.endurance import SUITE, Endurance, endure
from miniml.hil.proof.exercise import Exercise, Progress
from miniml.hil.proof.identity import (
    check_board,
    check_firmware,
    check_shape,
    known_sequence,
    stack_use,
    who_is_there,
)
from miniml.hil.proof.subject import Subject
from miniml.hil.proof.verdict import BoardResult, judge, record_error
from miniml.hil.recovery import with_retries
from miniml.hil.run_options import RunOptions
from miniml.hil.source import Source
from miniml.hil.wrong_row import explain
from miniml.model import QuantizedModel

# RAMEND of the ATmega328P (data sheet DS40002061, section 8.3).
AVR_RAM_END = 0x8FF
# A generous bound for one run: cycles a MAC of the slowest kernel, and for a simulator's pace.
CYCLES_PER_MAC_BOUND = 500
SIMULATOR_SLOWDOWN = 10
# A USB device that was reset is off the bus within this time.
LEAVES_S = 1.0


@dataclass
class BoardRun:
    """What one board's run needs; `execute` does it and never raises a MiniMLError.

    Attributes:
        source: has loaded the board's model.
        cancel: set to end the run early.
        place: where the board is, once it was found.
        baselines: of the project, once the run began.
    """

    board: Board
    options: RunOptions
    source: Source
    cancel: threading.Event
    progress: Progress
    place: Place | None = None
    baselines: Mapping[BaselineKey, Baseline] = field(default_factory=dict)

    def execute(self) -> BoardResult:
        """Flash, identify, run, compare, judge."""
        result = BoardResult(self.board.name, self.board.title)
        file = miniml_dir(self.options.project) / "log" / f"{self.board.name}.log"
        log = BoardLog(self.board.name, file, verbose=self.options.verbose)
        try:
            self._execute(result, log)
            judge(result, self.board)
        except MiniMLError as error:
            log.add("host", f"{type(error).__name__}: {error}")
            record_error(result, error, optional=self.options.optional)
        except Exception as error:
            # A fault of ours on one board must not take the others' results with it.
            for line in traceback.format_exc().splitlines():
                log.add("fault in MiniML", line)
            record_error(result, error, optional=False)
        result.log_tail = log.tail()
        log.close()
        return result

    def _execute(self, result: BoardResult, log: BoardLog) -> None:
        self.baselines = load_baselines(self.options.project)
        build = result.build = self.source.build(self.board.name)
        subject = self.source.subject(self.board, build, self.options.samples)
        if build.mode != "int8":
            result.notes.append(f"mode {build.mode}, model {subject.model.model_id[:16]}")
        place = self.place = find_place(self.board, self.source.boards, build, self.options, log)
        result.simulated = place.simulated
        if self.options.unpoison:
            lift_poison(self.options.project, self.board, place)
        check_poison(self.options.project, self.board, place)
        with place.occupied():
            result.simulated, result.exporter = place.simulated, place.exporter
            if place.note:
                result.notes.append(place.note)

            def attempt() -> None:
                result.forget_measured()
                try:
                    self._attempt(result, place, subject, build, log)
                except BoardError as error:
                    raise explained(error, place) from error

            try:
                again = with_retries(self.board, place, log, self.cancel, attempt)
            except BoardError as error:
                if error.unresponsive and self.board.retries and not self.cancel.is_set():
                    poison(self.options.project, self.board, place, error)
                raise
            result.power_cycles = again

    def _attempt(
        self,
        result: BoardResult,
        place: Place,
        subject: Subject,
        build: FirmwareBuild,
        log: BoardLog,
    ) -> None:
        if self.options.flash:
            look_before_flashing(place, self.board, self.options, log, self.cancel)
            flash(self._flash_job(place, build, log))
        if self.board.reset == "verb":
            self._reset_by_link(place, log)
        with closing(open_board(place, self.board, log, self.cancel)) as line:
            session = Session(line, log, patience=self.options.patience)
            try:
                self._converse(result, session, line.url, subject, build)
            finally:
                result.retries += session.retries

    def _reset_by_link(self, place: Place, log: BoardLog) -> None:
        """By RESET; a port that is the chip's own USB goes with it and comes back."""
        with closing(open_board(place, self.board, log, self.cancel)) as line:
            session = Session(line, log, patience=self.options.patience)
            identity = who_is_there(session, self.board.reset_settle_ms / 1000)
            check_board(identity, self.board, line.url)
            try:
                session.reset()
                line.drain(time.monotonic() + LEAVES_S)
            except PortError as error:
                log.add("host", f"after RESET: {error}")

    def _flash_job(self, place: Place, build: FirmwareBuild, log: BoardLog) -> FlashJob:
        project, wait_s = self.source.folder, self.options.wait_s
        return FlashJob(project, self.board, place, build, log, self.cancel, wait_s)

    def _converse(
        self,
        result: BoardResult,
        session: Session,
        port: str,
        subject: Subject,
        build: FirmwareBuild,
    ) -> None:
        model, options = subject.model, self.options
        identity = result.identity = who_is_there(session, self.board.reset_settle_ms / 1000)
        check_board(identity, self.board, port)
        check_firmware(identity, build)
        check_shape(session, model)
        if self.board.core == "avr":
            result.known_sequence = known_sequence(session)
        result.baseline = find_baseline(
            self.baselines, build, bool(result.simulated), identity.clock_hz
        )
        cost = result.cost = subject.cost
        exercise = Exercise(session, model, self._run_timeout(model.macs, result), self._row_done)
        test = exercise.run_rows("test", subject.rows, result.cycles)
        result.comparisons.append(test)
        rule = cycle_rule(
            self.board, cost, simulated=bool(result.simulated), clock_hz=identity.clock_hz
        )
        if rule.against == "foretold" and cost.cycles_by_row is not None:
            exercise.measure_again(subject.rows, result.cycles, cost.cycles_by_row, rule.limit)
        result.worst_cycle_error = worst_error(result.cycles.masked, cost.cycles_by_row)
        if test.outputs:
            outputs = np.stack(test.outputs)
            result.accuracy, result.rmse = score(model, outputs, subject.labels)
        if options.random_rows:
            hard = subject.hard_rows(options.random_rows)
            result.comparisons.append(exercise.run_rows("random", hard))
        if options.float_rows and isinstance(model, QuantizedModel):
            floats = subject.hard_floats(options.float_rows)
            result.comparisons.append(exercise.quantize_rows(model, floats))
        if (options.repeat > 1 or options.soak_s) and not result.mismatches and len(subject.rows):
            again, result.endurance = Comparison(SUITE), Endurance()
            result.comparisons.append(again)
            endure(
                again,
                result.endurance,
                exercise,
                model,
                subject.rows,
                result.cycles.masked,
                self._row_done,
                passes=options.repeat,
                seconds=options.soak_s,
            )
        explain(result, model, self.options.project)
        result.stack = stack_use(session)
        if self.place is not None and self.place.ours is not None:
            result.simulator_stack = simulator_stack(self.place.ours.control("status"))

    def _row_done(self, suite: str, done: int, total: int) -> None:
        # A lost place may still answer, but nobody keeps others from it.
        if self.place is not None and self.place.exporter is not None:
            self.place.check()
        self.progress(suite, done, total)

    def _run_timeout(self, macs: int, result: BoardResult) -> float:
        seconds = CYCLES_PER_MAC_BOUND * (macs + 1000) / self.board.clock_hz
        return 2.0 + seconds * (SIMULATOR_SLOWDOWN if result.simulated else 1)


def explained(error: BoardError, place: Place) -> BoardError:
    """The same error, with what the place knows of the board's end."""
    cause = place.cause()
    if not cause or cause in str(error):
        return error
    told = type(error)(f"{error} ({cause})")
    # A board whose place is lost does not hang.
    told.unresponsive = error.unresponsive and place.exporter is None
    return told


def simulator_stack(status: Mapping[str, object]) -> int | None:
    """Bytes of stack that the simulator saw used; the AVR's tells its lowest stack pointer."""
    lowest, used = status.get("sp_min"), status.get("stack")
    if isinstance(used, int):
        return used
    return AVR_RAM_END - lowest if isinstance(lowest, int) else None


def worst_error(measured: list[int], foretold: Int64Array | None) -> float | None:
    """Largest |measured - foretold| / foretold over the rows; None if either is missing."""
    if foretold is None or len(measured) != len(foretold) or not measured:
        return None
    return float(np.max(np.abs(np.array(measured) - foretold) / foretold))
