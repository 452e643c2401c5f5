"""XOR as the guide trains it, many seeds, on the simulated cores: several models a program."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import cmsis_nn_library
import numpy as np
from numpy.typing import NDArray

from miniml import reference, reference_float
from miniml.cost.benchmark import TARGETS, ModelCode, build
from miniml.float_net import is_float_mode, make_float_net
from miniml.ml_runtime import MiniNeuralNetwork
from miniml.network_options import NetworkOptions
from miniml.sim.arm.core import Stop
from miniml.sim.arm.machine import CoreName, Machine
from miniml.sim.avr.batch import run_batch

XOR = [[0.0, 0.0, 0], [0.0, 1.0, 1], [1.0, 0.0, 1], [1.0, 1.0, 0]]
POINTS = [row[:2] for row in XOR]
WANTED = [0, 1, 1, 0]
# Example 1 of the guide, and example 2, which says nothing more than the shape.
EXAMPLES: dict[int, NetworkOptions] = {
    1: {"epochs": 2000, "learning_rate": 0.1, "scaling": "minmax"},
    2: {},
}
# What export_to_c picks for the boards of a core, then what else one may ask for.
RUNS = (
    ("avr", "int8"),
    ("cortex-m4", "cmsis_nn"),
    ("cortex-m0plus", "int8"),
    ("avr", "native"),
    ("cortex-m0plus", "native"),
    ("avr", "avr_hybrid"),
    ("cortex-m4", "int8"),
    ("cortex-m0plus", "avr_hybrid"),
)
# As many as the ATmega328P's flash holds.
MODELS_A_PROGRAM = 20

_ROWS = "static const float xor_rows[4][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}};\n"
AVR_MAIN = r"""
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#define MARK(byte) \
  __asm__ volatile("out %0, %1" ::"I"(_SFR_IO_ADDR(GPIOR0)), "r"((uint8_t)(byte)) : "memory")

int main(void) {
  for (uint8_t model = 0; model < sizeof xor_models / sizeof xor_models[0]; model++) {
    for (uint8_t row = 0; row < 4; row++) {
      union {
        float value;
        uint8_t bytes[4];
      } out;
      xor_models[model](xor_rows[row], &out.value);
      for (uint8_t i = 0; i < 4; i++) {
        MARK(out.bytes[i]);
      }
    }
  }
  cli();
  sleep_mode();
}
"""
ARM_MAIN = r"""
const float *benchmark_empty(uint32_t model, uint32_t row);
const float *benchmark_run(uint32_t model, uint32_t row);
static float out[1];

const float *benchmark_empty(uint32_t model, uint32_t row) {
  (void)model, (void)row;
  return out;
}

const float *benchmark_run(uint32_t model, uint32_t row) {
  xor_models[model](xor_rows[row], out);
  return out;
}
"""


def network(example: int, seed: int) -> MiniNeuralNetwork:
    """Trained and quantized as the guide's example does it."""
    settings = EXAMPLES[example].copy()
    settings["seed"], settings["name"] = seed, f"xor_{example}_{seed}"
    return MiniNeuralNetwork(2, 4, 1, **settings).fit(XOR).quantize()


def answers(network: MiniNeuralNetwork, mode: str) -> NDArray[np.float32]:
    """What the mode's reference says a device returns for the four rows, (4,)."""
    model, points = network.quantized_model, np.array(POINTS, np.float32)
    if is_float_mode(mode):
        net = make_float_net(model, network.float_model, mode)
        return reference_float.run_layers(net, points)[-1][:, 0]
    inputs = reference.quantize_inputs(model, points)
    return reference.dequantize(model, reference.run_layers(model, inputs)[-1])[:, 0]


def run_core(
    core: str, mode: str, networks: Sequence[MiniNeuralNetwork], folder: Path
) -> NDArray[np.float32]:
    """What a simulated core returns, (networks, 4)."""
    headers = {f"{one.name}.h": one.to_c(mode) for one in networks}
    names = "".join(f"    {one.name}_predict,\n" for one in networks)
    includes = "#include <stdint.h>\n" + "".join(f'#include "{name}"\n' for name in headers)
    table = "static void (*const xor_models[])(const float *in, float *out) = {\n" + names + "};\n"
    main = includes + _ROWS + table + (AVR_MAIN if core == "avr" else ARM_MAIN)
    if mode == "cmsis_nn":
        program = cmsis_nn_library.arm_program(core, main, headers, folder)
    else:
        code = ModelCode("", headers)
        inputs = np.zeros((1, 2), np.int8)
        program = build(TARGETS[core], networks[0].quantized_model, inputs, main, folder, code)
    if core == "avr":
        found = bytes(mark.value for mark in run_batch(program, cycles=2_000_000_000).marks)
    else:
        found = _run_arm(core, program, len(networks))
    return np.frombuffer(found, "<f4").reshape(len(networks), 4)


def _run_arm(core: str, program: Path, models: int) -> bytes:
    machine = Machine.bare(cast(CoreName, core))
    try:
        machine.load_elf(program)
        found = b""
        for model in range(models):
            for row in range(4):
                result = machine.call(machine.symbols["benchmark_run"], model, row)
                assert result.stop is Stop.TRAP
                found += machine.read(result.value, 4)
        return found
    finally:
        machine.close()
