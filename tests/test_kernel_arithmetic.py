"""The C kernel's arithmetic on this machine, against miniml.fixed_point and miniml.reference."""

from __future__ import annotations

import dataclasses
import platform
from pathlib import Path

import numpy as np
import pytest
from host_program import SANITIZERS, compile_program, run_program
from numpy.typing import NDArray
from random_models import random_model

from miniml import reference
from miniml.fixed_point import requantize
from miniml.model import InputQuantizer

REQUANTIZE = r"""
#include <miniml.h>
#include <stdio.h>
int main(void) {
  struct { int32_t acc, multiplier, shift; } c;
  while (fread(&c, sizeof c, 1, stdin) == 1) {
    putchar((uint8_t)miniml_requantize(c.acc, c.multiplier, (int8_t)c.shift));
  }
  return 0;
}
"""

QUANTIZE = r"""
#include <miniml.h>
#include <stdio.h>
int main(void) {
  struct { float x, inv_scale, offset; int32_t input_min; } c;
  while (fread(&c, sizeof c, 1, stdin) == 1) {
    putchar((uint8_t)miniml_quantize_input(c.x, c.inv_scale, c.offset, (int8_t)c.input_min));
  }
  return 0;
}
"""


def requantize_cases() -> NDArray[np.int32]:
    """(n, 3): random accumulators, ties of both roundings and their neighbours, extremes."""
    rng = np.random.default_rng(3)
    multipliers = np.concatenate(
        [rng.integers(2**30, 2**31, 400), [2**30, 2**30 + 1, 2**31 - 1, 2**31 - 128]]
    )
    cases = []
    for multiplier in multipliers:
        for shift in rng.integers(-31, 31, 12):
            limit = 2 ** (31 - max(int(shift), 0)) - 1
            random = rng.integers(-limit, limit + 1, 20)
            # Accumulators whose result lies nearest to k + 1/2: candidates for a tie.
            halves = (rng.integers(-128, 128, 20) + 0.5) * 2.0 ** (31 - int(shift)) / multiplier
            near = np.rint(np.clip(halves, -limit + 2, limit - 2)).astype(np.int64)
            extremes = np.array([0, 1, -1, limit, -limit])
            every = np.concatenate([random, near, near - 1, near + 1, extremes])
            every = every[np.abs(every) <= limit]
            cases.append(
                np.stack([every, np.full_like(every, multiplier), np.full_like(every, shift)], 1)
            )
    # With M = 2^30 every odd accumulator is a tie of the first rounding.
    odd = np.arange(-65535, 65536, 2)
    for shift in (-1, 0, -2, -9, -15):
        cases.append(np.stack([odd, np.full_like(odd, 2**30), np.full_like(odd, shift)], 1))
    return np.concatenate(cases).astype(np.int32)


@pytest.mark.parametrize("half_products", [0, 1])
def test_requantize_equals_the_reference(tmp_path: Path, half_products: int) -> None:
    cases = requantize_cases()
    flags = ("-O1", f"-DMINIML_HALF_PRODUCTS={half_products}", *SANITIZERS)
    program = compile_program(tmp_path, REQUANTIZE, flags=flags)
    found = np.frombuffer(run_program(program, cases.tobytes()), np.int8)
    wide = cases.astype(np.int64)
    expected = requantize(wide[:, 0], cases[:, 1], cases[:, 2].astype(np.int8))
    np.testing.assert_array_equal(found, np.clip(expected, -127, 127))


def float_cases() -> NDArray[np.float32]:
    """(n, 3): x, inv_scale, offset with products and sums at and beside every half step."""
    rng = np.random.default_rng(4)
    n = 40_000
    inv_scale = np.exp2(rng.uniform(-20, 20, n)).astype(np.float32)
    offset = rng.uniform(-130, 130, n).astype(np.float32)
    target = (rng.integers(-130, 131, n) + rng.choice([0, 0.25, 0.5], n)).astype(np.float32)
    x = ((target - offset) / inv_scale).astype(np.float32)
    x = np.where(rng.random(n) < 0.5, x, np.nextafter(x, rng.choice([-np.inf, np.inf], n)))
    numbers = [0, -0.0, 0.5, -0.5, 0.49999997, -0.49999997, 1.5, 2.5, 126.49999, 126.5, 127.5]
    extremes = [-127.5, -128, 1e-45, 1e-39, 1e38, -1e38, 3.4e38, np.inf, -np.inf, np.nan]
    special = np.array([*numbers, *extremes], np.float32)
    grid = np.stack(np.meshgrid(special, special, special), -1).reshape(-1, 3)
    return np.concatenate([np.stack([x, inv_scale, offset], 1), grid]).astype(np.float32)


FLOAT_FLAGS = {"sanitized": ("-O1", *SANITIZERS), "contracted": ("-O3", "-ffp-contract=fast")}
if platform.machine() in ("x86_64", "AMD64"):
    FLOAT_FLAGS["fma"] = ("-O3", "-mfma", "-ffp-contract=fast")
    FLOAT_FLAGS["x87"] = ("-O2", "-mfpmath=387")


@pytest.mark.parametrize("input_min", [-127, 0])
@pytest.mark.parametrize("flags", FLOAT_FLAGS.values(), ids=FLOAT_FLAGS.keys())
def test_float_entry_equals_numpy(tmp_path: Path, flags: tuple[str, ...], input_min: int) -> None:
    cases = float_cases()
    program = compile_program(tmp_path, QUANTIZE, flags=flags)
    table = np.zeros((len(cases), 4), np.float32)
    table[:, :3] = cases
    table[:, 3] = np.full(len(cases), input_min, np.int32).view(np.float32)
    found = np.frombuffer(run_program(program, table.tobytes()), np.int8)
    model = random_model(np.random.default_rng(0), widths=(1, 1))
    model = dataclasses.replace(
        model, input=InputQuantizer(cases[:, 1], cases[:, 2], input_min=input_min)
    )
    expected = reference.quantize_inputs(model, cases[:, 0][None, :])[0]
    np.testing.assert_array_equal(found, expected)


def test_fast_math_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="-ffast-math changes the bytes"):
        compile_program(tmp_path, QUANTIZE, flags=("-O2", "-ffast-math"))
