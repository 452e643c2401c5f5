"""Which rate a board's bootloader answered at, kept for the next time.

`pio run -t upload` reads the same file (pio_extra/miniml_hook/upload.py), so that what the
harness found out serves there as well.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from miniml.atomic_file import write_atomically
from miniml.hil.project import miniml_dir

FOLDER = "upload_speeds"


def remembered_speed(project: Path, board: str, port: str) -> int | None:
    """Baud at which the board's bootloader answered on this port; None: not known."""
    return _read(_file(project, board)).get(port_name(port))


def remember_speed(project: Path, board: str, port: str, speed: int) -> None:
    """Keeps the rate; a file that can't be written costs the next run a few seconds only."""
    file = _file(project, board)
    speeds = _read(file)
    if speeds.get(port_name(port)) == speed:
        return
    speeds[port_name(port)] = speed
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(speeds, indent=1, sort_keys=True) + "\n"
        write_atomically(file, text.encode())


def port_name(port: str) -> str:
    """The same name for every symbolic link to a port."""
    return os.path.realpath(port) if port.startswith("/") else port


def _file(project: Path, board: str) -> Path:
    # A file a board: who flashes it holds its lock.
    return miniml_dir(project) / FOLDER / f"{board}.json"


def _read(file: Path) -> dict[str, int]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {port: speed for port, speed in content.items() if isinstance(speed, int)}
