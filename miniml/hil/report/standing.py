"""What a board's verdict counts for in the report: as it is, or under a quarantine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from miniml.boards import Board
from miniml.hil.proof.verdict import BoardResult

QUARANTINED = "QUARANTINED"


@dataclass(frozen=True)
class Standing:
    """How a board is reported.

    Attributes:
        verdict: QUARANTINED, or the result's own; no PASS where a quarantine has ended.
        exit_code: what the board gives to the run's; 0 under a quarantine.
        reasons: the result's, and what the quarantine says.
    """

    verdict: str
    exit_code: int
    reasons: tuple[str, ...]


def today() -> date:
    """In UTC, so that machines of one lab agree."""
    return datetime.now(UTC).date()


def ended(board: Board, day: date) -> bool:
    """Whether a board's quarantine is over on a day; its last day belongs to it."""
    return board.quarantine_until is not None and day > board.quarantine_until


def standing(result: BoardResult, board: Board | None, day: date) -> Standing:
    """How a result is reported on a day.

    A quarantined board neither fails the run nor passes. One whose quarantine has ended fails
    it, also if the board is well again: somebody has to take the quarantine out.
    """
    reasons = tuple(result.reasons)
    if board is None or board.quarantine_until is None:
        return Standing(result.verdict, result.exit_code, reasons)
    until = f"{board.quarantine_until} ({board.quarantine})"
    if not ended(board, day):
        return Standing(
            QUARANTINED, 0, (*reasons, f"quarantined until {until}, in truth {result.verdict}")
        )
    reasons += (f"its quarantine ended on {until}: take it out of boards.ini, or say a later day",)
    if result.verdict in ("PASS", "SKIP"):
        return Standing("FAIL", 1, reasons)
    return Standing(result.verdict, result.exit_code, reasons)
