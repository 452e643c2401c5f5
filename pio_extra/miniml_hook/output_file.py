"""Files that are whole or absent, and untouched where their content stays the same."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path


def write_if_changed(path: Path, content: bytes) -> bool:
    """Write through a temporary file in the same folder; True if the file changed.

    Raises:
        OSError: no permission, no space; the old file is then as it was.
    """
    try:
        if path.read_bytes() == content:
            return False
    except OSError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError:
        remove(temporary)
        raise
    return True


def remove(path: Path) -> None:
    """Delete a file that may not be there."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def sha256_of(path: Path) -> str | None:
    """64 hex digits over a file's content; None where there is no readable file."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
