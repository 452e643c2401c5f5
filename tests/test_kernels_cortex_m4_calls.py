"""Calls of the generated Cortex-M4 kernels: registers, interrupts, callers, inputs, links."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from cortex_m4_nets import (
    FLAGS,
    INPUTS_AT,
    check,
    link,
    machine_with,
    random_inputs,
    random_net,
    run,
)

from miniml import reference
from miniml.kernels.cortex_m4 import plan
from miniml.kernels.program import KernelOptions, KernelProgram
from miniml.model import QuantizedModel
from miniml.sim.arm.core import Stop


@pytest.fixture(scope="module")
def mixed() -> tuple[QuantizedModel, KernelProgram]:
    rng = np.random.default_rng(11)
    model = random_net(rng, "mixed", (30, 21, 17, 9))
    return model, plan(model, KernelOptions())


def test_registers_are_kept_and_interrupts_may_come_anywhere(
    tmp_path: Path, mixed: tuple[QuantizedModel, KernelProgram]
) -> None:
    """Everything below SP is overwritten every few cycles, as exceptions would do."""
    model, program = mixed
    inputs = random_inputs(np.random.default_rng(2), model, 6)
    expected = reference.run_layers(model, inputs)[-1]
    machine = machine_with(link([program], tmp_path))
    sp, back = 0x2010_0000 - 256, 0x0800_0000 + 0xF_0000
    try:
        for row, bytes_ in zip(inputs, expected, strict=True):
            machine.write(INPUTS_AT, row.tobytes())
            for number in range(4, 12):
                machine.set_register(number, 0xA5A5_0000 + number)
            for number, value in ((0, INPUTS_AT), (1, 3), (13, sp), (14, back | 1)):
                machine.set_register(number, value)
            machine.set_register(15, machine.symbols["mixed_run_layers"])
            while machine.run(cycles=7, until=back) is not Stop.TRAP:
                below = machine.register(13)
                machine.write(below - 128, b"\xee" * 128)
            assert machine.register(13) == sp
            assert [machine.register(n) for n in range(4, 12)] == [
                0xA5A5_0000 + n for n in range(4, 12)
            ]
            assert machine.read(machine.register(0), len(bytes_)) == bytes_.tobytes()
    finally:
        machine.close()


def test_inputs_anywhere(tmp_path: Path, mixed: tuple[QuantizedModel, KernelProgram]) -> None:
    """The input buffer itself, and addresses that are not aligned."""
    model, program = mixed
    inputs = random_inputs(np.random.default_rng(3), model, 6)
    expected = reference.run_layers(model, inputs)
    machine = machine_with(link([program], tmp_path))
    try:
        buffer = machine.symbols["mixed_input_buffer"]
        assert buffer % 4 == 0
        for at in (buffer, INPUTS_AT + 1, INPUTS_AT + 2, INPUTS_AT + 3):
            found = run(machine, model, inputs, at)
            for a, b in zip(found.layers, expected, strict=True):
                np.testing.assert_array_equal(a, b)
    finally:
        machine.close()


CALLER = r"""
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
const int8_t *mixed_run_layers(const int8_t *in, uint8_t n_layers);
extern int8_t mixed_input_buffer[30];
uint32_t call(const int8_t *in, const uint32_t *v);
#ifdef __cplusplus
}
#endif
uint32_t call(const int8_t *in, const uint32_t *v) {
  uint32_t a = v[0], b = v[1], c = v[2], d = v[3], e = v[4], f = v[5], g = v[6], h = v[7];
  for (int i = 0; i < 30; i++)
    mixed_input_buffer[i] = in[i];
  for (int i = 0; i < 3; i++) {
    const int8_t *out = mixed_run_layers(mixed_input_buffer, 3);
    a += b ^ (uint32_t)out[0];
    b += c * 3;
    c += d ^ a;
    d += e * 5;
    e += f ^ b;
    f += g;
    g += h;
    h += a;
  }
  const int8_t *out = mixed_run_layers(mixed_input_buffer, 3);
  uint32_t sum = 0;
  for (int i = 0; i < 9; i++)
    sum = sum * 31 + (uint8_t)out[i];
  return sum + a + b + c + d + e + f + g + h;
}
"""


def test_c_and_cpp_callers_with_every_flag(
    tmp_path: Path, mixed: tuple[QuantizedModel, KernelProgram]
) -> None:
    model, in_flash = mixed
    row = random_inputs(np.random.default_rng(4), model, 6)[5]
    out = reference.run_layers(model, row[None])[-1][0]
    expected = _caller(out.tolist())
    in_sram = plan(model, KernelOptions(placement="sram"))
    for suffix in ("c", "cpp"):
        for flags in (("-Os",), ("-O2",), ("-Os", "-flto"), ("-O2", "-flto")):
            # Calls from flash to SRAM need the linker's long branches.
            program = in_sram if "-O2" in flags else in_flash
            (tmp_path / f"caller.{suffix}").write_text(CALLER, encoding="utf-8")
            extra = [
                *flags,
                "-fno-exceptions",
                str(tmp_path / f"caller.{suffix}"),
                "-Wl,-u,call",
                "-Wall",
            ]
            machine = machine_with(link([program], tmp_path, extra))
            try:
                machine.write(INPUTS_AT, row.tobytes())
                machine.write(INPUTS_AT + 64, np.arange(1, 9, dtype=np.uint32).tobytes())
                result = machine.call(machine.symbols["call"], INPUTS_AT, INPUTS_AT + 64)
                assert (result.stop, result.value) == (Stop.TRAP, expected), (suffix, flags)
            finally:
                machine.close()


def _caller(out: Sequence[int]) -> int:
    a, b, c, d, e, f, g, h = range(1, 9)
    for _ in range(3):
        a += b ^ (out[0] & 0xFFFFFFFF)
        b += c * 3
        c += d ^ a
        d += e * 5
        e += f ^ b
        f += g
        g += h
        h += a
        a, b, c, d, e, f, g, h = (v & 0xFFFFFFFF for v in (a, b, c, d, e, f, g, h))
    total = 0
    for value in out:
        total = total * 31 + (value & 0xFF)
    return (total + a + b + c + d + e + f + g + h) & 0xFFFFFFFF


def test_two_models_link_together_and_pass_the_assembler_without_warnings(tmp_path: Path) -> None:
    rng = np.random.default_rng(12)
    models = [random_net(rng, "first", (9, 5, 3)), random_net(rng, "second", (300, 4))]
    programs = [plan(model, KernelOptions()) for model in models]
    for number, program in enumerate(programs):
        source = tmp_path / f"alone_{number}.S"
        source.write_text(program.assembly, encoding="utf-8")
        command = ["arm-none-eabi-gcc", *FLAGS, "-Wa,--fatal-warnings", "-c", str(source)]
        subprocess.run([*command, "-o", str(tmp_path / "alone.o")], check=True)
    machine = machine_with(link(programs, tmp_path))
    try:
        for model, program in zip(models, programs, strict=True):
            assert check(machine, model, program, random_inputs(rng, model, 6)) == 0
    finally:
        machine.close()
