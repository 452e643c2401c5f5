"""What the finding of boards asks this machine, behind one small interface.

Everything that is read from sysfs, /proc, /etc or another program goes through it, so that tests
can hand over what real machines said.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

MAX_TEXT = 1 << 20
TOOL_TIMEOUT_S = 10.0


class Machine(Protocol):
    """Questions to a machine; nothing is changed by any of them.

    Attributes:
        system: as sys.platform: "linux", "darwin", "win32".
    """

    system: str

    def read(self, path: str) -> str | None:
        """A text file's content, at most a megabyte; None where it can't be read."""

    def names(self, path: str) -> list[str]:
        """What a folder holds, by name; empty where there is no such folder."""

    def which(self, program: str) -> str | None:
        """Where a program on the PATH is."""

    def run(self, command: Sequence[str]) -> str | None:
        """What a program prints; None where it is missing, fails, or takes too long."""

    def may_use(self, path: str) -> bool:
        """Whether this user may read and write a file."""

    def group_of(self, path: str) -> int | None:
        """The id of the group that a file belongs to."""

    def user(self) -> tuple[str, tuple[int, ...]]:
        """The user's name, and the ids of the groups that this process has."""


class ThisMachine:
    """The machine that we run on."""

    system = sys.platform

    def read(self, path: str) -> str | None:
        """See Machine."""
        try:
            with Path(path).open("rb") as file:
                return file.read(MAX_TEXT).decode("utf-8", "replace")
        except OSError:
            return None

    def names(self, path: str) -> list[str]:
        """See Machine."""
        try:
            return sorted(os.listdir(path))  # noqa: PTH208
        except OSError:
            return []

    def which(self, program: str) -> str | None:
        """See Machine."""
        return shutil.which(program)

    def run(self, command: Sequence[str]) -> str | None:
        """See Machine."""
        try:
            done = subprocess.run(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=TOOL_TIMEOUT_S,
                env={**os.environ, "LC_ALL": "C"},
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout[:MAX_TEXT].decode("utf-8", "replace")

    def may_use(self, path: str) -> bool:
        """See Machine."""
        return os.access(path, os.R_OK | os.W_OK)

    def group_of(self, path: str) -> int | None:
        """See Machine."""
        try:
            return Path(path).stat().st_gid
        except OSError:
            return None

    def user(self) -> tuple[str, tuple[int, ...]]:
        """See Machine."""
        if sys.platform == "win32":
            return os.environ.get("USERNAME", ""), ()
        name = os.environ.get("USER") or str(os.getuid())
        return name, (os.getegid(), *os.getgroups())
