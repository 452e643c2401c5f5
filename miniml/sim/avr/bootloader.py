"""The bootloaders of the simulated boards, found where Arduino's core is installed.

Optiboot comes as a hex file from the official core, or is built from the core's `optiboot.c`:
the hex file in Debian's package is larger than the boot section it must fit in and is refused.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from miniml.cache import cache_dir
from miniml.errors import SimulatorError

FLASH_BYTES = 0x8000


@dataclass(frozen=True)
class Bootloader:
    """A bootloader and the boot section that the board's fuses give it.

    `start` is the byte address of the section, from the high fuse in Arduino's boards.txt: 0xDE
    (uno, 256 words), 0xDA (nano with the old bootloader, 1,024 words).
    """

    name: str
    baud: int
    start: int
    hex_name: str
    source_name: str | None


BOOTLOADERS = {
    "optiboot": Bootloader(
        "optiboot", 115200, 0x7E00, "optiboot/optiboot_atmega328.hex", "optiboot/optiboot.c"
    ),
    "atmegaboot": Bootloader(
        "atmegaboot", 57600, 0x7800, "atmega/ATmegaBOOT_168_atmega328.hex", None
    ),
}

# The core's own Makefile (target atmega328), and what keeps a newer GCC within 512 bytes.
OPTIBOOT_FLAGS = [
    "-Os",
    "-mrelax",
    "-fno-inline-small-functions",
    "-fno-split-wide-types",
    "-fno-tree-scev-cprop",
    "-fno-jump-tables",
    "-fno-caller-saves",
    "-fno-move-loop-invariants",
    "-mmcu=atmega328p",
    "-DF_CPU=16000000L",
    "-DLED_START_FLASHES=3",
    "-DBAUD_RATE=115200",
    "-nostartfiles",
    "-nostdlib",
    "-Wl,--section-start=.text=0x7e00",
    "-Wl,--section-start=.version=0x7ffe",
    "-Wl,--relax",
    "-Wl,--gc-sections",
]


def core_dirs() -> list[Path]:
    """PlatformIO's core directories that may hold official packages."""
    found = [Path(value) for value in [os.environ.get("PLATFORMIO_CORE_DIR", "")] if value]
    if home := os.environ.get("HOME"):
        found.append(Path(home) / ".platformio")
    return found


def bootloader_dirs() -> list[Path]:
    """Folders `bootloaders` of Arduino's AVR core: PlatformIO's packages first, then Debian's."""
    packages = [
        package / "bootloaders"
        for core in core_dirs()
        for package in sorted(core.glob("packages/framework-arduino-avr*"))
    ]
    arduino = Path("/usr/share/arduino/hardware/arduino/avr/bootloaders")
    return [folder for folder in [*packages, arduino] if folder.is_dir()]


def hex_range(hex_file: Path) -> tuple[int, int]:
    """First and past-the-last byte address that an Intel hex file (below 64 KB) fills.

    Raises:
        SimulatorError: not an Intel hex file.
    """
    starts, ends = [], []
    try:
        for line in hex_file.read_text(encoding="ascii").split():
            record = bytes.fromhex(line[1:])
            if line[0] != ":" or sum(record) & 0xFF or len(record) != record[0] + 5:
                raise ValueError(line)
            if record[3] == 0:
                starts.append(int.from_bytes(record[1:3], "big"))
                ends.append(starts[-1] + record[0])
    except (OSError, ValueError, IndexError) as error:
        raise SimulatorError(f"{hex_file} is not an Intel hex file: {error}") from error
    if not starts:
        raise SimulatorError(f"{hex_file} is an empty hex file")
    return min(starts), max(ends)


def fits_section(hex_file: Path, bootloader: Bootloader) -> bool:
    """Whether the hex file lies within the bootloader's section."""
    low, high = hex_range(hex_file)
    return bootloader.start <= low and high <= FLASH_BYTES


def find_avr_gcc() -> Path | None:
    """avr-gcc on the PATH, or in PlatformIO's toolchain package."""
    if path := shutil.which("avr-gcc"):
        return Path(path)
    for core in core_dirs():
        for package in sorted(core.glob("packages/toolchain-atmelavr*")):
            if path := shutil.which("avr-gcc", path=str(package / "bin")):
                return Path(path)
    return None


def _build_optiboot(source: Path) -> Path:
    """Optiboot from the core's source, built once for a given compiler, source and flags."""
    compiler = find_avr_gcc()
    if compiler is None:
        raise SimulatorError("no avr-gcc to build the Uno's bootloader: install gcc-avr, avr-libc")
    digest = hashlib.sha256("\0".join([str(compiler), *OPTIBOOT_FLAGS]).encode())
    digest.update(subprocess.run([compiler, "--version"], capture_output=True, check=False).stdout)
    for file in [source, *sorted(source.parent.glob("*.h"))]:
        digest.update(file.read_bytes())
    target = cache_dir() / f"optiboot-{digest.hexdigest()[:16]}.hex"
    if target.exists():
        return target
    objcopy = compiler.with_name("avr-objcopy")
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        elf, built = Path(folder) / "optiboot.elf", Path(folder) / target.name
        sections = ["-j", ".text", "-j", ".data", "-j", ".version"]
        sections += ["--set-section-flags", ".version=alloc,load"]
        for command in (
            [str(compiler), *OPTIBOOT_FLAGS, "-o", str(elf), str(source)],
            [str(objcopy), *sections, "-O", "ihex", str(elf), str(built)],
        ):
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            if result.returncode:
                reason = (result.stderr.strip().splitlines() or ["?"])[-1]
                raise SimulatorError(f"can't build optiboot from {source}: {reason}")
        built.replace(target)
    return target


def bootloader_hex(bootloader: Bootloader) -> Path:
    """A hex file that fits the bootloader's section.

    Raises:
        SimulatorError: Arduino's AVR core is not installed, or lacks this bootloader.
    """
    folders = bootloader_dirs()
    for folder in folders:
        ready = folder / bootloader.hex_name
        if ready.is_file() and fits_section(ready, bootloader):
            return ready
        source = folder / bootloader.source_name if bootloader.source_name else None
        if source and source.is_file():
            return _build_optiboot(source)
    looked = ", ".join(map(str, folders)) or "no Arduino AVR core found"
    raise SimulatorError(
        f"no bootloader {bootloader.name} for the simulated board ({looked}): install "
        "arduino-core-avr, or PlatformIO's framework-arduino-avr"
    )
