"""Random instructions on the simulated ARM cores against independent oracles.

The architecture manual's pseudocode judges the integer and DSP instructions with their
flags; QEMU's boards judge all, loads, stores and floating point included; numpy judges
IEEE arithmetic once more. `python tests/test_sim_arm_instructions.py 100000` is the
long campaign.
"""

from __future__ import annotations

import math
import struct
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import sim_arm_qemu
from sim_arm_cases import SCRATCH, SCRATCH_BYTES, Case, cases
from sim_arm_pseudocode import State, narrow, plain_immediate, wide_data_processing
from sim_arm_pseudocode_dsp import long_multiplies, multiplies, register_operations

from miniml.sim.arm.machine import FPSCR, S0, XPSR, CoreName, Machine

CORES: list[CoreName] = ["cortex-m4", "cortex-m0plus"]
COUNT = 2500
RECORD = Path(__file__).with_name("sim_arm_qemu_answers.txt")
FLAGS = 0xF80F_0000
XPSR_FLAGS = 138  # unicorn's XPSR_NZCVQG: writes flags, GE included
VMRS = bytes.fromhex("f1ee100a")


class Runner:
    """Runs cases one by one on a bare machine."""

    def __init__(self, core: CoreName, chosen: list[Case]) -> None:
        self.core = core
        self.machine = Machine.bare(core)
        self.chosen = chosen
        code = b"".join(case.code.ljust(4, b"\0") for case in chosen)
        self.machine.write(0, (VMRS if core == "cortex-m4" else b"\0\0\0\0") + code)
        if core == "cortex-m4":
            # The first FPU instruction makes FPSCR anew from FPDSCR (ARMv7-M ARM, B1.5.7).
            self.machine.set_register(15, 0)
            self.machine.run(instructions=1)

    def run(self, number: int) -> None:
        """Leaves the machine as case `number` leaves it."""
        machine, case = self.machine, self.chosen[number]
        for register, value in enumerate(case.registers):
            machine.set_register(register, value)
        machine.set_special(XPSR_FLAGS, case.flags | 1 << 24)
        if self.core == "cortex-m4":
            for register, value in enumerate(case.floats):
                machine.set_special(S0 + register, value)
            machine.set_special(FPSCR, case.fpscr)
        machine.write(SCRATCH, case.memory)
        machine.set_register(15, 4 + 4 * number)
        machine.run(instructions=1)
        assert machine.core.faults == 0, (case.name, case.code.hex())

    def registers(self) -> list[int]:
        return [self.machine.register(number) for number in range(13)]

    def flags(self) -> int:
        return self.machine.special(XPSR) & FLAGS

    def floats(self) -> list[int]:
        if self.core != "cortex-m4":
            return []
        return [self.machine.special(S0 + number) for number in range(32)]

    def packed(self) -> bytes:
        """As QEMU's harness writes it."""
        state = sim_arm_qemu.pack(
            self.core,
            self.registers(),
            self.flags(),
            self.machine.special(FPSCR),
            self.floats(),
        )
        return state + self.machine.read(SCRATCH, SCRATCH_BYTES)


def is_integer(case: Case) -> bool:
    return "access" not in case.name and not case.name.startswith("V")


def pseudocode(case: Case) -> State:
    state = State.of(case.registers, case.flags)
    if len(case.code) == 2:
        narrow(state, struct.unpack("<H", case.code)[0])
        return state
    high, low = struct.unpack("<2H", case.code)
    opcode = high << 16 | low
    if opcode >> 24 == 0xFA:
        register_operations(state, opcode)
    elif opcode >> 23 == 0xFB00 >> 7:
        multiplies(state, opcode)
    elif opcode >> 23 == 0xFB80 >> 7:
        long_multiplies(state, opcode)
    elif opcode >> 25 == 0x75 or (opcode >> 27 == 0x1E and not opcode >> 25 & 1):
        wide_data_processing(state, opcode)
    else:
        plain_immediate(state, opcode)
    return state


def against_pseudocode(core: CoreName, count: int) -> tuple[int, list[str]]:
    """How many were judged, and what differed."""
    chosen = cases(core, count)
    runner = Runner(core, chosen)
    judged, wrong = 0, []
    for number, case in enumerate(chosen):
        if is_integer(case):
            judged += 1
            runner.run(number)
            expected = pseudocode(case)
            if (runner.registers(), runner.flags()) != (expected.r, expected.apsr):
                wrong.append(f"{case.name} {case.code.hex()}")
    return judged, wrong


@pytest.mark.parametrize("core", CORES)
def test_integer_and_dsp_instructions_follow_the_architecture_manual(core: CoreName) -> None:
    judged, wrong = against_pseudocode(core, 3000)
    assert judged >= 2000
    assert wrong == []


def checksums(answers: list[bytes]) -> list[str]:
    return [f"{zlib.crc32(answer):08x}" for answer in answers]


def ours(core: CoreName, count: int) -> list[bytes]:
    chosen = cases(core, count)
    runner = Runner(core, chosen)
    answers = []
    for number in range(count):
        runner.run(number)
        answers.append(runner.packed())
    return answers


def recorded(core: CoreName) -> list[str]:
    lines = [line.split() for line in RECORD.read_text().splitlines() if line[:1] != "#"]
    return [word for name, *words in lines if name == core for word in words]


@pytest.mark.parametrize("core", CORES)
def test_every_kind_of_instruction_leaves_what_qemu_leaves(core: CoreName) -> None:
    """Against QEMU's recorded answers: registers, flags, FPU registers, FPSCR, memory."""
    wanted = recorded(core)
    assert len(wanted) == COUNT
    chosen = cases(core, COUNT)
    wrong = [
        f"{case.name} {case.code.hex()}"
        for case, answer, expected in zip(chosen, checksums(ours(core, COUNT)), wanted, strict=True)
        if answer != expected
    ]
    assert wrong == []


@pytest.mark.skipif(
    not sim_arm_qemu.available(), reason="the recorded answers stand in where there is no QEMU"
)
@pytest.mark.parametrize("core", CORES)
def test_the_recorded_answers_are_what_qemu_says(core: CoreName, tmp_path: Path) -> None:
    answers = sim_arm_qemu.run(core, cases(core, COUNT), tmp_path)
    assert checksums(answers) == recorded(core)


def test_the_oracle_notices_a_changed_operation() -> None:
    """The same operands with another opcode: the comparison must be able to fail."""
    runner = Runner("cortex-m4", cases("cortex-m4", 1000))
    noticed = []
    for number, case in enumerate(runner.chosen):
        if case.name == "multiply accumulate":  # MLA for MLS
            runner.run(number)
            changed = case.code[:2] + bytes([case.code[2] ^ 0x10]) + case.code[3:]
            expected = pseudocode(Case(**{**vars(case), "code": changed}))
            noticed.append(expected.r != runner.registers())
    assert len(noticed) >= 10
    assert sum(noticed) > len(noticed) / 2  # a product of zero hides it


def as_float(word: int) -> np.float32:
    return np.uint32(word).view(np.float32)


def test_floating_point_follows_ieee_754_as_numpy_computes_it() -> None:
    """Round to nearest, denormals and infinities included; NaN's payload is not judged."""
    chosen = [
        case
        for case in cases("cortex-m4", 30000, seed=2)
        if case.name in ("VADD", "VMUL", "VDIV") and case.fpscr == 0
    ]
    runner = Runner("cortex-m4", chosen)
    assert len(chosen) > 500
    with np.errstate(all="ignore"):
        for number, case in enumerate(chosen):
            high, low = struct.unpack("<2H", case.code)
            d = low >> 11 & 0x1E | high >> 6 & 1
            n = as_float(case.floats[high << 1 & 0x1E | low >> 7 & 1])
            m = as_float(case.floats[low << 1 & 0x1E | low >> 5 & 1])
            negate = low >> 6 & 1
            expected = {
                "VADD": n - m if negate else n + m,
                "VMUL": -(n * m) if negate else n * m,
                "VDIV": n / m,
            }[case.name]
            runner.run(number)
            result = as_float(runner.floats()[d])
            if math.isnan(expected):
                assert math.isnan(result)
            else:
                assert result.view(np.uint32) == expected.view(np.uint32), case.code.hex()


def record() -> None:
    """Write QEMU's answers anew (needs qemu-system-arm)."""
    lines = ["# CRC-32 of what QEMU leaves, case by case; made by test_sim_arm_instructions.py"]
    with tempfile.TemporaryDirectory() as folder:
        for core in CORES:
            words = checksums(sim_arm_qemu.run(core, cases(core, COUNT), Path(folder)))
            lines += [f"{core} {' '.join(words[i : i + 20])}" for i in range(0, COUNT, 20)]
    RECORD.write_text("\n".join(lines) + "\n")


def campaign(count: int) -> int:
    """The same comparisons with more cases; returns the number of differences."""
    differences = 0
    for core in CORES:
        judged, wrong = against_pseudocode(core, count)
        print(f"{core}: {judged} against the pseudocode, {len(wrong)} wrong {wrong[:5]}")
        with tempfile.TemporaryDirectory() as folder:
            answers = sim_arm_qemu.run(core, cases(core, count), Path(folder))
        pairs = zip(ours(core, count), answers, strict=True)
        other = sum(mine != theirs for mine, theirs in pairs)
        print(f"{core}: {count} against QEMU, {other} different")
        differences += len(wrong) + other
    return differences


if __name__ == "__main__":
    if sys.argv[1:] == ["record"]:
        record()
    else:
        sys.exit(min(1, campaign(int(sys.argv[1]))))
