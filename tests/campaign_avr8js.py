"""Campaign: the simulated ATmega328P against npm's avr8js, an independent simulator.

    python tests/campaign_avr8js.py [FIRMWARE.elf ...] [--cycles N] [--receive TEXT]

Compares (pc, cycle) of every instruction, and registers and SRAM at the end: of programs of random
instructions with their results and flags stored, and of whole firmwares with interrupts and serial
traffic. Needs node and npm. What avr8js does otherwise than the data sheet stands in
campaign_avr8js.mjs and at `explained`; the recorded result stands in docs/SIMULATOR_AVR.md.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from avr_arithmetic import H, S, V, Z
from sim_avr_program import compile_avr
from test_sim_avr_arithmetic import STEPS, make_step

from miniml.sim.avr.batch import elf_to_hex, run_batch

AVR8JS = "avr8js@0.21.1"
RECEIVE_AT = 200_000  # the cycle at which serial input begins


def image(elf: Path) -> bytes:
    """The flash from address 0 on."""
    content = bytearray()
    for line in elf_to_hex(elf).split():
        record = bytes.fromhex(line[1:])
        if record[3] == 0:
            address = int.from_bytes(record[1:3], "big")
            content.extend(b"\xff" * (address + record[0] - len(content)))
            content[address : address + record[0]] = record[4:-1]
    return bytes(content)


def explained(code: list[str]) -> int:
    """Flags in which avr8js 0.21 is known to be wrong, by the manual's formulas.

    It takes the half carry from bits 0 to 2 in additions and subtractions and changes it in SBIW;
    it sets Z in FMULSU by the unsigned product, and in SBC and SBCI before the result is cut to
    eight bits; it misses V (and so S) in NEG of 0x80. tests/avr_arithmetic.py has the formulas.
    """
    return H | {"fmulsu": Z, "sbc": Z, "sbci": Z, "neg": V | S}.get(code[7].split()[0], 0)


def run_theirs(elf: Path, module: Path, cycles: int, receive: bytes, folder: Path) -> bytes:
    """Runs avr8js; registers and SRAM at the end, the trace in `folder`/theirs."""
    (folder / "image").write_bytes(image(elf))
    script = Path(__file__).with_suffix(".mjs")
    command = ["node", str(script), str(module), str(folder / "image"), str(cycles)]
    command += [str(folder / "theirs"), receive.hex(), str(RECEIVE_AT)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(result.stdout)
    return bytes.fromhex(found["registers"] + found["sram"])


def count_same(folder: Path) -> tuple[int, bool]:
    """Instructions with the same (pc, cycle), and whether that is all of them."""
    left, right = (
        np.fromfile(folder / name, dtype="<u4").reshape(-1, 2) for name in ("ours", "theirs")
    )
    count = min(len(left), len(right))
    different = np.flatnonzero((left[:count] != right[:count]).any(axis=1))
    if not different.size:
        return count, abs(len(left) - len(right)) <= 1
    at = int(different[0])
    print(f"instruction {at} of {count} differs (pc, cycle), ours first:")
    for (pc, cycle), (other_pc, other_cycle) in zip(
        left[max(0, at - 8) : at + 4], right[max(0, at - 8) : at + 4], strict=False
    ):
        print(f"  {pc:05x} {cycle}   {other_pc:05x} {other_cycle}")
    return at, False


def compare_random(seed: int, module: Path, folder: Path) -> bool:
    """Random arithmetic; true if all but the explained flags are the same."""
    source = random.Random(seed)
    steps = [make_step(source) for _ in range(STEPS)]
    lines = ["ldi r26, 0", "ldi r27, 1", *(line for step in steps for line in step[0])]
    elf = compile_avr("\n".join([*lines, "1: rjmp 1b", ""]), folder / f"random{seed}.elf")
    ours = run_batch(elf, cycles=20_000, trace=folder / "ours")
    theirs = run_theirs(elf, module, 20_000, b"", folder)[32:]
    count, same = count_same(folder)
    differences = 0
    for index, (code, _) in enumerate(steps):
        left, right = (sram[3 * index : 3 * index + 3] for sram in (ours.sram, theirs))
        mask = 0xFF ^ explained(code)
        differences += left[:2] != right[:2] or (left[2] ^ right[2]) & mask != 0
    print(f"random program {seed}: {count} instructions, {differences} of {STEPS} results differ")
    return same and differences == 0


def compare_firmware(elf: Path, module: Path, cycles: int, receive: bytes, folder: Path) -> bool:
    """A whole firmware; true if every instruction and the memory at the end are the same."""
    ours = run_batch(
        elf, cycles=cycles, trace=folder / "ours", receive=receive, receive_at=RECEIVE_AT
    )
    theirs = run_theirs(elf, module, cycles, receive, folder)
    count, same = count_same(folder)
    same_memory = ours.registers + ours.sram == theirs
    print(
        f"{elf}: {count} instructions in {cycles} cycles, {len(receive)} bytes in, "
        f"{len(ours.sent)} out: {'equal' if same else 'DIFFERENT'}, "
        f"memory {'equal' if same_memory else 'DIFFERENT'}",
        flush=True,
    )
    return same and same_memory


def main() -> int:
    """Runs the campaign; 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("firmware", type=Path, nargs="*")
    parser.add_argument("--cycles", type=int, default=8_000_000)
    parser.add_argument("--receive", default="?00 HELLO 00000001*----\\n?01 TIME 1*----\\n")
    parser.add_argument("--programs", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(["npm", "install", "--silent", "--prefix", name, AVR8JS], check=True)
        module = folder / "node_modules/avr8js/dist/cjs/index.js"
        if not module.exists():
            raise SystemExit(f"npm did not install {AVR8JS}")
        failures = sum(
            not compare_random(seed, module, folder) for seed in range(arguments.programs)
        )
        receive = arguments.receive.encode().decode("unicode_escape").encode()
        for elf in arguments.firmware:
            failures += not compare_firmware(elf, module, arguments.cycles, receive, folder)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
