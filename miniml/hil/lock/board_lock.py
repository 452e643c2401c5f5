"""One process a board: locks by name, waiting bounded, the holder named (docs/HARNESS.md)."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import os
import shlex
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from miniml.errors import PortError
from miniml.hil.finding.attached import AttachedPort
from miniml.hil.lock.lock_folder import PREFIX, lock_folder, open_shared, read_note, write_note
from miniml.hil.lock.os_lock import try_lock

WAIT_S = 120.0  # as miniml.hil.run_options.DEFAULT_WAIT_S
MAX_COMMAND = 80
_QUIET_S = 0.1
_POLL_S = 0.05


@contextmanager
def board_lock(
    key: str, what: str, wait_s: float = WAIT_S, cancel: threading.Event | None = None
) -> Iterator[None]:
    """Holds the lock of a port or a simulated board, alone on this machine, whoever the user is.

    The operating system holds it for this process: it ends with the process, however that ends.

    Args:
        key: what must be alone, such as the USB socket of a port.
        what: how a person calls it.
        wait_s: how long another holder is waited for, in seconds.
        cancel: once set, waiting ends.

    Raises:
        PortError: it was held all the time (names the holder), can't be locked, or waiting was
            interrupted.
    """
    name = PREFIX + hashlib.sha256(key.encode()).hexdigest()[:24]
    path = lock_folder() / f"{name}.lock"
    # A file of its own: on Windows a locked one can't be read.
    note = path.with_suffix(".holder")
    descriptor = _acquire(path, note, what, wait_s, cancel or threading.Event())
    try:
        write_note(note, f"{_user()}, process {os.getpid()} ({_command()}), since {_now()}")
        yield
    finally:
        with contextlib.suppress(PortError):
            write_note(note, "")
        os.close(descriptor)  # which unlocks it


def _acquire(path: Path, note: Path, what: str, wait_s: float, cancel: threading.Event) -> int:
    start, told = time.monotonic(), False
    while (descriptor := _locked(path, what)) is None:
        waited = time.monotonic() - start
        # First, so that a long pause of this process hides no wait.
        if not told and min(waited, wait_s) >= _QUIET_S:
            told = True
            print(
                f"miniml: waiting up to {wait_s:g} s for {what}: held by {_holder(note)}",
                file=sys.stderr,
            )
        if waited >= wait_s:
            raise PortError(
                f"{what} is in use by {_holder(note)}: wait for it (--lock-timeout) or end it"
            )
        if cancel.wait(_POLL_S):
            raise PortError(f"waiting for {what} was interrupted")
    return descriptor


def _locked(path: Path, what: str) -> int | None:
    """A descriptor that holds the lock; None: another process has it."""
    descriptor = open_shared(path)
    try:
        # Its owner may have put another file there since.
        if try_lock(descriptor) and path.stat().st_ino == os.fstat(descriptor).st_ino:
            return descriptor
    except OSError as error:
        os.close(descriptor)
        raise PortError(f"can't lock {what} by {path}: {error.strerror}") from error
    os.close(descriptor)
    return None


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
    return read_note(note) or "another process"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as in containers
        return f"user {os.getuid()}" if hasattr(os, "getuid") else "a user"


def _command() -> str:
    text = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return text if len(text) <= MAX_COMMAND else text[: MAX_COMMAND - 3] + "..."


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")
