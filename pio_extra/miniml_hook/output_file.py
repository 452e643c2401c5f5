"""Files that are whole or absent, and untouched where their content stays the same."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from .interpreter import HookError


def write_if_changed(path: Path, content: bytes) -> bool:
    """Write through a temporary file in the same folder; True if the file changed.

    Raises:
        HookError: no permission, no space; the old file is then as it was.
    """
    try:
        if path.read_bytes() == content:
            return False
    except OSError:
        pass
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise HookError(
            f"{path}: can't be written ({error.strerror}): make room or correct its rights"
        ) from None
    return True


def remove(path: Path) -> None:
    """Delete a file that may not be there.

    Raises:
        HookError: it is there and can't be deleted.
    """
    try:
        path.unlink()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise HookError(
            f"{path}: can't be deleted ({error.strerror}): correct its rights"
        ) from None


def sha256_of(path: Path) -> str | None:
    """64 hex digits over a file's content; None where there is no readable file."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
