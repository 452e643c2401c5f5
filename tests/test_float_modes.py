"""The float modes: generated C on this machine against miniml.reference_float, bit for bit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from host_program import compile_program, run_program
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from random_float_models import edge_features, random_features, random_pair

from miniml import elementary32, reference_float
from miniml.adapters import float_modes
from miniml.errors import ModelError
from miniml.float_net import FLOAT_MODES, FloatMode, FloatNet, make_float_net
from miniml.model import Activation, Float32Array
from miniml.scaling import Scaler

# Every layer, the real values and the class of each row on standard input.
MAIN = r"""
#include "random_model.h"
#include <stdio.h>

int main(void) {
  static float in[RANDOM_N_INPUTS], out[RANDOM_N_OUTPUTS];
  while (fread(in, sizeof in, 1, stdin) == 1) {
    for (uint8_t n = 1; n <= RANDOM_N_LAYERS; n++) {
      fwrite(random_run_layers(in, n), sizeof(float), random_widths[n - 1], stdout);
    }
    random_predict(in, out);
    fwrite(out, sizeof out, 1, stdout);
    const uint16_t answer = CLASS;
    fwrite(&answer, sizeof answer, 1, stdout);
  }
  return 0;
}
"""


def canonical(values: Float32Array) -> bytes:
    """Bits, all NaN alike: IEEE 754 leaves the sign and payload of a NaN to the machine."""
    return np.where(np.isnan(values), np.float32(np.nan), values).astype(np.float32).tobytes()


def compare(folder: Path, net: FloatNet, features: Float32Array, **how: object) -> None:
    outputs = reference_float.run_layers(net, features)
    reals = reference_float.real_values(net, outputs[-1])
    classification = net.task == "classification"
    main = MAIN.replace("CLASS", "random_class(out)" if classification else "0")
    headers = {"random_model.h": float_modes.generate(net, "nothing")}
    program = compile_program(folder, main, headers=headers, **how)  # type: ignore[arg-type]
    found = run_program(program, features.tobytes())
    classes = np.zeros(len(features), np.int64)
    if classification:
        classes = reference_float.predict_classes(net, outputs[-1])
    width = 4 * (sum(net.widths[1:]) + net.n_outputs) + 2
    assert len(found) == width * len(features)
    for row in range(len(features)):
        part = found[row * width : (row + 1) * width]
        expected = np.concatenate([*(layer[row] for layer in outputs), reals[row]])
        assert canonical(np.frombuffer(part[:-2], np.float32)) == canonical(expected), row
        assert int.from_bytes(part[-2:], "little") == classes[row]


@pytest.mark.parametrize("mode", FLOAT_MODES)
@pytest.mark.parametrize("seed", range(6))
def test_random_nets(tmp_path: Path, mode: FloatMode, seed: int) -> None:
    task: Literal["regression", "classification"] = "regression" if seed % 2 else "classification"
    model, real = random_pair(seed, task=task, per_channel=seed % 3 > 0)
    features = np.concatenate([random_features(real, 30, seed), edge_features(real)])
    compare(tmp_path, make_float_net(model, real, mode), features)


@pytest.mark.parametrize("mode", FLOAT_MODES)
@pytest.mark.parametrize(
    "flags", [("-O3", "-march=haswell", "-ffp-contract=fast"), ("-O2", "-mfpmath=387")]
)
def test_no_flag_changes_a_bit(tmp_path: Path, mode: FloatMode, flags: tuple[str, ...]) -> None:
    # Fused multiply-adds, and x87 registers of 80 bits.
    model, real = random_pair(7, widths=(20, 16, 8, 3), activations=("tanh", "relu", "sigmoid"))
    compare(tmp_path, make_float_net(model, real, mode), random_features(real, 50, 7), flags=flags)


def test_fast_math_is_refused(tmp_path: Path) -> None:
    model, real = random_pair(7, widths=(2, 1), activations=("relu",))
    with pytest.raises(AssertionError, match="-ffast-math changes"):
        compare(
            tmp_path,
            make_float_net(model, real, "float32"),
            random_features(real, 1, 7),
            flags=("-O2", "-ffast-math"),
        )


FLOATS = arrays.arrays(
    np.float32, st.tuples(st.just(1), st.integers(1, 12)), elements=st.floats(width=32)
)


@given(FLOATS)
def test_block_floating_point_is_nearest(values: Float32Array) -> None:
    numbers, (exponent,) = reference_float.block_floating_point(values)
    with localcontext() as context:
        context.prec = 200
        step = Decimal(2) ** (int(exponent) - 140)
        for value, number in zip(values[0].tolist(), numbers[0].tolist(), strict=True):
            if np.isnan(value):
                assert number == 0
                continue
            finite = float(np.clip(value, -np.finfo(np.float32).max, np.finfo(np.float32).max))
            assert number == int((Decimal(finite) / step).to_integral_value("ROUND_HALF_UP"))
            assert abs(number) <= 2**14


# docs/MODES.md states both: 2^-23 is one step of a number next to 1.
@pytest.mark.parametrize(
    ("function", "bound"),
    [(reference_float.activate, 2.0**-23), (reference_float.activate_by_table, 2.0**-12)],
)
def test_activations_are_near_the_true_ones(
    function: Callable[[Activation, Float32Array], Float32Array], bound: float
) -> None:
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(0, s, 2000) for s in (0.1, 1, 5, 30)]).astype(np.float32)
    worst = {}
    with localcontext() as context:
        context.prec = 50
        for name in ("sigmoid", "tanh"):
            found = function(name, x)
            errors = []
            for value, result in zip(x.tolist(), found.tolist(), strict=True):
                power = (Decimal(value) * (2 if name == "tanh" else 1)).exp()
                true = power / (1 + power) if name == "sigmoid" else (power - 1) / (power + 1)
                errors.append(abs(float(Decimal(result) - true)))
            worst[name] = max(errors)
    assert max(worst.values()) <= bound, worst


def test_activations_of_what_is_no_number() -> None:
    x = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0], np.float32)
    found = elementary32.sigmoid(x)
    assert found[0] == 1
    assert found[1] == found[2]
    assert 0 < found[1] < 1e-34
    np.testing.assert_array_equal(found[3:], np.float32(0.5))
    np.testing.assert_array_equal(elementary32.tanh(x), np.array([1, -1, 1, 0, 0], np.float32))
    by_table = reference_float.activate_by_table
    np.testing.assert_array_equal(by_table("sigmoid", x)[2:], np.float32(0.5))
    np.testing.assert_array_equal(by_table("tanh", x)[2:], np.float32(0))


def test_model_id_is_of_what_decides_the_bits() -> None:
    model, real = random_pair(3, widths=(4, 3, 2))
    ids = {make_float_net(model, real, mode).model_id for mode in FLOAT_MODES}
    assert len(ids | {model.model_id}) == 4
    assert make_float_net(model, real, "float32").model_id in ids
    other, other_real = random_pair(3, widths=(4, 3, 2), name="other")
    assert make_float_net(other, other_real, "float32").model_id in ids


def test_what_binary32_or_the_sums_cannot_carry_is_refused() -> None:
    model, real = random_pair(3, widths=(4, 3, 2))
    far = dataclasses.replace(real, scaler=Scaler(np.full(4, 1e39), np.ones(4)))
    with pytest.raises(ModelError, match="outside binary32: rescale the data"):
        make_float_net(model, far, "float32")
    wide, wide_real = random_pair(3, widths=(3000, 1), activations=("linear",))
    layer = dataclasses.replace(wide.layers[0], weights=np.full((1, 3000), 127, np.int8))
    with pytest.raises(ModelError, match=r"row 0: sum\|w\| is 381000, mode avr_hybrid carries"):
        make_float_net(dataclasses.replace(wide, layers=(layer,)), wide_real, "avr_hybrid")
    with pytest.raises(ModelError, match="layer 1: the float model has another shape"):
        make_float_net(
            random_pair(1, widths=(4, 1))[0], random_pair(1, widths=(5, 1))[1], "float32"
        )
