"""Where a PlatformIO project keeps things, and how `pio` is called for it."""

from __future__ import annotations

import configparser
import importlib.util
import os
import shutil
import sys
from pathlib import Path

from miniml.errors import FlashError, UsageError

PROJECT_FILE = "platformio.ini"
KIT_DIR = ".pio-core"  # where `make` puts the offline kit (docs/PLATFORMIO.md)


def find_project(start: Path) -> Path:
    """The folder of platformio.ini: `start` or the nearest above it.

    Raises:
        UsageError: there is none.
    """
    start = start.absolute()
    for folder in (start, *start.parents):
        if (folder / PROJECT_FILE).is_file():
            return folder
    raise UsageError(f"no {PROJECT_FILE} in {start} or above: go into the project or --project-dir")


def workspace_dir(project: Path) -> Path:
    """PlatformIO's `.pio`: PLATFORMIO_WORKSPACE_DIR, platformio.ini, or the default."""
    return _folder(project, "workspace_dir", project / ".pio")


def build_dir(project: Path, environment: str) -> Path:
    """Where `pio run` puts what it makes for an environment."""
    return _folder(project, "build_dir", workspace_dir(project) / "build") / environment


def miniml_dir(project: Path) -> Path:
    """Where MiniML keeps reports and simulated boards: beside PlatformIO's builds."""
    return workspace_dir(project) / "miniml"


def _folder(project: Path, option: str, default: Path) -> Path:
    text = os.environ.get(f"PLATFORMIO_{option.upper()}") or _ini_option(project, option)
    if not text:
        return default
    for name in ("$PROJECT_DIR", "${PROJECT_DIR}", "${platformio.project_dir}"):
        text = text.replace(name, str(project))
    text = text.replace("${platformio.workspace_dir}", str(default.parent))
    text = os.path.expandvars(text.replace("${sysenv.", "${"))
    if "$" in text:
        raise UsageError(
            f"{project / PROJECT_FILE}: {option} = {text} can't be resolved here: "
            f"set PLATFORMIO_{option.upper()}"
        )
    return project / Path(text).expanduser()


def _ini_option(project: Path, option: str) -> str:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read(project / PROJECT_FILE, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        text = " ".join(str(error).split())
        raise UsageError(f"{project / PROJECT_FILE}: {text}") from error
    return parser.get("platformio", option, fallback="").strip()


def pio_command() -> list[str]:
    """How to call PlatformIO: this Python's, then the PATH's, then VS Code's.

    Raises:
        FlashError: there is none.
    """
    name = "pio.exe" if os.name == "nt" else "pio"
    scripts = "Scripts" if os.name == "nt" else "bin"
    beside = Path(sys.executable).with_name(name)
    if beside.is_file():
        return [str(beside)]
    if importlib.util.find_spec("platformio"):
        return [sys.executable, "-m", "platformio"]
    if found := shutil.which("pio"):
        return [found]
    private = Path.home() / ".platformio" / "penv" / scripts / name
    if private.is_file():
        return [str(private)]
    raise FlashError("PlatformIO's `pio` is missing: run make setup, or pip install platformio")


def pio_environment(project: Path, world: str) -> dict[str, str]:
    """The environment in which `pio` finds the packages that made the build.

    Without it a shell that did not source pio_extra/activate would send PlatformIO to its
    registry for packages that the offline kit has.
    """
    environment = dict(os.environ)
    if world == "kit" and "PLATFORMIO_CORE_DIR" not in environment and (project / KIT_DIR).is_dir():
        environment["PLATFORMIO_CORE_DIR"] = str(project / KIT_DIR)
    return environment
