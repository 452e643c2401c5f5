"""The test rows again and again: a number of times, or for a time; its memory doesn't grow."""

from __future__ import annotations

import time
from dataclasses import dataclass

from miniml.float_net import DeviceModel
from miniml.hil.progress import SOAK
from miniml.hil.proof.comparison import Comparison
from miniml.hil.proof.device_rows import Values, expected_layers
from miniml.hil.proof.exercise import Exercise, Progress

SUITE = "again"


@dataclass
class Endurance:
    """What came of running the rows again.

    Attributes:
        passes: whole rounds over the rows, the first, compared layer by layer, included.
        inferences: runs of the whole network whose output was compared or whose cycles were.
        seconds: how long the rounds after the first took.
        worst_change: largest change of a row's masked cycles from the first round, relative and
            seen twice; None: not measured.
        first_change: the first one in words.
        flaky_cycles: cycle counts that were off once, and right when measured again.
        stopped: why it ended before its time; empty if it didn't.
    """

    passes: int = 1
    inferences: int = 0
    seconds: float = 0.0
    worst_change: float | None = None
    first_change: str = ""
    flaky_cycles: int = 0
    stopped: str = ""


def endure(
    comparison: Comparison,
    result: Endurance,
    exercise: Exercise,
    model: DeviceModel,
    rows: Values,
    masked: list[int],
    progress: Progress,
    *,
    passes: int,
    seconds: float,
) -> None:
    """Runs the rows until `passes` rounds and `seconds` are over, or a difference repeats.

    Args:
        comparison, result: new; they tell how far it came, also where the board gave up.
        exercise: has run the rows once.
        model: what the board computes.
        rows: (n, n_inputs), at least one.
        masked: their masked cycles in the first round; empty: not measured.
        progress: told seconds of a soak, else rows.
        passes: rounds in all, the first one included.
        seconds: 0: no soak.
    """
    result.inferences = len(rows) + len(masked)
    expected = expected_layers(model, rows)
    timed = len(masked) == len(rows)
    begin = time.monotonic()
    total = (passes - 1) * len(rows)
    while not result.stopped:
        result.seconds = time.monotonic() - begin
        row = comparison.rows % len(rows)
        if comparison.rows >= total and result.seconds >= seconds:
            break
        if seconds:
            progress(SOAK, min(int(result.seconds), int(seconds)), int(seconds))
        else:
            progress(SUITE, comparison.rows, total)
        exercise.check_output(comparison, row, rows[row], [layer[row] for layer in expected])
        result.inferences += 1
        result.passes = 1 + comparison.rows // len(rows)
        if timed:
            _compare_cycles(exercise, result, row, masked[row])
        if comparison.mismatches:
            result.stopped = "a difference repeated"
    progress(*((SOAK, int(seconds), int(seconds)) if seconds else (SUITE, total, total)))


def _compare_cycles(exercise: Exercise, result: Endurance, row: int, before: int) -> None:
    now = exercise.time(masked=True)
    result.inferences += 1
    if now is not None and now != before:
        again = exercise.time(masked=True)
        result.inferences += 1
        if again == before:
            result.flaky_cycles += 1
            return
        now = again
    change = abs((now or 0) - before) / max(before, 1)
    if change > (result.worst_change or 0.0) and not result.first_change:
        result.first_change = f"test row {row}: {before:,} cycles, then {now or 0:,}"
    result.worst_change = max(result.worst_change or 0.0, change)
