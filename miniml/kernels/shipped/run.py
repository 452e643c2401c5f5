"""Cycles of a kernel as shipped: its text, run in Python with the chip's memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miniml.kernels.program import Int64Array, KernelProgram
from miniml.kernels.shipped.arithmetic import Step
from miniml.kernels.shipped.flash import (
    ART_BASE,
    XIP_BASE,
    Memory,
    Rp2040,
    Stm32f4,
    art_wait_states,
)
from miniml.kernels.shipped.instructions import step_of
from miniml.kernels.shipped.machine import LR, PC, RETURN, SP, Machine
from miniml.kernels.shipped.text import SRAM, Instruction, read, register, registers
from miniml.model import Int8Array, QuantizedModel

# Of a taken branch, on top of its own count (docs/SIMULATOR_ARM.md).
REFILL = {"cortex-m4": 2, "cortex-m0plus": 1}
# What a call of an empty function takes: BX LR.
EMPTY_CALL = {"cortex-m4": 3, "cortex-m0plus": 2}
STM32F4_CLOCK_HZ = 168_000_000
# Runs before the one that counts: caches are warm.
WARM = 1


@dataclass(frozen=True)
class _Timed:
    """An instruction that is ready to run.

    Attributes:
        step: executes it.
        mark: as in the text.
        size: bytes.
        cycles: at 0 wait states, a taken branch's refill apart.
        jumps: branches whatever the flags.
        loads: the register of a single load on the Cortex-M4, else -1.
        address: bits of the registers that the address of a single access comes from, if the load
            before it can make it one cycle shorter.
    """

    step: Step
    mark: int | None
    size: int
    cycles: int
    jumps: bool
    loads: int = -1
    address: int = 0


def shipped_cycles(
    model: QuantizedModel,
    kernels: KernelProgram,
    inputs: Int8Array,
    clock_hz: int = STM32F4_CLOCK_HZ,
) -> tuple[Int64Array, Int8Array]:
    """Cycles of one run with the wait states and caches of the chip, warm, and the outputs.

    Args:
        model: of the kernels.
        kernels: for "cortex-m4" (STM32F4) or "cortex-m0plus" (RP2040, at any clock).
        inputs: int8, (n, n_inputs).
        clock_hz: decides the STM32F4's wait states.

    Returns:
        int64, (n, 1 + layers), as `KernelProgram.cycles` has them; int8, (n, n_outputs).
    """
    m4 = kernels.core == "cortex-m4"
    program = read(kernels.assembly, ART_BASE if m4 else XIP_BASE, narrow=not m4)
    memory: Memory = Stm32f4(art_wait_states(clock_hz)) if m4 else Rp2040()
    machine = Machine(program, memory)
    code = {address: _timed(machine, one, m4=m4) for address, one in program.instructions.items()}
    cycles, outputs = [], []
    for row in inputs:
        for _ in range(1 + WARM):
            spent = _run(machine, code, model, row, REFILL[kernels.core])
        spent[0] -= EMPTY_CALL[kernels.core]
        cycles.append(spent)
        at = machine.r[0] - SRAM
        outputs.append(np.frombuffer(machine.sram[at : at + model.n_outputs], np.int8))
    return np.array(cycles, np.int64), np.array(outputs)


def _run(
    machine: Machine, code: dict[int, _Timed], model: QuantizedModel, row: Int8Array, refill: int
) -> list[int]:
    """One call with all layers; cycles of the run itself, then of each layer."""
    r, fetch, symbols = machine.r, machine.memory.fetch, machine.program.symbols
    buffer = symbols[f"{model.name}_input_buffer"]
    machine.sram[buffer - SRAM : buffer - SRAM + len(row)] = row.tobytes()
    r[0], r[1] = buffer, len(model.layers)
    r[SP], r[LR] = SRAM + len(machine.sram) & ~7, RETURN | 1
    address = symbols[f"{model.name}_run_layers"]
    spent = [0] * (1 + len(model.layers))
    layer, loaded = 0, -1
    while address != RETURN:
        one, before = code[address], machine.now
        layer = layer if one.mark is None else one.mark
        behind = address + one.size
        machine.now += one.cycles - (
            loaded >= 0 and one.address != 0 and not one.address >> loaded & 1
        )
        machine.now += fetch(address, one.size, machine.now)
        r[PC] = behind
        if machine.skip:
            machine.skip = False
        else:
            one.step()
        address, loaded = r[PC], one.loads
        if one.jumps or address != behind:
            machine.now += refill
        spent[layer] += machine.now - before
    return spent


def _timed(machine: Machine, one: Instruction, *, m4: bool) -> _Timed:
    """Arm 100166, table 3-1 and 3.3.2, or DDI 0484C, table 3-1."""
    name, operands = one.name, one.operands
    cycles, loads, address = 1, -1, 0
    if name in ("push", "pop", "ldm", "ldmia", "stm"):
        listed = registers(operands[-1])
        cycles = 1 + len(listed) + (not m4 and PC in listed)
    elif name.startswith(("ldr", "str")):
        inside = [text.strip() for text in operands[1].strip("[]").split(",")]
        indexed = len(inside) > 1 and not inside[1].startswith("#")
        cycles = 2 if name.startswith("ldr") or indexed or not m4 else 1
        if m4 and operands[0] != "pc":
            used = inside[: 1 + indexed]
            address = sum(1 << register(text) for text in used) if cycles > 1 else 0
            loads = register(operands[0]) if name.startswith("ldr") else -1
    elif name == "bl" and not m4:
        cycles = 2
    jumps = name in ("b", "bl", "bx") or any("pc" in text for text in operands)
    return _Timed(step_of(machine, one), one.mark, one.size, cycles, jumps, loads, address)
