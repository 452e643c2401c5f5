"""Calls of a compiler's programs; what they complain of, in one line."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence

from miniml.errors import BudgetError, UsageError

# Bytes of the ATmega328P.
AVR_FLASH, AVR_SRAM = 32 * 1024, 2048
# What an address in avr-ld's complaints counts from, and the section's memory: data begins behind
# the registers (datasheet, 8.3).
_AVR_REGIONS = {"data": ("SRAM", 0x80_0100, AVR_SRAM), "text": ("flash", 0, AVR_FLASH)}


def _check_avr_room(complaint: str) -> None:
    """Raise BudgetError if that is what avr-gcc or its linker complains of."""
    used: dict[str, int] = {}
    for address, region in re.findall(
        r"address 0x(\w+) of .* is not within region `(\w+)'", complaint
    ):
        used[region] = max(used.get(region, 0), int(address, 16) - _AVR_REGIONS[region][1])
    for region, size in used.items():
        name, _, there = _AVR_REGIONS[region]
        raise BudgetError(f"it doesn't fit: {size:,} bytes of {name}, {there:,} are there")
    if re.search(r"size of array .*is too large", complaint):
        raise BudgetError(
            "it doesn't fit: an array of it is larger than the compiler's 32,767 bytes"
        )


def run_tool(command: Sequence[str]) -> str:
    """Standard output of a compiler's program.

    Raises:
        UsageError: it is missing, or it failed.
        BudgetError: it failed since the program is too large for an AVR.
    """
    if shutil.which(command[0]) is None:
        raise UsageError(f"{command[0]} is not on PATH: install it, or leave its core out")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        _check_avr_room(done.stderr)
        lines = [line for line in done.stderr.splitlines() if "error" in line]
        # The folder is a temporary one: the same failure reads the same on any machine.
        reason = re.sub(r"\S*/(?=[^/\s]+:\d)", "", (lines or ["no reason given"])[0])
        raise UsageError(f"{command[0]} failed: {reason}")
    return done.stdout
