"""Random nets for the Cortex-M4 generator, and one program that runs many of them."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from miniml import reference
from miniml.fixed_point import accumulator_bound
from miniml.kernels.cortex_m4.requantize import output_range
from miniml.kernels.program import KernelProgram
from miniml.model import DenseLayer, InputQuantizer, Int8Array, QuantizedModel, validate
from miniml.sim.arm.core import Stop
from miniml.sim.arm.machine import Machine

FLAGS = ("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard", "-nostdlib")
LINK = "-Wl,-Ttext=0x08000000,-Tdata=0x20000000,--no-warn-rwx-segments,-e,0"
INPUTS_AT = 0x200C_0000
EMPTY_CALL = 3  # BX LR
ACTIVATIONS = ("relu", "relu", "linear", "sigmoid", "tanh")


def random_net(rng: np.random.Generator, name: str, widths: Sequence[int]) -> QuantizedModel:
    """A net whose rows meet and break the preconditions of every method."""
    nonnegative = bool(rng.integers(2))
    low, high = 0 if nonnegative else -127, 127
    layers: list[DenseLayer] = []
    for n, m in pairwise(widths):
        layers.append(_layer(rng, n, m, str(rng.choice(ACTIVATIONS)), low, high))
        low, high = output_range(layers[-1])
    model = QuantizedModel(
        name=name,
        task="regression",
        features=tuple(f"x{i}" for i in range(widths[0])),
        labels=(),
        input=InputQuantizer(
            np.ones(widths[0], np.float32),
            np.zeros(widths[0], np.float32),
            -127 * (not nonnegative),
        ),
        layers=tuple(layers),
        output_scale=np.ones(widths[-1]),
        output_offset=np.zeros(widths[-1]),
    )
    validate(model)
    return model


def _layer(
    rng: np.random.Generator, n: int, m: int, activation: str, low: int, high: int
) -> DenseLayer:
    kind = rng.integers(5)
    if kind == 0:
        weights = rng.choice([-127, 127], (m, n))
    elif kind == 1:
        weights = rng.integers(-1, 2, (m, n))
    elif kind == 2:
        weights = np.full((m, n), 127)
    else:
        weights = np.clip(np.rint(rng.normal(0, 50, (m, n))), -127, 127)
    weights = weights.astype(np.int8)
    weights[rng.random(m) < 0.1] = 0
    # Small ones, ordinary ones, and some that make |acc| reach 2^23.
    size = rng.choice(
        [1, 1 << 12, 1 << 16, (1 << 23) - 1, 1 << 26], m, p=[0.1, 0.5, 0.3, 0.05, 0.05]
    )
    bias = np.rint(rng.uniform(-1, 1, m) * size).astype(np.int32)
    exact = rng.random(m) < 0.1
    bias[exact] = np.where(bias[exact] < 0, -size[exact], size[exact])
    multipliers = rng.integers(2**30, 2**31, m).astype(np.int32)
    multipliers[rng.random(m) < 0.2] = 2**30
    multipliers[rng.random(m) < 0.05] = 2**31 - 1
    bound = accumulator_bound(weights, bias)
    spread = np.log2(np.maximum(bound, 1))
    largest = np.where(bound > 0, np.floor(30.9 - spread), 30).astype(int)
    fitting = np.clip(np.rint(7 - spread + rng.integers(-1, 4, m)), -31, 30).astype(int)
    shifts = np.where(rng.random(m) < 0.1, rng.integers(-31, 31, m), fitting)
    shifts = np.clip(np.minimum(shifts, largest), -31, 30).astype(np.int8)
    least, greatest = (0, 127) if activation == "relu" else (-127, 127)
    if rng.random() < 0.1:
        least, greatest = sorted(rng.integers(-127, 128, 2).tolist())
    table = None
    if activation in ("sigmoid", "tanh"):
        table = rng.integers(-127, 128, 256).astype(np.int8)
    return DenseLayer(
        weights=weights,
        bias=bias,
        weight_scales=np.ones(m),
        multipliers=multipliers,
        shifts=shifts,
        input_scale=1.0,
        output_scale=1.0,
        activation=activation,  # type: ignore[arg-type]
        activation_min=least,
        activation_max=greatest,
        table=table,
    )


def random_inputs(rng: np.random.Generator, model: QuantizedModel, rows: int) -> Int8Array:
    """Extremes first, then any bytes."""
    n = model.n_inputs
    signs = np.sign(model.layers[0].weights[int(rng.integers(model.layers[0].n_outputs))])
    first = np.array([np.full(n, -128), np.full(n, 127), signs * 127, signs * -127, np.zeros(n)])
    return np.concatenate([first, rng.integers(-128, 128, (rows, n))])[:rows].astype(np.int8)


@dataclass(frozen=True, eq=False)
class Run:
    """What one net did: bytes of each layer, cycles and stack of the whole."""

    layers: list[Int8Array]
    cycles: list[int]
    stack: int


def link(programs: Sequence[KernelProgram], folder: Path, extra: Sequence[str] = ()) -> Path:
    """One ELF of many models' assembly; names differ."""
    sources = []
    for number, program in enumerate(programs):
        sources.append(folder / f"kernels_{number}.S")
        sources[-1].write_text(program.assembly, encoding="utf-8")
    target = folder / "kernels.elf"
    command = ["arm-none-eabi-gcc", *FLAGS, LINK, *extra, "-o", str(target)]
    subprocess.run([*command, *map(str, sources)], check=True)
    return target


def machine_with(program: Path) -> Machine:
    """A core with the program loaded."""
    machine = Machine.bare("cortex-m4")
    machine.load_elf(program)
    return machine


def run(machine: Machine, model: QuantizedModel, inputs: Int8Array, at: int = INPUTS_AT) -> Run:
    """Every layer of every input, by the early exits."""
    entry = machine.symbols[f"{model.name}_run_layers"]
    layers: list[list[Int8Array]] = [[] for _ in model.layers]
    cycles, stack = [], 0
    for row in inputs:
        for number, layer in enumerate(model.layers, start=1):
            machine.write(at, row.tobytes())
            result = machine.call(entry, at, number)
            assert result.stop is Stop.TRAP
            found = machine.read(result.value, layer.n_outputs)
            layers[number - 1].append(np.frombuffer(found, np.int8))
            stack = max(stack, result.stack)
            assert machine.read(at, len(row)) == row.tobytes()
        cycles.append(result.cycles - EMPTY_CALL)
    return Run([np.array(rows) for rows in layers], cycles, stack)


def check(
    machine: Machine, model: QuantizedModel, program: KernelProgram, inputs: Int8Array
) -> int:
    """Compare everything; returns the number of bytes that differ."""
    found = run(machine, model, inputs)
    expected = reference.run_layers(model, inputs)
    foretold = program.cycles(inputs).sum(axis=1)
    assert found.cycles == foretold.tolist(), model.name
    assert max(found.cycles) <= program.worst_cycles
    assert found.stack == program.stack
    return sum(int((a != b).sum()) for a, b in zip(found.layers, expected, strict=True))


def named(model: QuantizedModel, name: str) -> QuantizedModel:
    """The same model under another name."""
    return dataclasses.replace(model, name=name)
