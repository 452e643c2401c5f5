"""One set-up at a time in a checkout: a second `make` waits for the first."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from pio_extra.provision.surroundings import ROOT


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold `.pio/miniml/setup.lock`; where the system has no flock, hold nothing."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    path = ROOT / ".pio" / "miniml" / "setup.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another set-up of this checkout", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
