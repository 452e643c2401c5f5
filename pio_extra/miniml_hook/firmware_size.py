"""Flash and SRAM of a linked firmware, and what the link has in them.

The totals are the ones that PlatformIO prints: its own size command and expressions, as the
platform's builder set them. Where the link can't be left out (link_cost.py), its share is the
sum of the ELF's symbols that are named after it (`miniml_link...`, `MiniMLLink...`): code that
the compiler merged into them counts, library code that only they call (Serial) does not.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .interpreter import HookError

LINK_SYMBOL = re.compile(r"miniml_?link", re.IGNORECASE)
# Letters of nm: text, read-only data and weak code lie in flash; initialised data lies in
# flash and is copied to SRAM; bss lies in SRAM.
FLASH_ONLY, BOTH, SRAM_ONLY = "TtRrWwVviu", "DdGg", "BbSsC"


@dataclass(frozen=True)
class Size:
    """Bytes."""

    flash: int
    sram: int


def total_size(
    elf: Path, command: Sequence[str], flash_pattern: str, sram_pattern: str, search_path: str
) -> Size:
    """What PlatformIO's size check counts.

    Raises:
        HookError: the size tool can't be run or says nothing that the patterns know.
    """
    output = run_tool(command, search_path)
    flash, sram = _sum(output, flash_pattern), _sum(output, sram_pattern)
    if flash is None or sram is None:
        raise HookError(f"{command[0]} gave no section sizes for {elf}")
    return Size(flash, sram)


def _sum(output: str, pattern: str) -> int | None:
    matches = [re.search(pattern, line.strip()) for line in output.splitlines()]
    sizes = [sum(map(int, match.groups())) for match in matches if match is not None]
    return sum(sizes) if sizes else None


def link_size(nm_output: str) -> Size:
    """The link's share by its symbols, from `nm -S`: address, size, letter, name."""
    flash = sram = 0
    for line in nm_output.splitlines():
        fields = line.split(None, 3)
        if len(fields) != 4 or not LINK_SYMBOL.search(fields[3]):
            continue
        size, letter = int(fields[1], 16), fields[2]
        flash += size if letter in FLASH_ONLY + BOTH else 0
        sram += size if letter in SRAM_ONLY + BOTH else 0
    return Size(flash, sram)


def run_tool(command: Sequence[str], search_path: str) -> str:
    """Standard output of one of the toolchain's programs.

    Raises:
        HookError: it is missing or failed.
    """
    program = shutil.which(command[0], path=search_path)
    if program is None:
        raise HookError(f"{command[0]} is not in PlatformIO's packages nor in PATH")
    done = subprocess.run([program, *command[1:]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode != 0:
        raise HookError(f"{' '.join(command)} failed: {text.strip().rpartition(chr(10))[2]}")
    return text
