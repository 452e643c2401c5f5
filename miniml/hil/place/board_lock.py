"""One process a board: locks by name, waiting bounded, the holder named."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from miniml.cache import cache_dir
from miniml.errors import PortError
from miniml.hil.finding.attached import AttachedPort

WAIT_S = 120.0
_QUIET_S = 2.0


@contextmanager
def board_lock(key: str, what: str, wait_s: float = WAIT_S) -> Iterator[None]:
    """Holds the lock of a port or a simulated board.

    Args:
        key: what must be alone, such as the real path of a port.
        what: how a person calls it.
        wait_s: how long another holder is waited for.

    Raises:
        PortError: it was held all the time; names the holder.
    """
    folder = cache_dir() / "locks"
    folder.mkdir(exist_ok=True)
    path = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.lock"
    # A file of its own: on Windows a locked one can't be read.
    note = path.with_suffix(".holder")
    lock = FileLock(path)
    deadline = time.monotonic() + wait_s
    try:
        try:
            lock.acquire(timeout=min(_QUIET_S, wait_s))
        except Timeout:
            print(f"miniml: waiting for {what}: held by {_holder(note)}", file=sys.stderr)
            lock.acquire(timeout=max(0.0, deadline - time.monotonic()))
    except Timeout:
        raise PortError(f"{what} is in use by {_holder(note)}: wait for it or end it") from None
    try:
        note.write_text(f"process {os.getpid()}", encoding="utf-8")
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def port_key(port: str, ports: Iterable[AttachedPort] = ()) -> str:
    """The same key for every name of a port: its USB socket, else its path without links.

    A Pico that returns under another name is still the board that its user holds; `ports` are
    those that are attached.
    """
    for item in ports:
        if item.location and item.is_at(port):
            return f"usb {item.location}"
    return f"port {Path(port).resolve()}" if "://" not in port else f"port {port}"


def _holder(note: Path) -> str:
    try:
        return note.read_text(encoding="utf-8") or "another process"
    except OSError:
        return "another process"
