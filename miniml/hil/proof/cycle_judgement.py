"""A board's measured cycles by its rule: reasons to fail it, and what to tell beside them."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from miniml.boards import Board
from miniml.cost import Cost
from miniml.hil.proof.baselines import Baseline
from miniml.hil.proof.cycle_rules import CycleRule, cycle_rule
from miniml.hil.proof.endurance import Endurance
from miniml.hil.proof.exercise import Cycles

# Eight SBIW of two cycles each (firmware/lib/MiniMLLink/src/miniml_known_sequence.h).
KNOWN_SEQUENCE = 16
NOT_MEASURED = "cycles were not measured: one inference is longer than the counter reaches"


@dataclass
class CycleJudgement:
    """What came of it.

    Attributes:
        judged: against "foretold" or "baseline"; empty: shown, not judged.
        limit: the allowed relative difference; None: not judged.
        reasons: why the board fails; empty: it doesn't.
        notes: what a user should know.
    """

    judged: str = ""
    limit: float | None = None
    reasons: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def judge_cycles(
    board: Board,
    cost: Cost | None,
    cycles: Cycles,
    worst_error: float | None,
    endurance: Endurance | None,
    baseline: Baseline | None,
    *,
    simulated: bool,
    clock_hz: int | None,
    known_sequence: int | None = None,
) -> CycleJudgement:
    """Judges the masked cycles of a run.

    Args:
        board: whose they are.
        cost: what was foretold.
        cycles: what was measured.
        worst_error: largest |measured - foretold| / foretold over the rows; None: not known.
        endurance: what later rounds gave.
        baseline: recorded for this board, clock, toolchain and model; None: none.
        simulated: whether a simulated board counted.
        clock_hz: as the board told it.
        known_sequence: what TIME 2 gave; None: not asked.
    """
    result = CycleJudgement()
    if clock_hz is not None and clock_hz != board.clock_hz:
        result.notes.append(f"runs at {clock_hz:,} Hz, boards.ini says {board.clock_hz:,}")
    if not cycles.masked:
        result.notes.append(NOT_MEASURED)
        return result
    if known_sequence is not None and known_sequence != KNOWN_SEQUENCE:
        result.notes.append(
            f"another core than an ATmega's: a known sequence took {known_sequence} cycles, not "
            f"{KNOWN_SEQUENCE} (a clone with an LGT8F328P?); its cycles are shown, not judged"
        )
        return result
    rule = cycle_rule(board, cost, simulated=simulated, clock_hz=clock_hz)
    if rule.against == "foretold":
        _against_foretold(result, rule, worst_error)
    else:
        _against_baseline(result, rule, board, cost, cycles, baseline, clock_hz)
    change = (endurance.worst_change if endurance else None) or 0.0
    if endurance is None or not change:
        return result
    text = f"cycles of one row changed by up to {change:.2%} from run to run"
    if result.judged == "foretold" and change > rule.limit:
        result.reasons.append(
            f"{text}, {rule.limit:.0%} are allowed; first: {endurance.first_change}"
        )
    else:
        # A cache may hold other lines each time: only the median is judged there.
        result.notes.append(f"{text}; first: {endurance.first_change}")
    return result


def _against_foretold(result: CycleJudgement, rule: CycleRule, worst: float | None) -> None:
    if worst is None:
        result.notes.append("cycles are shown, not judged: not every row could be counted")
        return
    result.judged, result.limit = "foretold", rule.limit
    if worst > rule.limit:
        result.reasons.append(
            f"cycles are up to {worst:.2%} from the foretold ones, {rule.limit:.0%} are allowed"
        )


def _against_baseline(
    result: CycleJudgement,
    rule: CycleRule,
    board: Board,
    cost: Cost | None,
    cycles: Cycles,
    baseline: Baseline | None,
    clock_hz: int | None,
) -> None:
    if cost is not None and cost.cycles:
        stalls = round(statistics.median(cycles.masked)) - cost.cycles
        result.notes.append(
            f"{stalls:,} cycles ({stalls / cost.cycles:.1%}) above the figure without wait states"
        )
    record = f"miniml baseline record --board {board.name}"
    if baseline is None:
        clock = f" at {clock_hz:,} Hz" if clock_hz else ""
        result.notes.append(
            f"cycles are shown, not judged: no baseline of {board.name}{clock} with this toolchain "
            f"and model; record this run's: {record}"
        )
    elif baseline.rows != len(cycles.masked):
        result.notes.append(
            f"cycles are shown, not judged: the baseline is of {baseline.rows} rows, this run of "
            f"{len(cycles.masked)}"
        )
    else:
        result.judged, result.limit = "baseline", rule.limit
        median = round(statistics.median(cycles.masked))
        error = abs(median - baseline.median) / baseline.median
        if error > rule.limit:
            result.reasons.append(
                f"the median of {median:,} cycles is {error:.2%} from the baseline of "
                f"{baseline.median:,}, {rule.limit:.0%} are allowed; if that is meant: {record}"
            )
