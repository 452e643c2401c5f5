"""From float weights to int8: scales, floors, proofs, tables, and the same bytes every time."""

from __future__ import annotations

import math
from fractions import Fraction

import integer_oracle as oracle
import numpy as np
import pytest
from hypothesis import example, given, reject
from hypothesis import strategies as st

from miniml import elementary
from miniml.calibration import Calibration
from miniml.errors import ModelError
from miniml.fixed_point import accumulator_bound
from miniml.float_model import Activation, FloatLayer, FloatModel
from miniml.model import QuantizedModel, validate
from miniml.quantization import activation_table, quantize, quantize_layer, scale_of
from miniml.ranges import percentile
from miniml.scaling import Scaler

weights32 = st.floats(-8, 8, width=32) | st.sampled_from([0.0, 1e-45, -1e-38, 5e-7])


def float_layer(rows: list[list[float]], bias: list[float], activation: Activation) -> FloatLayer:
    return FloatLayer(np.array(rows, np.float32), np.array(bias, np.float32), activation)


@given(
    st.lists(st.lists(weights32, min_size=3, max_size=3), min_size=2, max_size=5),
    st.lists(weights32, min_size=5, max_size=5),
    st.floats(1e-6, 1e3),
    st.floats(1e-2, 1e3),
    st.booleans(),
)
@example([[0, 0, 0], [0, 0, 0]], [0, 0, 0, 0, 0], 1 / 127, 1 / 127, True)
@example([[0, 0, 0], [1e-6, 0, 0]], [3, -3, 0, 0, 0], 1 / 127, 0.1, True)
def test_a_layer_follows_the_formulas(
    rows: list[list[float]], biases: list[float], s_in: float, s_out: float, per_channel: bool
) -> None:
    layer = float_layer(rows, biases[: len(rows)], "relu")
    try:
        got = quantize_layer(
            layer,
            input_scale=s_in,
            requantized_scale=s_out,
            per_channel=per_channel,
            where="layer 1",
        )
    except ModelError:
        reject()  # a left shift that could overflow: test_a_range_that_is_too_small_is_refused
    weights, bias = layer.weights.astype(float).tolist(), layer.bias.astype(float).tolist()
    for row, scale in enumerate(got.weight_scales.tolist()):
        group = [row] if per_channel else range(len(rows))
        wanted = max(
            max(max(abs(w) for w in weights[r]) / 127 for r in group),
            max(abs(bias[r]) / (s_in * 2.0**22) for r in group),
        )
        assert scale == (wanted or 1 / 127)
        for w, q in zip(weights[row], got.weights[row].tolist(), strict=True):
            assert q == max(-127, min(127, oracle.half_even(Fraction(w / scale))))
        assert int(got.bias[row]) == oracle.half_even(Fraction(bias[row] / (s_in * scale)))
        assert abs(int(got.bias[row])) <= 2**22
        real = Fraction((s_in * scale) / s_out)
        assert (int(got.multipliers[row]), int(got.shifts[row])) == oracle.multiplier(real)


def test_dead_row_with_a_real_bias_keeps_its_bias() -> None:
    # Without the floor the bias would need 2 / (1e-9 / 127 / 127), past int32.
    layer = float_layer([[1e-9, -1e-9], [0.5, 0.25]], [2.0, 0.1], "relu")
    got = quantize_layer(
        layer, input_scale=1 / 127, requantized_scale=3 / 127, per_channel=True, where="layer 1"
    )
    assert abs(int(got.bias[0]) * got.weight_scales[0] / 127 - 2.0) < 1e-6
    assert int(accumulator_bound(got.weights, got.bias).max()) < 2**31


@pytest.mark.parametrize(
    ("activation", "low", "has_table"),
    [("relu", 0, False), ("linear", -127, False), ("sigmoid", -127, True), ("tanh", -127, True)],
)
def test_clamp_and_table(activation: Activation, low: int, has_table: bool) -> None:
    got = quantize_layer(
        float_layer([[1.0]], [0.0], activation),
        input_scale=1 / 127,
        requantized_scale=0.05,
        per_channel=True,
        where="layer 1",
    )
    assert (got.activation_min, got.activation_max, got.table is not None) == (low, 127, has_table)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
@pytest.mark.parametrize("scale", [8 / 127, 4 / 127, 0.01, 1e-6, 0.03125, 1 / 127])
def test_tables_are_the_nearest_bytes(activation: Activation, scale: float) -> None:
    table = activation_table(activation, scale)
    assert table is not None
    assert table.tolist() == [oracle.table_entry(activation, i, scale) for i in range(256)]


def model_of(*layers: FloatLayer, scaler: Scaler | None = None) -> FloatModel:
    width = layers[0].weights.shape[1]
    return FloatModel(
        task="classification",
        features=tuple(f"x{i}" for i in range(width)),
        labels=("a", "b"),
        scaler=scaler or Scaler(np.zeros(width), np.ones(width)),
        target_scaler=None,
        layers=layers,
        softmax=True,
    )


def quantized(model: FloatModel, *ranges: float) -> QuantizedModel:
    return quantize(model, Calibration(input=1.0, layers=ranges), name="m")


def test_scales_are_chained_through_tables() -> None:
    first = float_layer([[1, 2], [3, 4]], [0, 0], "tanh")
    second = float_layer([[1, -1], [0.5, 2]], [0, 0], "linear")
    model = quantized(model_of(first, second), 4.0, 2.0)
    validate(model)
    assert model.layers[0].input_scale == 1 / 127
    assert model.layers[0].output_scale == 4.0 / 127
    assert model.layers[1].input_scale == 1 / 127
    assert model.output_scale.tolist() == [2.0 / 127] * 2


def test_the_scaler_is_folded_into_the_input() -> None:
    scaler = Scaler(np.array([10.0, -2.0]), np.array([0.5, 4.0]))
    model = quantized(model_of(float_layer([[1, 2], [3, 4]], [0, 0], "linear"), scaler=scaler), 9)
    assert model.input.inv_scale.tolist() == [63.5, 508.0]
    assert model.input.offset.tolist() == [-635.0, 1016.0]


def test_a_column_beyond_binary32_is_refused() -> None:
    scaler = Scaler(np.array([0.0, 0.0]), np.array([1.0, 1e38]))
    with pytest.raises(ModelError, match="column 'x1'"):
        quantized(model_of(float_layer([[1, 2], [3, 4]], [0, 0], "linear"), scaler=scaler), 9)


def test_more_inputs_than_an_accumulator_holds_are_refused() -> None:
    wide = FloatLayer(np.ones((1, 134_000), np.float32), np.zeros(1, np.float32), "relu")
    with pytest.raises(ModelError, match=r"model m, layer 1, row 0.*past 2\^31"):
        quantized(model_of(wide), 1.0)


def test_a_range_that_is_too_small_is_refused() -> None:
    layer = float_layer([[1, 2], [3, 4]], [0, 0], "linear")
    with pytest.raises(ModelError, match="calibrate on more rows"):
        quantized(model_of(layer), 1e-12)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_weights_that_are_no_numbers_are_refused(bad: float) -> None:
    with pytest.raises(ModelError, match="not finite"):
        quantized(model_of(float_layer([[1, bad], [3, 4]], [0, 0], "linear")), 1.0)
    with pytest.raises(ModelError, match="an activation reached"):
        scale_of(bad)


def test_nothing_but_zero_seen() -> None:
    assert scale_of(0.0) == 1 / 127


def test_percentile_is_the_nearest_rank() -> None:
    values = np.array([[-5.0, 1.0], [2.0, -4.0], [3.0, 0.0], [0.5, 0.25], [9.0, -8.0]])
    assert percentile(values, Fraction(100)) == 9.0
    assert percentile(values, Fraction(90)) == 8.0
    assert percentile(values, Fraction(50)) == 2.0


@given(st.floats(-708, 709))
@example(0.0)
@example(-0.0)
@example(1e-300)
@example(709.0)
@example(-708.0)
def test_exp_is_within_two_ulp(x: float) -> None:
    got = float(elementary.exp(np.array([x]))[0])
    assert abs(got - math.exp(x)) <= 2 * math.ulp(math.exp(x))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_sigmoid_and_tanh_stay_close(x: float) -> None:
    array = np.array([x])
    assert abs(float(elementary.tanh(array)[0]) - math.tanh(x)) < 1e-15
    wanted = 0.5 * (1 + math.tanh(x / 2))
    assert abs(float(elementary.sigmoid(array)[0]) - wanted) < 1e-15
