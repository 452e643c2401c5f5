"""Whether a board's PTY has gone. Its name doesn't tell: Linux gives it to the next PTY at once."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held(port: Path | str) -> Iterator[Callable[[], bool]]:
    """Keeps the port open; gives a function that says whether its other end is closed."""
    descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY)
    try:
        poll = select.poll()
        poll.register(descriptor, 0)
        yield lambda: any(events & select.POLLHUP for _, events in poll.poll(0))
    finally:
        os.close(descriptor)
