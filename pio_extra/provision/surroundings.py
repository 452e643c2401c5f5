"""Paths of the checkout and the environment variables that every child process gets."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
KIT = ROOT / ".pio-core"


def child_environment(*, kit: bool = False) -> dict[str, str]:
    """The environment of a child process; with `kit`, PlatformIO uses the offline kit."""
    variables = dict(os.environ)
    variables["PATH"] = os.pathsep.join([str(BIN), variables.get("PATH", os.defpath)])
    variables["VIRTUAL_ENV"] = str(VENV)
    variables.pop("PYTHONHOME", None)
    if not variables.get("HOME"):
        # An empty HOME would put caches into the root directory; unset, the password
        # database has the answer. Where that is silent too, the checkout must do.
        variables.pop("HOME", None)
        if os.name != "nt" and not _has_home():
            variables["HOME"] = str(ROOT / ".pio" / "home")
    if kit:
        variables["PLATFORMIO_CORE_DIR"] = str(KIT)
    return variables


def _has_home() -> bool:
    import pwd

    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir).is_dir()
    except KeyError:
        return False
