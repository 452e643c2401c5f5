"""QEMU's boards as an oracle for the simulated ARM cores: runs cases, returns what they left."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

from sim_arm_cases import SCRATCH, SCRATCH_BYTES, Case

HARNESS = Path(__file__).with_suffix(".S")
MACHINES = {"cortex-m4": ("netduinoplus2", 0x0800_0000), "cortex-m0plus": ("microbit", 0)}
CHUNK = 1000  # as many cases as fit into the smaller flash
NOP = b"\x00\xbf"


def available() -> bool:
    """Whether QEMU and the ARM compiler are installed."""
    return bool(shutil.which("qemu-system-arm") and shutil.which("arm-none-eabi-gcc"))


def pack(core: str, registers: list[int], flags: int, fpscr: int, floats: list[int]) -> bytes:
    """The state in the harness's order."""
    if core == "cortex-m4":
        return struct.pack("<47I", *registers, flags, fpscr, *floats)
    return struct.pack("<14I", *registers[8:], *registers[:8], flags)


def run(core: str, cases: list[Case], folder: Path) -> list[bytes]:
    """What each case left: state and scratch memory, as `pack` orders it.

    Raises:
        subprocess.CalledProcessError: the harness does not assemble or QEMU fails.
    """
    results: list[bytes] = []
    for begin in range(0, len(cases), CHUNK):
        results += _run_chunk(core, cases[begin : begin + CHUNK], folder)
    return results


def _run_chunk(core: str, cases: list[Case], folder: Path) -> list[bytes]:
    machine, flash = MACHINES[core]
    m4 = core == "cortex-m4"
    state = len(pack(core, [0] * 13, 0, 0, [0] * 32))
    content = b"".join(
        (case.code + NOP)[:4]
        + pack(core, list(case.registers), case.flags, case.fpscr, list(case.floats))
        + case.memory
        for case in cases
    )
    (folder / "cases.bin").write_bytes(content)
    definitions = {
        "COUNT": len(cases),
        "SCRATCH": SCRATCH,
        "SCRATCH_BYTES": SCRATCH_BYTES,
        "STATE_BYTES": state,
    }
    subprocess.run(
        [
            "arm-none-eabi-gcc",
            "-nostdlib",
            "-mthumb",
            *(["-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-DM4"] if m4 else ["-mcpu=cortex-m0plus"]),
            *(f"-D{name}={value}" for name, value in definitions.items()),
            f"-Wl,--section-start=.vectors={flash:#x},--section-start=.cases={flash + 0x200:#x}",
            "-Wl,-Ttext=0x20000000,-Tdata=0x20000400,-e,start",
            str(HARNESS),
            "-o",
            "harness.elf",
        ],
        cwd=folder,
        check=True,
    )
    subprocess.run(
        [
            "qemu-system-arm",
            *("-M", machine, "-nographic", "-monitor", "none", "-serial", "none"),
            *("-semihosting-config", "enable=on,target=native", "-kernel", "harness.elf"),
        ],
        cwd=folder,
        check=True,
        timeout=600,
        stdin=subprocess.DEVNULL,
    )
    written = (folder / "results.bin").read_bytes()
    size = state + SCRATCH_BYTES
    return [written[i : i + size] for i in range(0, len(written), size)]
