"""Find the compilers and the AVR core that the kit is made from.

The system's come first, then those that PlatformIO has installed in its own core directory.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


class KitError(Exception):
    """The kit can't be made; one line that says what is missing or in the way."""


@dataclass(frozen=True)
class Toolchain:
    """A GCC for one family of boards: its package, compiler, folder and version."""

    package: str
    compiler: str
    bin_dir: Path
    version: str


def official_core_dir() -> Path:
    """PlatformIO's own core directory as it would be without the kit (read, never written).

    PlatformIO 6.2, project/options.py: `~/.platformio`, or what PLATFORMIO_CORE_DIR says.
    """
    return Path(os.path.expanduser("~")) / ".platformio"  # noqa: PTH111 (no error without HOME)


def find_toolchain(package: str, compiler: str, core_dir: Path | None = None) -> Toolchain:
    """The toolchain whose C compiler is `compiler`.

    Raises:
        KitError: it is neither on PATH nor among PlatformIO's installed packages.
    """
    bin_dirs = [None, (core_dir or official_core_dir()) / "packages" / package / "bin"]
    for bin_dir in bin_dirs:
        found = shutil.which(compiler, path=None if bin_dir is None else str(bin_dir))
        if found is not None:
            return Toolchain(package, compiler, Path(found).parent, _version(found))
    raise KitError(
        f"{compiler} is missing: install the system's package for it, then run make setup"
    )


def find_avr_core(core_dir: Path | None = None) -> Path:
    """The folder with `cores/arduino` and `variants/standard` of the Arduino AVR core.

    Raises:
        KitError: none of the usual places has it.
    """
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 (no error without HOME)
    candidates = [
        Path("/usr/share/arduino/hardware/arduino/avr"),
        Path("/usr/local/share/arduino/hardware/arduino/avr"),
        (core_dir or official_core_dir()) / "packages" / "framework-arduino-avr",
        *sorted(home.glob(".arduino15/packages/arduino/hardware/avr/*"), reverse=True),
        *sorted(home.glob("Library/Arduino15/packages/arduino/hardware/avr/*"), reverse=True),
    ]
    for candidate in candidates:
        if (candidate / "cores" / "arduino" / "Arduino.h").is_file():
            return candidate
    raise KitError("the Arduino AVR core is missing: install arduino-core-avr, then run make setup")


def _version(compiler: str) -> str:
    """The three numbers of a GCC's version."""
    result = subprocess.run(
        [compiler, "-dumpfullversion", "-dumpversion"], capture_output=True, text=True, check=False
    )
    match = re.search(r"\d+\.\d+\.\d+", result.stdout)
    if result.returncode or match is None:
        raise KitError(f"{compiler} does not tell its version: reinstall it")
    return match.group()
