"""Name and install the system packages that are missing.

Looked for by the file or command that is needed, not by asking the package manager: that is
quick, and a compiler that came another way counts too.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pio_extra.provision.errors import SetupError


@dataclass(frozen=True)
class Need:
    """One thing that has to be on the machine, and Debian's package that has it."""

    package: str
    purpose: str
    present: Callable[[], bool]


def _command(name: str) -> Callable[[], bool]:
    return lambda: shutil.which(name) is not None


def _file(*candidates: str) -> Callable[[], bool]:
    return lambda: any(Path(candidate).exists() for candidate in candidates)


def _compiler_file(compiler: str, name: str) -> Callable[[], bool]:
    """Whether `compiler` finds a library or header-tree file of its target."""

    def present() -> bool:
        found = shutil.which(compiler)
        if found is None:
            return False
        result = subprocess.run(
            [found, f"-print-file-name={name}"], capture_output=True, text=True, check=False
        )
        # GCC repeats the bare name of a file that it doesn't find.
        return Path(result.stdout.strip()).is_absolute()

    return present


def _venv_package() -> str:
    """Debian's package for the Python that runs this, which need not be its default one."""
    if Path(sys.executable).resolve() == Path("/usr/bin/python3").resolve():
        return "python3-venv"
    return f"python3.{sys.version_info.minor}-venv"


BUILD_AND_RUN = (
    Need(
        _venv_package(),
        "the virtual environment",
        lambda: all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")),
    ),
    Need("gcc", "compiling the simulated boards", _command("cc")),
    Need("libc6-dev", "compiling the simulated boards", _compiler_file("cc", "crt1.o")),
    Need("gcc-avr", "compiling for uno and nanoatmega328", _command("avr-gcc")),
    Need("avr-libc", "compiling for uno and nanoatmega328", _compiler_file("avr-gcc", "libc.a")),
    Need(
        "arduino-core-avr",
        "the Arduino core of uno and nanoatmega328, and their bootloaders",
        _file("/usr/share/arduino/hardware/arduino/avr/cores/arduino/Arduino.h"),
    ),
    Need("avrdude", "flashing uno and nanoatmega328", _command("avrdude")),
    Need("libsimavr-dev", "simulating an ATmega328P", _file("/usr/include/simavr/sim_avr.h")),
    Need("gcc-arm-none-eabi", "compiling for stm32f4 and pico", _command("arm-none-eabi-gcc")),
    Need(
        "libnewlib-arm-none-eabi",
        "compiling for stm32f4 and pico",
        _compiler_file("arm-none-eabi-gcc", "libc_nano.a"),
    ),
    Need(
        "libstdc++-arm-none-eabi-newlib",
        "compiling for stm32f4 and pico",
        _compiler_file("arm-none-eabi-gcc", "libstdc++_nano.a"),
    ),
    Need("stm32flash", "flashing stm32f4", _command("stm32flash")),
)
# A mirror that does not answer ends in a line, not in minutes of silence.
BOUNDED = ("-o", "Acquire::http::Timeout=20", "-o", "Acquire::https::Timeout=20")
TESTING = (
    Need("clang-format", "checking the C sources", _command("clang-format")),
    Need(
        "ser2net",
        "serial ports of a lab that the tests set up",
        # It lies where only administrators' paths lead.
        lambda: _command("ser2net")() or _file("/usr/sbin/ser2net")(),
    ),
    Need("qemu-system-arm", "a second opinion on ARM instructions", _command("qemu-system-arm")),
)


def missing(needs: Iterable[Need]) -> list[Need]:
    """The needs that this machine doesn't meet."""
    return [need for need in needs if not need.present()]


def install(needs: list[Need]) -> None:
    """Install what is missing with apt-get, after naming it.

    Raises:
        SetupError: there is no apt-get, no right to use it, or it failed.
    """
    if not needs:
        return
    packages = list(dict.fromkeys(need.package for need in needs))
    for need in needs:
        print(f"missing: {need.package} ({need.purpose})", flush=True)
    if shutil.which("apt-get") is None:
        raise SetupError(
            f"install these (Debian's names) with your package manager, then repeat: "
            f"{' '.join(packages)}"
        )
    by_hand = f"sudo apt-get install {' '.join(packages)}"
    # Debian names no recommended package that the project needs.
    apt = ["apt-get", *BOUNDED]
    command = [*apt, "install", "-y", "--no-install-recommends", *packages]
    installed = _apt(command, by_hand)
    if not installed and _apt([*apt, "update"], by_hand):
        # A machine that has never updated its lists doesn't know the packages.
        installed = _apt(command, by_hand)
    if not installed:
        raise SetupError(f"apt-get failed (its words are above); repair it, or run: {by_hand}")
    left = [need.package for need in missing(needs)]
    if left:
        raise SetupError(f"still missing after installing: {' '.join(left)}")


def _apt(command: list[str], by_hand: str) -> bool:
    """Run apt-get, as root by sudo where needed; False if it failed."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    prefix = []
    if os.geteuid() != 0:
        sudo = shutil.which("sudo")
        # Without a terminal sudo can't ask for a password: it must not try.
        ask = [] if sys.stdin.isatty() else ["-n"]
        if sudo is None or (ask and not _may(sudo)):
            raise SetupError(f"no right to install system packages: run this once: {by_hand}")
        prefix = [sudo, *ask, "env", "DEBIAN_FRONTEND=noninteractive"]
    print(f"+ {shlex.join([*prefix, *command])}", flush=True)
    return subprocess.run([*prefix, *command], env=environment, check=False).returncode == 0


def _may(sudo: str) -> bool:
    return subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0
