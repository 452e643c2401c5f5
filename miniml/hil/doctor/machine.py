"""What the doctor asks a machine: files, programs, rights. Nothing is changed by any of it.

All of it goes through one class, so that tests can hand over what real machines said.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from miniml.hil.finding.usb_devices import UsbDevice, usb_devices

MAX_TEXT = 1 << 20
TOOL_TIMEOUT_S = 10.0


class Machine:
    """The machine that we run on.

    Attributes:
        system: as sys.platform: "linux", "darwin", "win32".
        root: above /sys, /proc and /etc.
    """

    system: str = sys.platform
    root = Path("/")

    def text(self, path: str) -> str | None:
        """A text file's content, at most a megabyte; None where it can't be read."""
        try:
            with (self.root / path.lstrip("/")).open("rb") as file:
                return file.read(MAX_TEXT).decode("utf-8", "replace")
        except OSError:
            return None

    def names(self, path: str) -> list[str]:
        """What a folder holds; empty where there is no such folder."""
        try:
            return sorted(item.name for item in (self.root / path.lstrip("/")).iterdir())
        except OSError:
            return []

    def which(self, program: str) -> str | None:
        """Where a program is; a user's PATH on Debian leaves out sbin."""
        places = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
        return shutil.which(program, path=places)

    def run(self, command: Sequence[str]) -> str | None:
        """What a program prints; None where it is missing, fails, or takes too long."""
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
        """Whether this user may read and write a file."""
        return os.access(path, os.R_OK | os.W_OK)

    def group_of(self, path: str) -> int | None:
        """The id of the group that a file belongs to."""
        try:
            return Path(path).stat().st_gid
        except OSError:
            return None

    def user(self) -> tuple[str, tuple[int, ...]]:
        """The user's name, and the ids of the groups that this process has."""
        if sys.platform == "win32":
            return os.environ.get("USERNAME", ""), ()
        name = os.environ.get("USER") or str(os.getuid())
        return name, (os.getegid(), *os.getgroups())

    def platformio_packages(self) -> Path:
        """Where PlatformIO keeps the tools that it installed."""
        core = os.environ.get("PLATFORMIO_CORE_DIR")
        return (Path(core) if core else Path.home() / ".platformio") / "packages"

    def usb(self) -> list[UsbDevice]:
        """Every USB device; empty where there is no sysfs."""
        return usb_devices(self.root / "sys/bus/usb/devices")

    def processes(self) -> set[str]:
        """The names of all running programs, as the kernel has them (at most 15 letters)."""
        comms = (self.text(f"/proc/{pid}/comm") for pid in self.names("/proc") if pid.isdecimal())
        return {comm.strip() for comm in comms if comm}
