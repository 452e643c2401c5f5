"""A board that doesn't come back: power-cycled, tried again, and in the end left alone."""

from __future__ import annotations

import threading
from collections.abc import Callable

from miniml.boards import Board
from miniml.errors import BoardError
from miniml.hil.board_log import BoardLog
from miniml.hil.place.place import Place
from miniml.hil.place.power import power_cycle


def with_retries(
    board: Board,
    place: Place,
    log: BoardLog,
    cancel: threading.Event,
    attempt: Callable[[], None],
) -> int:
    """Does `attempt`, again as often as the section's `retries` says; returns how often again.

    Raises:
        BoardError: the first cause, where the board didn't come back; else what no power cycle
            mends, as it is.
    """
    first: BoardError | None = None
    again = 0
    while True:
        try:
            attempt()
            return again
        except BoardError as error:
            first = first or error
            if cancel.is_set() or not error.unresponsive or again >= board.retries:
                raise _summary(first, error, again) from error
            log.add("host", f"{type(error).__name__}: {error}")
        again += 1
        try:
            how = "" if power_cycle(board, place, log, cancel) else ", nothing can power-cycle it"
        except BoardError as error:
            raise _summary(first, error, again) from error
        log.add("host", f"retry {again} of {board.retries}{how}")


def _summary(first: BoardError, last: BoardError, again: int) -> BoardError:
    if not again:
        return last
    told = "" if str(last) == str(first) else f", the last one: {type(last).__name__}: {last}"
    summary = type(first)(f"{first} ({again} retries did not help{told})")
    summary.unresponsive = last.unresponsive
    return summary
