"""What a board's run is worth: PASS, FLAKY, FAIL, ERROR or SKIP, and by which rule."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Literal

from miniml.boards import Board
from miniml.cost import Cost
from miniml.errors import MiniMLError, NoBoardError
from miniml.hil.firmware_build import FirmwareBuild
from miniml.hil.place.place import Exporter
from miniml.hil.proof.baselines import Baseline
from miniml.hil.proof.comparison import Comparison
from miniml.hil.proof.cycle_judgement import CycleJudgement, judge_cycles
from miniml.hil.proof.divergence import Divergence
from miniml.hil.proof.endurance import Endurance
from miniml.hil.proof.exercise import Cycles
from miniml.hil.proof.identity import Identity, StackUse

Verdict = Literal["PASS", "FLAKY", "FAIL", "ERROR", "SKIP"]
# Bytes by which painted and simulated stack may differ: the simulator sees every byte below the
# stack pointer, painting only those that were written with another value.
STACK_SLACK = 16
# What a firmware gives for every output after its CMSIS-NN failed the self-test; no output is that.
CMSIS_NN_REFUSED = -128
# What stays of a result when a board is tried again.
KEPT = ("name", "title", "simulated", "exporter", "build", "notes", "retries", "log_tail")
EXIT_INFRASTRUCTURE = MiniMLError.exit_code


@dataclass
class BoardResult:
    """All that is known of one board after its run; the report is made of these.

    Attributes:
        name: the board's section and environment.
        simulated: None where no board was found, or where nothing tells.
        exporter: the place of a lab that it hangs at; None: at this machine.
        verdict: SKIP only where the user made the board optional.
        reasons: why it is not PASS; empty for PASS.
        error: the exception's name; empty unless ERROR or SKIP.
        exit_code: what this board alone would end `miniml run` with.
        comparisons: one a suite that ran.
        cost: foretold figures; None if it did not come so far.
        worst_cycle_error: largest |measured - foretold| / foretold over the rows.
        known_sequence: cycles of TIME 2; None: not asked.
        baseline: recorded before for this board, clock, toolchain and model; None: none.
        cycle_judgement: how the cycles were judged.
        divergence: where the first wrong row leaves the reference.
        replay: file that `miniml replay` runs that row from; empty: there is none.
        endurance: of --repeat or --soak; None: neither was asked for.
        simulator_stack: bytes below the top that the simulator saw used; None: not simulated.
        retries: requests of the link that were sent again.
        power_cycles: how often the board had to be started anew before it ran to the end.
        accuracy: of the board's own outputs over the test rows, 0 to 1; None for regression.
        rmse: of them, in the target's units; None for classification.
    """

    name: str
    title: str
    simulated: bool | None = None
    exporter: Exporter | None = None
    verdict: Verdict = "ERROR"
    reasons: list[str] = field(default_factory=list)
    error: str = ""
    exit_code: int = 4
    build: FirmwareBuild | None = None
    identity: Identity | None = None
    comparisons: list[Comparison] = field(default_factory=list)
    cycles: Cycles = field(default_factory=Cycles)
    cost: Cost | None = None
    worst_cycle_error: float | None = None
    known_sequence: int | None = None
    baseline: Baseline | None = None
    cycle_judgement: CycleJudgement = field(default_factory=CycleJudgement)
    divergence: Divergence | None = None
    replay: str = ""
    endurance: Endurance | None = None
    stack: StackUse | None = None
    simulator_stack: int | None = None
    accuracy: float | None = None
    rmse: float | None = None
    retries: int = 0
    power_cycles: int = 0
    notes: list[str] = field(default_factory=list)
    log_tail: list[str] = field(default_factory=list)

    def forget_measured(self) -> None:
        """Before another attempt: what a broken one left behind."""
        fresh = BoardResult(self.name, self.title)
        for measured in fields(self):
            if measured.name not in KEPT:
                setattr(self, measured.name, getattr(fresh, measured.name))

    @property
    def samples(self) -> int:
        """Rows of the test split that ran."""
        return sum(c.rows for c in self.comparisons if c.suite == "test")

    @property
    def mismatches(self) -> int:
        """Output bytes that differ, over all suites."""
        return sum(c.output_mismatches for c in self.comparisons)

    @property
    def median_cycles(self) -> int | None:
        """Median of the masked figures."""
        return _median(self.cycles.masked)

    @property
    def median_unmasked(self) -> int | None:
        """Median with interrupts as they are, over the first rows."""
        return _median(self.cycles.unmasked)


def _median(figures: list[int]) -> int | None:
    return round(statistics.median(figures)) if figures else None


def judge(result: BoardResult, board: Board) -> None:
    """Sets verdict, reasons and exit code of a run that came to its end."""
    reasons = []
    for comparison in result.comparisons:
        if comparison.mismatches:
            reasons.append(
                f"{comparison.mismatches:,} of {comparison.bytes_compared:,} bytes differ; "
                f"first: {comparison.first}"
            )
    first = next((c.first for c in result.comparisons if c.first), None)
    mode = result.build.mode if result.build else board.mode
    if mode == "cmsis_nn" and first and first.layer and first.found == CMSIS_NN_REFUSED:
        reasons.append(
            "the firmware refused its CMSIS-NN, which computes other bytes: compile all of it "
            "without CMSIS_NN_USE_SINGLE_ROUNDING (docs/CMSIS_NN.md)"
        )
    if result.divergence is not None:
        again = f"; run it again: miniml replay {result.replay}" if result.replay else ""
        reasons.append(f"{result.divergence}{again}")
    judged = result.cycle_judgement = judge_cycles(
        board,
        result.cost,
        result.cycles,
        result.worst_cycle_error,
        result.endurance,
        result.baseline,
        simulated=bool(result.simulated),
        clock_hz=result.identity.clock_hz if result.identity else None,
        known_sequence=result.known_sequence,
    )
    reasons += judged.reasons
    result.notes += judged.notes
    painted = result.stack.used if result.stack else None
    seen = result.simulator_stack
    if painted is not None and seen is not None and abs(painted - seen) > STACK_SLACK:
        reasons.append(f"the board painted {painted} bytes of stack, the simulator saw {seen}")
    if not result.samples:
        reasons.append("nothing was tested")
    flaky = flaky_reasons(result)
    result.reasons = reasons + flaky
    result.verdict = "FAIL" if reasons else "FLAKY" if flaky else "PASS"
    result.exit_code = 1 if result.reasons else 0


def flaky_reasons(result: BoardResult) -> list[str]:
    """What was wrong once and right when it was done again: never a pass."""
    reasons = [
        f"{c.flaky:,} of {c.rows:,} rows differed once and were right when run again; "
        f"first: {c.first_flaky}"
        for c in result.comparisons
        if c.flaky
    ]
    if result.power_cycles:
        reasons.append(f"it ran to the end only after {result.power_cycles} retries (its log)")
    off = result.cycles.flaky + (result.endurance.flaky_cycles if result.endurance else 0)
    if off:
        reasons.append(f"{off:,} cycle counts were off once and right when measured again")
    return reasons


def record_error(result: BoardResult, error: Exception, *, optional: bool) -> None:
    """Sets what a run is worth that could not come to its end; the first cause is kept."""
    result.error = type(error).__name__
    result.reasons = [" ".join(str(error).split()) or "(no message)"]
    skipped = optional and isinstance(error, NoBoardError)
    result.verdict = "SKIP" if skipped else "ERROR"
    result.exit_code = 0 if skipped else getattr(error, "exit_code", EXIT_INFRASTRUCTURE)


def worst_code(codes: Iterable[int]) -> int:
    """Of all boards: 1 if one failed, else the worst error, else 0; 3 if there is none."""
    found = set(codes)
    return 1 if 1 in found else max(found, default=3)
