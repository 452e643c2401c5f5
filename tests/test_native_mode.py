"""The native header: C99 on its own, int8's bytes, and its reference with float activations."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from host_program import compile_program, run_program
from random_float_models import edge_features, random_features, random_pair
from random_models import random_model
from test_float_modes import canonical

from miniml import reference, reference_float
from miniml.adapters import native
from miniml.model import QuantizedModel

# Of each row of features: every layer's bytes, the real outputs, the reference's.
MAIN = r"""
#include "random_model.h"
#include <stdio.h>

int main(void) {
  static const uint16_t widths[] = {WIDTHS};
  static float in[RANDOM_N_INPUTS], out[RANDOM_N_OUTPUTS];
  static int8_t quantized[RANDOM_N_INPUTS];
  while (fread(in, sizeof in, 1, stdin) == 1) {
    for (uint16_t i = 0; i < RANDOM_N_INPUTS; i++) {
      quantized[i] = random_quantize(i, in[i]);
    }
    for (uint8_t n = 1; n <= RANDOM_N_LAYERS; n++) {
      fwrite(random_run_layers(quantized, n), 1, widths[n - 1], stdout);
    }
    random_predict(in, out);
    fwrite(out, sizeof out, 1, stdout);
    random_reference(in, out);
    fwrite(out, sizeof out, 1, stdout);
  }
  return 0;
}
"""


def compare(folder: Path, model: QuantizedModel, features: np.ndarray, **how: object) -> None:
    main = MAIN.replace("WIDTHS", ",".join(map(str, model.widths[1:])))
    headers = {"random_model.h": native.generate(model, "nothing")}
    # No source but the program's own: the header needs none.
    program = compile_program(folder, main, headers=headers, sources=[], **how)  # type: ignore[arg-type]
    found = run_program(program, features.tobytes())
    layers = reference.run_layers(model, reference.quantize_inputs(model, features))
    reals = reference.dequantize(model, layers[-1])
    floats = reference_float.float_activations(model, features)
    size, width = sum(model.widths[1:]), model.n_outputs
    assert len(found) == (size + 8 * width) * len(features)
    for row, start in enumerate(range(0, len(found), size + 8 * width)):
        part = found[start : start + size + 8 * width]
        assert part[:size] == b"".join(layer[row].tobytes() for layer in layers), row
        values = np.frombuffer(part[size:], np.float32)
        assert canonical(values) == canonical(np.concatenate([reals[row], floats[row]])), row


@pytest.mark.parametrize("seed", range(6))
def test_random_nets(tmp_path: Path, seed: int) -> None:
    task: Literal["regression", "classification"] = "regression" if seed % 2 else "classification"
    model, real = random_pair(seed + 20, task=task, per_channel=seed % 3 > 0)
    features = np.concatenate([random_features(real, 30, seed), edge_features(real)])
    compare(tmp_path, model, features)


@pytest.mark.parametrize("seed", range(4))
def test_every_shift_and_multiplier(tmp_path: Path, seed: int) -> None:
    model = random_model(np.random.default_rng(seed))
    features = np.random.default_rng(seed).normal(0, 3, (50, model.n_inputs)).astype(np.float32)
    compare(tmp_path, model, features)


@pytest.mark.parametrize("compiler", ["gcc", "g++"])
def test_two_models_and_no_library(tmp_path: Path, compiler: str) -> None:
    first, _ = random_pair(1, name="first")
    second, _ = random_pair(2, name="second")
    headers = {f"{m.name}_model.h": native.generate(m, "nothing") for m in (first, second)}
    main = (
        '#include "first_model.h"\n#include "second_model.h"\n#include "first_model.h"\n'
        "int main(void) {\n  static int8_t in[130];\n"
        "  return first_run_layers(in, 1) == second_run_layers(in, 1);\n}\n"
    )
    program = compile_program(
        tmp_path,
        main,
        headers=headers,
        sources=[],
        compiler=compiler,
        standard="c99" if compiler == "gcc" else "c++11",
    )
    assert run_program(program) == b""
    for text in headers.values():
        included = [line for line in text.splitlines() if line.startswith("#include")]
        assert included == ["#include <stdint.h>", "#include <avr/pgmspace.h>"]


def test_float_activations_are_near_the_float_model() -> None:
    # Only weights and biases are rounded: nearer to the trained model than the int8 outputs.
    for seed in range(5):
        model, real = random_pair(seed, widths=(20, 32, 5), activations=("relu", "linear"))
        features = random_features(real, 200, seed)
        true = real.run_layers(features.astype(np.float64))[-1]
        near = reference_float.float_activations(model, features)
        integer = reference.run_layers(model, reference.quantize_inputs(model, features))[-1]
        far = reference.dequantize(model, integer)
        assert np.std(near - true) < np.std(far - true)
