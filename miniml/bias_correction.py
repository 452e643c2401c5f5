"""Fold the error that quantization makes on average into the biases.

Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (2019),
section 4.2, in its form with data: rounded weights and inputs shift the mean of a row's sums,
and the bias takes the shift back. It costs nothing on a device.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from miniml import reference
from miniml.float_model import FloatModel, activate, affine
from miniml.model import QuantizedModel

Float64Array = NDArray[np.float64]


def correct_biases(
    model: FloatModel, features: Float64Array, quantized: Callable[[FloatModel], QuantizedModel]
) -> FloatModel:
    """The model with corrected biases; its weights as they were.

    Layer by layer, each behind corrected ones, a row's bias becomes the int8 model's own plus
    the mean over the rows of (float sum - int8 model's sum). Sums are binary64
    in the order of `affine`, means correctly rounded, biases rounded to binary32: the same bits
    on every machine.

    Args:
        model: float32 weights.
        features: float64, raw, (n, n_inputs): the calibration rows.
        quantized: how a model is quantized.

    Raises:
        ModelError: as `quantized`.
    """
    layers = list(model.layers)
    wanted = model.scaler.scale(features)
    for index, layer in enumerate(model.layers):
        int8_model = quantized(replace(model, layers=tuple(layers)))
        values = reference.quantize_inputs(int8_model, features.astype(np.float32))
        for before in int8_model.layers[:index]:
            values = reference.run_layer(before, values)
        rounded = int8_model.layers[index]
        accumulators = reference.accumulate(rounded, values)
        sums = affine(layer, wanted)
        steps = rounded.input_scale * rounded.weight_scales
        lost = sums - accumulators * steps
        means = np.array([math.fsum(row) / len(lost) for row in lost.T.tolist()])
        corrected = (rounded.bias * steps + means).astype(np.float32)
        layers[index] = replace(layer, bias=corrected)
        wanted = activate(layer.activation, sums)
    return replace(model, layers=tuple(layers))
