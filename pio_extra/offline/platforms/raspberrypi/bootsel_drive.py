"""Find the drive that a Pico in BOOTSEL mode shows."""

from __future__ import annotations

import sys
from pathlib import Path

LABEL = "RPI-RP2"
HINT = f"hold BOOTSEL while plugging the Pico in, mount its {LABEL} drive, and give the path"


class DriveError(Exception):
    """No drive, or more than one."""


def mounted_drives() -> list[Path]:
    """Drives with the ROM's label, where the three desktop systems mount them."""
    if sys.platform == "win32":
        roots = [Path(f"{letter}:/") for letter in "DEFGHIJKLMNOPQRSTUVWXYZ"]
        return [root for root in roots if (root / "INFO_UF2.TXT").is_file()]
    patterns = (f"media/*/{LABEL}", f"media/{LABEL}", f"run/media/*/{LABEL}", f"Volumes/{LABEL}")
    return sorted(path for pattern in patterns for path in Path("/").glob(pattern))


def find_drive(port: str) -> Path:
    """The folder to copy a UF2 into: `port`, or the only mounted drive when it is empty.

    Raises:
        DriveError: `port` is no folder, or not exactly one drive is mounted.
    """
    if port:
        if not Path(port).is_dir():
            raise DriveError(f"upload_port {port} is no folder: {HINT} as upload_port")
        return Path(port)
    drives = mounted_drives()
    if len(drives) != 1:
        found = "no" if not drives else str(len(drives))
        raise DriveError(f"{found} {LABEL} drive is mounted: {HINT} as upload_port")
    return drives[0]
