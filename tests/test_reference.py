"""The oracle against a second implementation of the contract, in plain Python numbers."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import integer_oracle as oracle
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from random_models import random_model

from miniml import reference
from miniml.model import InputQuantizer, QuantizedModel

EXTREMES = (-128, -127, -1, 0, 1, 127)


@given(st.integers(0, 2**32 - 1))
def test_every_layer_of_random_models(seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = random_model(rng)
    inputs = rng.integers(-128, 128, (6, model.n_inputs)).astype(np.int8)
    inputs[1] = rng.choice(EXTREMES, model.n_inputs)
    inputs[2], inputs[3] = -128, 127
    layers = reference.run_layers(model, inputs)
    assert [layer.dtype for layer in layers] == [np.int8] * len(model.layers)
    for index, row in enumerate(inputs.tolist()):
        assert [layer[index].tolist() for layer in layers] == oracle.run(model, row)


def test_minus_128_is_minus_127_and_a_declared_range_is_clamped() -> None:
    model = random_model(np.random.default_rng(1))
    lowest = np.full((1, model.n_inputs), -128, np.int8)
    assert (
        reference.run_layers(model, lowest)[-1].tobytes()
        == reference.run_layers(model, lowest + np.int8(1))[-1].tobytes()
    )
    declared = replace(model, input=replace(model.input, input_min=0))
    zeros = np.zeros_like(lowest)
    assert (
        reference.run_layers(declared, lowest)[-1].tobytes()
        == reference.run_layers(declared, zeros)[-1].tobytes()
    )


finite32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
ordinary32 = st.floats(-300, 300, width=32)


@given(
    finite32 | ordinary32, finite32 | ordinary32, finite32 | ordinary32, st.sampled_from([-127, 0])
)
@example(0.49999997, 1.0, 0.0, -127)
@example(-0.5, 1.0, 0.0, -127)
@example(126.5, 1.0, 0.0, -127)
@example(1.0, 126.49999, 0.0, 0)
@example(3.4e38, 3.4e38, -3.4e38, -127)
@example(1e-40, 3e38, 0.5, -127)
def test_float_input_matches_the_contract(
    x: float, inverse: float, offset: float, minimum: int
) -> None:
    x, inverse, offset = (float(np.float32(v)) for v in (x, inverse, offset))
    model = one_input(inverse, offset, minimum)
    got = reference.quantize_inputs(model, np.array([[x]], np.float32))
    assert got.tolist() == [[oracle.quantize_input(x, inverse, offset, minimum)]]


def one_input(inverse: float, offset: float, minimum: int) -> QuantizedModel:
    model = random_model(np.random.default_rng(2), widths=(1, 2))
    quantizer = InputQuantizer(
        np.array([inverse], np.float32), np.array([offset], np.float32), minimum
    )
    return replace(model, input=quantizer)


@pytest.mark.parametrize(
    ("x", "byte"), [(np.nan, 0), (np.inf, 127), (-np.inf, -127), (1e9, 127), (-1e9, -127)]
)
def test_float_input_beyond_numbers(x: float, byte: int) -> None:
    model = one_input(1.0, 0.0, -127)
    assert reference.quantize_inputs(model, np.array([[x]], np.float32)).tolist() == [[byte]]


def test_lowest_index_wins_a_tie() -> None:
    model = random_model(np.random.default_rng(3), widths=(2, 3))
    outputs = np.array([[5, 5, 5], [1, 7, 7], [-127, -127, -126]], np.int8)
    assert reference.predict(model, outputs).tolist() == [0, 1, 2]


def test_one_output_is_a_threshold() -> None:
    column = np.array([[-127], [0], [1], [63], [64], [127]], np.int8)
    linear = random_model(np.random.default_rng(4), widths=(2, 1), activations=("linear",))
    assert reference.predict(linear, column).tolist() == [0, 0, 1, 1, 1, 1]
    sigmoid = random_model(np.random.default_rng(4), widths=(2, 1), activations=("sigmoid",))
    assert reference.predict(sigmoid, column).tolist() == [0, 0, 0, 0, 1, 1]


def test_regression_is_dequantized_in_binary32() -> None:
    model = random_model(np.random.default_rng(5), widths=(2, 2), task="regression")
    outputs = np.array([[-127, 100], [3, 0]], np.int8)
    values = reference.predict(model, outputs)
    assert values.dtype == np.float32
    for row, got in zip(outputs.tolist(), values.tolist(), strict=True):
        for q, scale, offset, value in zip(
            row, model.output_scale, model.output_offset, got, strict=True
        ):
            product = oracle.binary32(q * Fraction(oracle.binary32(float(scale))))
            total = Fraction(product) + Fraction(oracle.binary32(float(offset)))
            assert value == oracle.binary32(total)


def test_probabilities_sum_to_one_and_keep_the_order() -> None:
    model = random_model(np.random.default_rng(6), widths=(2, 3))
    model = replace(model, output_scale=np.full(3, 0.05), output_offset=np.zeros(3))
    table = reference.probabilities(model, np.array([[127, -127, 0], [9, 9, 9]], np.int8))
    assert table.sum(axis=1) == pytest.approx([1, 1])
    assert table[0, 0] > table[0, 2] > table[0, 1]
    assert table[1].tolist() == pytest.approx([1 / 3] * 3)
