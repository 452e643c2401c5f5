"""The float modes in numpy, bit for bit what every board returns (docs/MODES.md).

Each array expression below is one IEEE binary32 operation a value, or integer arithmetic.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from miniml import elementary, elementary32
from miniml.float_net import VALUE_BITS, FloatNet, FloatNetLayer
from miniml.model import Activation, DenseLayer, Float32Array, QuantizedModel

Int64Array = NDArray[np.int64]

# Biased binary32 exponents. Below 2^-95 everything counts as 0; infinity counts as the largest.
EXPONENT_MIN, EXPONENT_MAX = 32, 254
_INFINITY = 0x7F80_0000
_LARGEST = 0x7F7F_FFFF


def scale_inputs(net: FloatNet, features: Float32Array) -> Float32Array:
    """(x - shift) * factor: one subtraction, then one multiplication."""
    raw = np.asarray(features, dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray((raw - net.shift) * net.factor, dtype=np.float32)


def run_layers(net: FloatNet, features: Float32Array) -> list[Float32Array]:
    """The whole network from raw features.

    Args:
        net: of any mode.
        features: float32, (n, n_inputs), raw as in the CSV.

    Returns:
        One float32 array (n, width) for each layer; the last is the output.
    """
    values = scale_inputs(net, features)
    outputs = []
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for layer in net.layers:
            if net.mode == "avr_hybrid":
                values = activate_by_table(layer.activation, _integer_sums(layer, values))
            else:
                values = activate(layer.activation, _sums(layer, values))
            outputs.append(values)
    return outputs


def _sums(layer: FloatNetLayer, values: Float32Array) -> Float32Array:
    """The bias, then product by product in the order of the inputs.

    An int8 weight is converted and multiplied by its row's scale first.
    """
    weights = layer.weights.astype(np.float32)
    if layer.scales is not None:
        weights = weights * layer.scales[:, np.newaxis]
    total = np.tile(layer.bias, (len(values), 1))
    for index in range(layer.n_inputs):
        total = total + values[:, index, np.newaxis] * weights[np.newaxis, :, index]
    return np.asarray(total, dtype=np.float32)


def _integer_sums(layer: FloatNetLayer, values: Float32Array) -> Float32Array:
    """((float)sum * 2^e) * scale + bias, the sum over whole numbers of step 2^e."""
    assert layer.scales is not None
    numbers, exponents = block_floating_point(values)
    sums = numbers @ layer.weights.T.astype(np.int64)
    steps = np.ldexp(np.float32(1), exponents - 127 - (VALUE_BITS - 1)).astype(np.float32)
    scaled = (sums.astype(np.float32) * steps[:, np.newaxis]) * layer.scales
    return np.asarray(scaled + layer.bias, dtype=np.float32)


def block_floating_point(values: Float32Array) -> tuple[Int64Array, NDArray[np.int32]]:
    """Each row as whole numbers of one step, by the row's largest exponent.

    E is the largest biased exponent of the row, at least EXPONENT_MIN. A value becomes
    |x| / 2^(E - 127 - 13), ties away from zero, with the sign of x: at most 2^14. NaN is 0 and an
    infinity the largest finite number.

    Args:
        values: float32, (n, width).

    Returns:
        The numbers, int64 (n, width), and E, int32 (n,).
    """
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32).astype(np.int64)
    magnitude = bits & 0x7FFF_FFFF
    magnitude = np.where(magnitude == _INFINITY, _LARGEST, magnitude)
    magnitude = np.where(magnitude > _INFINITY, 0, magnitude)
    exponent = magnitude >> 23
    largest = np.maximum(exponent.max(axis=1, initial=0), EXPONENT_MIN)
    # The hidden bit and 15 more: those below decide no rounding. Subnormals end as 0.
    mantissa = 0x8000 | magnitude >> 8 & 0x7FFF
    places = largest[:, np.newaxis] - exponent + 1
    numbers = ((mantissa >> np.minimum(places, 17)) + 1) >> 1
    return np.where(bits >> 31 != 0, -numbers, numbers), largest.astype(np.int32)


def activate(activation: Activation, values: Float32Array) -> Float32Array:
    """Relu is x > 0 ? x : 0, so that NaN is 0."""
    if activation == "relu":
        return np.asarray(np.where(values > 0, values, np.float32(0)), dtype=np.float32)
    if activation == "sigmoid":
        return elementary32.sigmoid(values)
    if activation == "tanh":
        return elementary32.tanh(values)
    return values


# sigmoid(i / 16) - 1/2 in units of 2^-17, up to 12.
SIGMOID_TABLE = np.rint((elementary.sigmoid(np.arange(193) / 16.0) - 0.5) * 2.0**17).astype(
    np.int64
)


def activate_by_table(activation: Activation, values: Float32Array) -> Float32Array:
    """As `activate`, but sigmoid and tanh(x) = 2 * (sigmoid(2 * x) - 1/2) are interpolated.

    u = |x| in steps of 2^-12 (tanh: 2^-13), ties up, from 8 (tanh: 4) on cut off
    instead; at most 12 * 2^12 - 1. Between neighbouring entries
    the rest of 8 bits is interpolated in integers, ties up. NaN counts as 0.
    """
    if activation in ("linear", "relu"):
        return activate(activation, values)
    steps = 13 if activation == "tanh" else 12
    size = np.abs(np.where(np.isnan(values), np.float32(0), values)).astype(np.float64)
    scaled = np.minimum(size, 16.0) * 2.0**steps
    u = np.floor(np.where(scaled < 2.0**15, scaled + 0.5, scaled))
    u = np.minimum(u, 12 * 2**12 - 1).astype(np.int64)
    low, high = SIGMOID_TABLE[u >> 8], SIGMOID_TABLE[(u >> 8) + 1]
    half = low + ((high - low) * (u & 255) + 128 >> 8)
    half = np.where(values < 0, -half, half)
    if activation == "tanh":
        return np.asarray(np.ldexp(half.astype(np.float32), -16), dtype=np.float32)
    return np.asarray(np.ldexp((half + 2**16).astype(np.float32), -17), dtype=np.float32)


def real_values(net: FloatNet, outputs: Float32Array) -> Float32Array:
    """What <name>_predict gives: y * output_scale + output_offset for regression, else y."""
    if net.task == "classification":
        return outputs
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(outputs * net.output_scale + net.output_offset, dtype=np.float32)


def predict_classes(net: FloatNet, outputs: Float32Array) -> Int64Array:
    """Class index of each row: the largest output, the lowest index on a tie.

    A NaN is never larger. One output: class 1 from 0.5 (sigmoid) on, or above 0.
    """
    if net.n_outputs == 1:
        value = outputs[:, 0]
        sigmoid = net.layers[-1].activation == "sigmoid"
        return np.asarray(value >= net.threshold if sigmoid else value > 0, dtype=np.int64)
    best = np.zeros(len(outputs), np.int64)
    largest = outputs[:, 0]
    for index in range(1, net.n_outputs):
        above = outputs[:, index] > largest
        best[above] = index
        largest = np.where(above, outputs[:, index], largest)
    return best


def requantize_factors(layer: DenseLayer) -> Float32Array:
    """The guide's requant_mult of each row: (s_in * s_w) / s_out in binary64, then binary32."""
    real = (layer.input_scale * layer.weight_scales) / layer.output_scale
    return np.asarray(real, dtype=np.float32)


def float_activations(model: QuantizedModel, features: Float32Array) -> Float32Array:
    """The native header's <name>_reference: integer weights and biases, float activations.

    Values are in steps of the next layer's input, neither rounded nor clamped. A sum begins
    with the bias and adds the products in the order of the inputs.

    Args:
        model: any quantized model.
        features: float32, (n, n_inputs), raw as in the CSV.

    Returns:
        float32, (n, n_outputs), in real units.
    """
    raw = np.asarray(features, dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        values = raw * model.input.inv_scale + model.input.offset
        for layer in model.layers:
            total = np.tile(layer.bias.astype(np.float32), (len(values), 1))
            weights = layer.weights.astype(np.float32)
            for index in range(layer.n_inputs):
                total = total + weights[np.newaxis, :, index] * values[:, index, np.newaxis]
            values = total * requantize_factors(layer)
            if layer.table is None:
                values = activate(layer.activation, values)
            else:
                reals = activate(layer.activation, values * np.float32(layer.output_scale))
                values = reals * np.float32(127)
        scale = model.output_scale.astype(np.float32)
        offset = model.output_offset.astype(np.float32)
        return np.asarray(values * scale + offset, dtype=np.float32)
