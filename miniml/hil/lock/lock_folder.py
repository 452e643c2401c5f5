"""Where this machine's lock files are: one folder for all of its users, and files that none of them
can turn against another."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from miniml.errors import PortError

VARIABLE = "MINIML_LOCK_DIR"
PREFIX = "miniml-"
# Where any user may make files and none may remove another's: FHS 3.0 "/run/lock", where it is
# writable for all as on Debian; else the folder for temporary files, which always is.
SHARED = ("/run/lock", "/var/lock", "/tmp")
STICKY_FOR_ALL = stat.S_ISVTX | stat.S_IWOTH
MAX_NOTE_BYTES = 400


def lock_folder() -> Path:
    """The same folder for every user: it depends on the folders' own rights, not on who asks.

    Raises:
        PortError: there is none.
    """
    if named := os.environ.get(VARIABLE):
        return _made(Path(named))
    if sys.platform == "win32":
        # Its rights let every user make files, and each write to those that carry no other rights.
        return _made(Path(os.environ.get("PROGRAMDATA", r"C:\ProgramData")) / "MiniML" / "locks")
    for name in SHARED:
        try:
            found = Path(name).stat()
        except OSError:
            continue
        if stat.S_ISDIR(found.st_mode) and found.st_mode & STICKY_FOR_ALL == STICKY_FOR_ALL:
            return Path(name)
    raise PortError(
        f"no folder for locks ({', '.join(SHARED)}): set {VARIABLE} to one for all users"
    )


def open_shared(path: Path) -> int:
    """A descriptor of a file that every user may lock and write; made if missing.

    Never by O_CREAT on what is there: Linux refuses that for another user's file in a sticky folder
    (fs.protected_regular). Links are not followed, so that nobody can have another's file changed.

    Raises:
        PortError: it can't be opened, or isn't a plain file with one name.
    """
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        try:
            descriptor = os.open(path, flags)
        except FileNotFoundError:
            try:
                descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
                if sys.platform != "win32":
                    os.fchmod(descriptor, 0o666)  # whatever the umask is
            except FileExistsError:  # another process was first
                descriptor = os.open(path, flags)
        found = os.fstat(descriptor)
    except OSError as error:
        raise PortError(
            f"can't use the lock file {path} ({error.strerror}): remove it, or set {VARIABLE}"
        ) from error
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(descriptor)
        raise PortError(f"the lock file {path} is a link or no file: remove it")
    return descriptor


def write_note(path: Path, text: str) -> None:
    """Replaces what a file of `open_shared` says."""
    descriptor = open_shared(path)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, text.encode("utf-8", "replace")[:MAX_NOTE_BYTES])
    finally:
        os.close(descriptor)


def read_note(path: Path) -> str:
    """What such a file says; anybody may have written it, so it is bounded and one plain line."""
    try:
        descriptor = open_shared(path)
    except PortError:
        return ""
    try:
        text = os.read(descriptor, MAX_NOTE_BYTES).decode("utf-8", "replace")
    finally:
        os.close(descriptor)
    return "".join(char if char.isprintable() else "?" for char in text)


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PortError(f"can't make the lock folder {folder}: {error.strerror}") from error
    return folder
