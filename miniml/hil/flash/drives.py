"""The drives that RP2040s show in BOOTSEL: which are mounted, and at which USB socket each is."""

from __future__ import annotations

import contextlib
import os
import re
import string
import sys
from collections.abc import Iterator
from pathlib import Path

DRIVE_NAME = "RPI-RP2"
# Present on every RP2040 drive (datasheet RP2040, 2.8.4, "USB Mass Storage Interface").
MARKER_FILE = "INFO_UF2.TXT"
# A folder in sysfs that stands for a USB device: bus, then ports.
SOCKET = re.compile(r"\d+-\d+(\.\d+)*")


def mounted_drives() -> list[Path]:
    """Every boot drive of this machine that is mounted."""
    return [path for path in _mount_points() if is_drive(path)]


def is_drive(path: Path) -> bool:
    """Whether a boot ROM shows it."""
    try:
        return (path / MARKER_FILE).is_file()
    except OSError:
        return False


def drive_socket(drive: Path, root: Path = Path("/")) -> str:
    """The USB socket of a mounted drive, as Linux tells it; empty where nothing does."""
    try:
        mounts = (root / "proc/self/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    for line in mounts.splitlines():
        device, _, rest = line.partition(" ")
        # Spaces in a mount point are written as \040 (proc(5), /proc/[pid]/mounts).
        if rest.split(" ")[0].replace("\\040", " ") == str(drive):
            block = root / "sys/class/block" / Path(device).name
            parts = [part for part in block.resolve().parts if SOCKET.fullmatch(part)]
            return parts[-1] if parts else ""
    return ""


def _mount_points() -> Iterator[Path]:
    if override := os.environ.get("MINIML_UF2_DRIVE"):
        yield Path(override)
    elif sys.platform == "win32":
        yield from (Path(f"{letter}:/") for letter in string.ascii_uppercase[3:])
    elif sys.platform == "darwin":
        yield from Path("/Volumes").glob(f"{DRIVE_NAME}*")
    else:
        for base in ("/media", "/run/media", "/mnt"):
            with contextlib.suppress(OSError):
                yield Path(base) / DRIVE_NAME
                yield from Path(base).glob(f"*/{DRIVE_NAME}*")
