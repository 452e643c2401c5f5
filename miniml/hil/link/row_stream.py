"""Rows through a board as fast as the line allows: two requests are under way at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from miniml.hil.link.codec import READ_BYTES, Answer, Request
from miniml.hil.link.session import Session, puts, reads

# While a board answers one line, the next one arrives; a third would not fit into an AVR core's
# receive buffer.
WINDOW = 2


def run_rows(
    session: Session, rows: Sequence[bytes], layers: int, width: int, timeout_s: float
) -> Iterator[bytes]:
    """The last layer's bytes of each row, in order.

    A row is confirmed when each of its requests was answered in order. Where something got lost,
    the row is done again from its first byte, one request at a time: whatever the board did with
    half of it is overwritten.

    Args:
        session: identified (HELLO).
        rows: the inputs of each, as the bytes that they are in memory.
        layers: of the model.
        width: bytes of an output, at least one.
        timeout_s: how long one run may take.

    Raises:
        BoardError: as `Session.ask`.
    """
    done = 0
    while done < len(rows):
        for output in _overlapped(session, rows[done:], layers, width, timeout_s):
            done += 1
            yield output
        if done < len(rows):
            session.retries += 1
            session.load(rows[done], timeout_s)
            done += 1
            yield session.run(layers, width, timeout_s)


def _overlapped(
    session: Session, rows: Sequence[bytes], layers: int, width: int, timeout_s: float
) -> Iterator[bytes]:
    """The same until the first answer that isn't as it should be."""
    steps = (step for row in rows for step in _steps(row, layers, width))
    under_way: deque[tuple[Request, int]] = deque()
    output = b""
    while True:
        while len(under_way) < WINDOW and (step := next(steps, None)) is not None:
            under_way.append((session.post(*step[0]), step[1]))
        if not under_way:
            return
        request, size = under_way.popleft()
        answer = session.collect(request, timeout_s)
        if not isinstance(answer, Answer) or not answer.ok:
            return
        output += session.data(answer.words, size)
        if len(output) == width:
            yield output
            output = b""


def _steps(row: bytes, layers: int, width: int) -> list[tuple[tuple[str, ...], int]]:
    """The requests of a row, and how many bytes each of them gives."""
    *first, (_, offset, last) = puts(row)
    steps: list[tuple[tuple[str, ...], int]] = [(words, 0) for words in first]
    steps.append((("ROW", offset, last), min(width, READ_BYTES)))
    return steps + reads(layers, READ_BYTES, width - READ_BYTES)
