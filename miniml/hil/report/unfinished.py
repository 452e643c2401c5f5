"""The report of a run that has not come to its end, or never does: ERROR with the cause."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from miniml.boards import Board
from miniml.errors import MiniMLError, UnfinishedError
from miniml.hil.proof.verdict import BoardResult, record_error
from miniml.hil.report.content import content, printable

UNDER_WAY = "the run is under way, or was killed: run it again"
INTERRUPTED = "the run was interrupted: run it again"


def unfinished(boards: Sequence[Board], error: BaseException) -> dict[str, Any]:
    """A report in which the run's own error is each board's, or its only content.

    No quarantine counts: it is the run that failed, not a board.

    Args:
        boards: those that were chosen; empty: it did not come so far.
        error: why the run ended; an interruption is told as one.
    """
    cause = error if isinstance(error, Exception) else UnfinishedError(INTERRUPTED)
    results = []
    for board in boards:
        result = BoardResult(board.name, board.title)
        record_error(result, cause, optional=False)
        results.append(result)
    report = content(None, results)
    if not results:
        report["error"] = {"name": type(cause).__name__, "message": printable(str(cause))}
        report["exit_code"] = getattr(cause, "exit_code", MiniMLError.exit_code)
    return report
