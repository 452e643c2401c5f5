"""The oracle: integer inference in numpy, byte for byte what every board returns.

It follows docs/QUANTIZATION.md line by line; nothing here depends on the machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from miniml import elementary
from miniml.fixed_point import INPUT_LIMIT, requantize, round_half_away
from miniml.model import (
    DenseLayer,
    Float32Array,
    Float64Array,
    Int8Array,
    QuantizedModel,
)


def quantize_inputs(model: QuantizedModel, features: Float32Array) -> Int8Array:
    """Float features to int8, as the device does it.

    One binary32 multiplication, one binary32 addition, round half away from zero, clamp to
    [input_min, 127]. NaN becomes 0.

    Args:
        model: its `input` holds the constants.
        features: float32, (n, n_inputs), raw as in the CSV.

    Returns:
        int8, (n, n_inputs).
    """
    raw = np.asarray(features, dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = raw * model.input.inv_scale
        shifted = scaled + model.input.offset
    shifted = np.where(np.isnan(shifted), np.float32(0), shifted)
    # Clamping first gives the same byte, as both ends are integers, and keeps
    # infinities out of the subtraction inside the rounding.
    clamped = np.clip(shifted, np.float32(model.input.input_min), np.float32(INPUT_LIMIT))
    return round_half_away(clamped).astype(np.int8)


def clamp_inputs(model: QuantizedModel, inputs: Int8Array) -> Int8Array:
    """What the first layer sees of raw int8 inputs: -128 is -127, or input_min if higher."""
    return np.maximum(np.asarray(inputs, dtype=np.int8), np.int8(model.input.input_min))


def accumulate(layer: DenseLayer, inputs: Int8Array) -> NDArray[np.int64]:
    """Bias plus weights @ x: int64, (n, n_outputs).

    Whole numbers whose sums stay below 2^53 are exact in binary64 in any order, so the BLAS
    may sum them; |weights @ x| < 2^31 is proved.
    """
    sums = inputs.astype(np.float64) @ layer.weights.T.astype(np.float64)
    return sums.astype(np.int64) + layer.bias


def run_layer(layer: DenseLayer, inputs: Int8Array) -> Int8Array:
    """One dense layer: accumulate, requantize, clamp, look up.

    Args:
        layer: weights (n_outputs, n_inputs).
        inputs: int8, (n, n_inputs), none of them -128.

    Returns:
        int8, (n, n_outputs).
    """
    scaled = requantize(accumulate(layer, inputs), layer.multipliers, layer.shifts)
    clamped = np.clip(scaled, layer.activation_min, layer.activation_max)
    if layer.table is None:
        return clamped.astype(np.int8)
    return layer.table[clamped + 128]


def run_layers(model: QuantizedModel, inputs: Int8Array) -> list[Int8Array]:
    """The whole network from int8 inputs.

    Args:
        model: any number of layers.
        inputs: int8, (n, n_inputs); -128 is saturated to -127 first.

    Returns:
        One int8 array (n, width) for each layer; the last is the output.
    """
    values = clamp_inputs(model, inputs)
    outputs = []
    for layer in model.layers:
        values = run_layer(layer, values)
        outputs.append(values)
    return outputs


def dequantize(model: QuantizedModel, outputs: Int8Array) -> Float32Array:
    """Outputs in real units: q * scale + offset, both steps in binary32.

    Scale and offset are rounded to binary32 (half to even) first, as in the C header.

    Args:
        model: its output_scale and output_offset.
        outputs: int8, (n, n_outputs).

    Returns:
        float32, (n, n_outputs): logits, probabilities (sigmoid), or the target's units.
    """
    scale = model.output_scale.astype(np.float32)
    offset = model.output_offset.astype(np.float32)
    return outputs.astype(np.float32) * scale + offset


def predict_classes(model: QuantizedModel, outputs: Int8Array) -> NDArray[np.int64]:
    """Class index of each row.

    Several outputs: the largest, the lowest index on a tie. One output: class 1 from
    `model.threshold` on.
    """
    if model.n_outputs == 1:
        return np.asarray(outputs[:, 0] >= model.threshold, dtype=np.int64)
    return np.asarray(np.argmax(outputs, axis=1), dtype=np.int64)


def predict(model: QuantizedModel, outputs: Int8Array) -> NDArray[np.int64] | Float32Array:
    """Class indices (n,) int64, or the regression's values (n, n_outputs) float32."""
    if model.task == "classification":
        return predict_classes(model, outputs)
    return dequantize(model, outputs)


def probabilities(model: QuantizedModel, outputs: Int8Array) -> Float64Array:
    """Softmax of the dequantized logits, float64 (n, n_outputs), each row summing to 1."""
    return elementary.softmax(dequantize(model, outputs).astype(np.float64))
