"""Runs an AVR program without a board and tells everything about it, to the cycle.

For timing tests and for calibrating the cost model. A program marks a moment by writing a byte to
GPIOR0 (I/O address 0x1E): `OUT` does it in one cycle, and the mark carries the cycle at which the
`OUT` began. Two marks around a piece of code are thus its cycles plus one:

    #define MARK(n) __asm__ volatile("out %0, %1" ::"I"(_SFR_IO_ADDR(GPIOR0)), "r"((uint8_t)(n)))

    result = run_batch(Path("firmware.elf"), cycles=10_000_000)
    first, last = result.marks
    assert last.cycle - first.cycle - 1 == expected

The program ends where it sleeps with interrupts off (`cli(); sleep_mode();`), after `marks` marks,
or at `cycles`. It starts at address 0 as after power-on, without a bootloader and without a serial
partner; bytes to receive can be given.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from elftools.elf.elffile import ELFFile

from miniml.errors import SimulatorError
from miniml.sim.avr.runner_program import runner_program

SRAM_START = 0x100
RECORD_BYTES = 32


class Event(NamedTuple):
    """A byte and the cycle it belongs to."""

    value: int
    cycle: int


@dataclass(frozen=True)
class BatchResult:
    """What a program left behind.

    `end` is "sleep", "marks" or "cycles". `pc` is a byte address. `sp_min` is the lowest stack
    pointer ever. `sent` holds the serial bytes, each with the cycle at which its frame ended.
    `registers` are r0 to r31, `sram` the 2,048 bytes from 0x100. `crashed` tells the first fault
    (reserved opcode, access beyond the SRAM), else it is empty.
    """

    end: str
    cycles: int
    pc: int
    sp: int
    sp_min: int
    sreg: int
    resets: int
    faults: int
    crashed: str
    overruns: int
    framing_errors: int
    marks: list[Event]
    sent: list[Event]
    registers: bytes
    sram: bytes

    def word(self, address: int) -> int:
        """The little-endian 16-bit value at a data address in SRAM."""
        at = address - SRAM_START
        return int.from_bytes(self.sram[at : at + 2], "little")


def elf_to_hex(elf: Path) -> str:
    """Intel hex of everything an ELF file loads into the flash.

    Raises:
        SimulatorError: not an ELF file, or not for an AVR.
    """
    lines = []
    try:
        with elf.open("rb") as file:
            content = ELFFile(file)
            if content["e_machine"] != "EM_AVR":
                raise SimulatorError(f"{elf} is not a program for an AVR")
            for segment in content.iter_segments():
                if segment["p_type"] == "PT_LOAD":
                    lines += _records(segment["p_paddr"], segment.data())
    except SimulatorError:
        raise
    except Exception as error:  # pyelftools raises what struct and its own parser raise
        raise SimulatorError(f"{elf} can't be read as an ELF file: {error}") from error
    return "\n".join([*lines, ":00000001FF", ""])


def _records(address: int, content: bytes) -> list[str]:
    lines = []
    for start in range(0, len(content), RECORD_BYTES):
        part = content[start : start + RECORD_BYTES]
        record = bytes([len(part)]) + (address + start).to_bytes(2, "big") + b"\0" + part
        lines.append(f":{record.hex()}{-sum(record) & 0xFF:02x}".upper())
    return lines


def run_batch(
    program: Path,
    *,
    cycles: int,
    marks: int = 0,
    skip_waiting: bool = False,
    receive: bytes = b"",
    receive_at: int = 0,
    receive_baud: int = 0,
    trace: Path | None = None,
) -> BatchResult:
    """Run an ELF or Intel hex file for at most `cycles` cycles.

    `marks` ends it after that many marks (one instruction at a time: slower). `skip_waiting` skips
    rounds of polling loops as a waiting board does; the result is the same. `receive` (at most 512
    bytes) goes to USART0 back to back from cycle `receive_at` on, at `receive_baud` or, with 0,
    at exactly the program's own rate. `trace` gets two little-endian 32-bit words for each
    instruction: byte address and cycle.

    Raises:
        SimulatorError: the simulator can't be built, or the program can't be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        hex_file = program
        if program.suffix not in (".hex", ".ihex"):
            hex_file = Path(folder) / "program.hex"
            hex_file.write_text(elf_to_hex(program), encoding="ascii")
        command = [str(runner_program()), "--batch", str(hex_file), "--cycles", str(cycles)]
        command += ["--marks", str(marks)]
        command += ["--skip-waiting"] if skip_waiting else []
        if receive:
            command += ["--receive", receive.hex(), "--receive-at", str(receive_at)]
            command += ["--receive-baud", str(receive_baud)]
        if trace:
            command += ["--trace", str(trace)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SimulatorError(f"{program}: {result.stderr.strip() or 'the simulator died'}")
    found = json.loads(result.stdout)
    for name in ("marks", "sent"):
        found[name] = [Event(value, cycle) for value, cycle in found[name]]
    for name in ("registers", "sram"):
        found[name] = bytes.fromhex(found[name])
    return BatchResult(**found)
