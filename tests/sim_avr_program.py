"""Small AVR programs for the simulator's tests, assembled with avr-gcc."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from miniml.sim.avr.bootloader import find_avr_gcc

# mark: one-cycle OUT to GPIOR0, which the batch mode records; halt: SLEEP with interrupts off.
PRELUDE = """
#define __SFR_OFFSET 0
#include <avr/io.h>
.macro mark
    out GPIOR0, r16
.endm
.macro halt
    cli
    ldi r31, 1
    out SMCR, r31
    sleep
.endm
.macro store address, value
    ldi r24, lo8(\\value)
    sts \\address, r24
.endm
"""


def compile_avr(source: str, target: Path, flags: Sequence[str] = ()) -> Path:
    """Build `target` (an ELF file) from assembler (`.S` prelude added) or C source."""
    compiler = find_avr_gcc()
    assert compiler is not None, "avr-gcc is missing: apt install gcc-avr avr-libc"
    language = "c" if "int main" in source else "assembler-with-cpp"
    text = source if language == "c" else PRELUDE + source
    file = target.with_suffix(".c" if language == "c" else ".S")
    file.write_text(text)
    if language != "c":
        flags = [*flags, "-nostartfiles", "-nodefaultlibs"]
    subprocess.run(
        [str(compiler), "-Os", "-mmcu=atmega328p", *flags, "-o", str(target), str(file)], check=True
    )
    return target


def vectors(**handlers: str) -> str:
    """A vector table: the program at `start`, a label for each given vector number (`v13=...`)."""
    lines = [".org 0", "jmp start"]
    lines += [f"jmp {handlers.get(f'v{number}', 'unexpected')}" for number in range(1, 26)]
    return "\n".join([*lines, "unexpected: halt", ""])
