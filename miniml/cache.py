"""Where MiniML keeps what it can always make again: compiled simulators, bootloaders."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from miniml.errors import MiniMLError


def cache_dir() -> Path:
    """`$XDG_CACHE_HOME/miniml`, else `~/.cache/miniml`, else a folder for this user in /tmp.

    The folder exists and can be written when this returns.

    Raises:
        MiniMLError: the folder in /tmp is another user's, who could put programs there.
    """
    candidates = []
    if base := os.environ.get("XDG_CACHE_HOME"):
        candidates.append(Path(base) / "miniml")
    if home := os.environ.get("HOME") or os.environ.get("USERPROFILE"):
        candidates.append(Path(home) / ".cache" / "miniml")
    for folder in candidates:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    fallback = Path(tempfile.gettempdir()) / f"miniml-{user}"
    fallback.mkdir(mode=0o700, exist_ok=True)
    if hasattr(os, "getuid") and fallback.lstat().st_uid != os.getuid():
        raise MiniMLError(
            f"{fallback}: it is another user's: set XDG_CACHE_HOME to a folder of yours"
        )
    return fallback
