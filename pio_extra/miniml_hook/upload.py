"""What the harness knows of a board's boot loader, for PlatformIO's own upload.

The rate that answered last (miniml/hil/flash/speeds.py writes it down), and the ST-LINK or DFU
device that boards.local.ini names. What platformio.ini says itself always wins.
"""

from __future__ import annotations

import configparser
import json
import os
import re
from pathlib import Path
from typing import Any

SPEED_VARIABLE = "MINIML_UPLOAD_SPEED"
FLAGS_VARIABLE = "PLATFORMIO_UPLOAD_FLAGS"


def apply_settings(env: Any, board: str) -> None:
    """Sets UPLOAD_SPEED and UPLOAD_FLAGS before the platform's builder reads them."""
    project = Path(env.subst("$PROJECT_DIR"))
    if "upload_speed" not in [name for name, _ in env.GetProjectOptions()]:
        workspace = Path(env.subst("$PROJECT_WORKSPACE_DIR"))
        file = workspace / "miniml" / "upload_speeds" / f"{board}.json"
        speed = os.environ.get(SPEED_VARIABLE) or known_speed(file, env.subst("$UPLOAD_PORT"))
        if speed:
            env.Replace(UPLOAD_SPEED=speed)
    serial = flash_serial(project, board)
    # The harness has chosen the device already.
    if serial and FLAGS_VARIABLE not in os.environ:
        flags = serial_flags(env.subst("$UPLOAD_PROTOCOL"), serial)
        if flags:
            env.Append(UPLOAD_FLAGS=flags)


def known_speed(file: Path, port: str) -> str:
    """The rate that worked on this port; without a port, on the only one there was."""
    try:
        speeds = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    if not isinstance(speeds, dict):
        return ""
    if not port and len(speeds) == 1:
        return str(*speeds.values())
    name = os.path.realpath(port) if port.startswith("/") else port
    return str(speeds.get(name, ""))


def flash_serial(project: Path, board: str) -> str:
    """`flash_serial` of the board's section; what else is wrong there others tell."""
    parser = configparser.ConfigParser(interpolation=None, default_section="\n")
    try:
        parser.read([project / "boards.ini", project / "boards.local.ini"], encoding="utf-8-sig")
    except (configparser.Error, UnicodeDecodeError):
        return ""
    serial = parser.get(board, "flash_serial", fallback="").strip()
    # OpenOCD would run what is in brackets.
    return serial if re.fullmatch(r"[A-Za-z0-9_.:-]+", serial) else ""


def serial_flags(protocol: str, serial: str) -> list[str]:
    """How OpenOCD (0.12) and dfu-util are told which device."""
    if protocol == "stlink":
        return ["-c", f"adapter serial {serial}"]
    return ["-S", serial] if protocol == "dfu" else []
