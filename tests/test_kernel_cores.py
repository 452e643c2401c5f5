"""The kernel on simulated cores, built as PlatformIO's builders do: the reference's bytes."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import numpy as np
import pytest
from random_models import random_model
from test_kernel_arithmetic import float_cases

from miniml import reference
from miniml.cost.benchmark import KERNEL, TARGETS, measure
from miniml.cost.elf_symbols import symbols
from miniml.model import Float32Array, InputQuantizer, Int8Array
from miniml.sim.arm.core import Stop
from miniml.sim.arm.machine import Machine
from miniml.sim.avr.batch import run_batch


@pytest.mark.parametrize("core", TARGETS)
@pytest.mark.parametrize("seed", range(8))
def test_random_models_give_the_reference_s_bytes(tmp_path: Path, core: str, seed: int) -> None:
    model = random_model(np.random.default_rng(seed))
    model = dataclasses.replace(model, name="random")
    inputs = np.random.default_rng(seed).integers(-128, 128, (20, model.n_inputs))
    found = measure(TARGETS[core], model, inputs.astype(np.int8), tmp_path)
    expected = reference.run_layers(model, inputs.astype(np.int8))[-1]
    np.testing.assert_array_equal(found.outputs, expected)


def float_entry_cases(count: int) -> Float32Array:
    """A sample of the host's cases: x, inv_scale, offset."""
    cases = float_cases()
    chosen = np.random.default_rng(0).permutation(len(cases))[:count]
    return np.asarray(cases[chosen], np.float32)


def expected_bytes(cases: Float32Array) -> Int8Array:
    model = random_model(np.random.default_rng(0), widths=(1, 1))
    model = dataclasses.replace(model, input=InputQuantizer(cases[:, 1], cases[:, 2]))
    return np.asarray(reference.quantize_inputs(model, cases[:, 0][None, :])[0], np.int8)


AVR_FLOATS = r"""
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include <miniml.h>
static const uint32_t cases[][3] PROGMEM = {CASES};
int main(void) {
  for (uint16_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    float c[3];
    memcpy_P(c, cases[i], sizeof c);
    GPIOR0 = (uint8_t)miniml_quantize_input(c[0], c[1], c[2], -127);
  }
  cli();
  sleep_mode();
}
"""


def test_float_entry_on_the_avr(tmp_path: Path) -> None:
    cases = float_entry_cases(2000)
    text = ",".join("{" + ",".join(f"{word}ul" for word in row) + "}" for row in words(cases))
    (tmp_path / "main.c").write_text(AVR_FLOATS.replace("CASES", text))
    program = tmp_path / "program.elf"
    command = ["avr-gcc", "-mmcu=atmega328p", "-Os", "-flto", f"-I{KERNEL}", "-o", str(program)]
    source = [str(tmp_path / "main.c"), str(KERNEL / "miniml_input.c")]
    subprocess.run([*command, *source], check=True)
    result = run_batch(program, cycles=100_000_000)
    found = np.array([mark.value for mark in result.marks], np.uint8).astype(np.int8)
    np.testing.assert_array_equal(found, expected_bytes(cases))


# softfp: the FPU computes, arguments come in integer registers.
ARM_FLAGS = {
    "cortex-m4": ("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=softfp", "-O3"),
    "cortex-m0plus": ("-mcpu=cortex-m0plus", "-Os"),
}


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m0plus"])
def test_float_entry_on_arm(tmp_path: Path, core: str) -> None:
    cases = float_entry_cases(2000)
    program = tmp_path / "program.elf"
    flags = ("-mthumb", *ARM_FLAGS[core], "-ffp-contract=fast", "-nostartfiles")
    link = ("--specs=nano.specs", TARGETS[core].link_flags[-1], "-Wl,-e,miniml_quantize_input")
    command = ["arm-none-eabi-gcc", *flags, *link, f"-I{KERNEL}", "-o", str(program)]
    subprocess.run([*command, str(KERNEL / "miniml_input.c")], check=True)
    machine = Machine.bare("cortex-m4" if core == "cortex-m4" else "cortex-m0plus")
    try:
        machine.load_elf(program)
        address = symbols(program)["miniml_quantize_input"][0]
        found = []
        for row in words(cases):
            result = machine.call(address, *row, -127 & 0xFFFFFFFF)
            assert result.stop is Stop.TRAP
            found.append(result.value & 0xFF)
    finally:
        machine.close()
    np.testing.assert_array_equal(np.array(found, np.uint8).astype(np.int8), expected_bytes(cases))


def words(cases: Float32Array) -> list[list[int]]:
    rows: list[list[int]] = cases.view(np.uint32).tolist()
    return rows
