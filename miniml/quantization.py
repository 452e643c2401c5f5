"""FloatModel and Calibration to QuantizedModel (docs/QUANTIZATION.md, "Making the model").

Everything is binary64 with one rounding an operation; every rounding to an integer is half
to even. The same bytes on every machine.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from miniml import elementary
from miniml.calibration import Calibration
from miniml.errors import ModelError
from miniml.fixed_point import accumulator_bound, prove_row, quantize_multiplier
from miniml.float_model import FloatLayer, FloatModel, check_weights
from miniml.model import FLOAT32_MAX, DenseLayer, InputQuantizer, Int8Array, QuantizedModel

Float64Array = NDArray[np.float64]

LEVELS = 127
DEAD_SCALE = 1.0 / LEVELS
# |bias| <= 2^22 steps: with the floor, rows of up to 100,000 inputs stay below 2^31.
BIAS_STEPS = 2.0**22


def quantize(
    model: FloatModel,
    calibration: Calibration,
    *,
    name: str,
    per_channel: bool = True,
    nonnegative_input: bool = False,
) -> QuantizedModel:
    """Quantize a trained model.

    Args:
        model: float32 weights.
        calibration: from `calibrate`.
        name: prefix of the generated C.
        per_channel: a scale a row, else a scale a matrix.
        nonnegative_input: inputs are declared to be in [0, 127] and clamped to that.

    Raises:
        ModelError: a row or a scale that the contract can't carry.
    """
    input_scale = scale_of(calibration.input)
    layers: list[DenseLayer] = []
    scale = input_scale
    for index, (layer, largest) in enumerate(zip(model.layers, calibration.layers, strict=True)):
        quantized = quantize_layer(
            layer,
            input_scale=scale,
            requantized_scale=scale_of(largest),
            per_channel=per_channel,
            where=f"model {name}, layer {index + 1}",
        )
        layers.append(quantized)
        scale = DEAD_SCALE if quantized.table is not None else quantized.output_scale
    output_scale, output_offset = _output_constants(model, layers[-1].n_outputs, scale)
    return QuantizedModel(
        name=name,
        task=model.task,
        features=model.features,
        labels=model.labels,
        input=_input_quantizer(model, input_scale, nonnegative_input),
        layers=tuple(layers),
        output_scale=output_scale,
        output_offset=output_offset,
        softmax=model.softmax,
    )


def activation_scales(model: FloatModel, calibration: Calibration) -> tuple[float, ...]:
    """Real value of one step of the input and of each layer's output: 1/127 behind a table."""
    scales = [scale_of(calibration.input)]
    for layer, largest in zip(model.layers, calibration.layers, strict=True):
        has_table = layer.activation in ("sigmoid", "tanh")
        scales.append(DEAD_SCALE if has_table else scale_of(largest))
    return tuple(scales)


def scale_of(largest: float) -> float:
    """Scale of an activation: absmax / 127, and 1/127 where nothing but 0 was seen."""
    if not math.isfinite(largest):
        raise ModelError(f"an activation reached {largest!r}: train with a lower learning_rate")
    return largest / LEVELS if largest > 0.0 else DEAD_SCALE


def quantize_layer(
    layer: FloatLayer,
    *,
    input_scale: float,
    requantized_scale: float,
    per_channel: bool,
    where: str,
) -> DenseLayer:
    """Quantize one layer.

    Args:
        layer: float32 weights and bias, finite.
        input_scale: real value of one step of its input.
        requantized_scale: of one step of its output, before the table if there is one.
        per_channel: a scale a row, else one for all.
        where: names the layer in errors.

    Raises:
        ModelError: a row whose accumulator could wrap, or a multiplier out of range.
    """
    weights = layer.weights.astype(np.float64)
    bias = layer.bias.astype(np.float64)
    check_weights(layer, where)
    scales = weight_scales(weights, bias, input_scale, per_channel=per_channel)
    rounded = np.clip(np.rint(weights / scales[:, np.newaxis]), -LEVELS, LEVELS).astype(np.int8)
    steps = np.rint(bias / (input_scale * scales))
    integer_bias = steps.astype(np.int32)
    bounds = accumulator_bound(rounded, integer_bias)
    multipliers, shifts = [], []
    for row, scale in enumerate(scales.tolist()):
        here = f"{where}, row {row}"
        multiplier, shift = quantize_multiplier((input_scale * scale) / requantized_scale, here)
        prove_row(int(bounds[row]), shift, here)
        multipliers.append(multiplier)
        shifts.append(shift)
    return DenseLayer(
        weights=rounded,
        bias=integer_bias,
        weight_scales=scales,
        multipliers=np.array(multipliers, np.int32),
        shifts=np.array(shifts, np.int8),
        input_scale=input_scale,
        output_scale=requantized_scale,
        activation=layer.activation,
        activation_min=0 if layer.activation == "relu" else -LEVELS,
        activation_max=LEVELS,
        table=activation_table(layer.activation, requantized_scale),
    )


def weight_scales(
    weights: Float64Array, bias: Float64Array, input_scale: float, *, per_channel: bool
) -> Float64Array:
    """max(absmax / 127, |bias| / (input_scale * 2^22)) a row; 1/127 where both are 0.

    Args:
        weights: float64, (rows, columns).
        bias: float64, (rows,).
        input_scale: of the layer's input.
        per_channel: False takes both maxima over the whole matrix.

    Returns:
        float64, (rows,).
    """
    largest = np.abs(weights).max(axis=1)
    offsets = np.abs(bias)
    if not per_channel:
        largest = np.full_like(largest, largest.max())
        offsets = np.full_like(offsets, offsets.max())
    scales = np.maximum(largest / LEVELS, offsets / (input_scale * BIAS_STEPS))
    return np.where(scales == 0.0, DEAD_SCALE, scales)


def activation_table(
    activation: Literal["relu", "linear", "sigmoid", "tanh"], scale: float
) -> Int8Array | None:
    """256 int8 values by input + 128: round_half_even(127 * f(input * scale)).

    The entry of -128, which no clamp lets through, is that of -127.
    """
    if activation not in ("sigmoid", "tanh"):
        return None
    inputs = np.maximum(np.arange(-128, 128), -LEVELS) * scale
    function = elementary.sigmoid if activation == "sigmoid" else elementary.tanh
    return np.rint(LEVELS * function(inputs)).astype(np.int8)


def _output_constants(
    model: FloatModel, n_outputs: int, scale: float
) -> tuple[Float64Array, Float64Array]:
    """Scale and offset of each output in real units, the target's scaler folded in."""
    scales, offsets = np.full(n_outputs, scale), np.zeros(n_outputs)
    if model.target_scaler is not None:
        with np.errstate(over="ignore"):
            scales = scales / model.target_scaler.factor
        offsets = model.target_scaler.shift.copy()
    if not (scales <= FLOAT32_MAX).all():
        raise ModelError(
            f"one step of an output would be {scales.max():g}, beyond the range of a 32-bit "
            "float: rescale the targets"
        )
    return scales, offsets


def _input_quantizer(
    model: FloatModel, input_scale: float, nonnegative_input: bool
) -> InputQuantizer:
    with np.errstate(over="ignore"):
        inverse = (model.scaler.factor / input_scale).astype(np.float32)
        offset = (-model.scaler.shift * model.scaler.factor / input_scale).astype(np.float32)
    for name, a, b in zip(model.features, inverse.tolist(), offset.tolist(), strict=True):
        if a == 0.0 or not math.isfinite(a) or not math.isfinite(b):
            raise ModelError(
                f"column {name!r}: its range can't be scaled in 32-bit floats: rescale the column"
            )
    return InputQuantizer(inverse, offset, input_min=0 if nonnegative_input else -LEVELS)
