"""From float weights to the int8 model as [quantization] says: calibrate, correct, quantize."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from miniml.bias_correction import correct_biases
from miniml.calibration import Calibration, measure, observe
from miniml.float_model import FloatModel
from miniml.model import QuantizedModel
from miniml.quantization import quantize
from miniml.settings import Settings

Float64Array = NDArray[np.float64]


def quantize_trained(
    model: FloatModel,
    features: Float64Array,
    settings: Settings,
    calibration: Calibration | None = None,
) -> QuantizedModel:
    """Quantize a trained model: the same bytes on every machine.

    Args:
        model: float32 weights.
        features: float64, raw, (n, n_inputs): the calibration rows.
        settings: [quantization] and the model's name.
        calibration: of these rows, if it was measured already.

    Raises:
        CalibrationError: the rows tell nothing about the ranges.
        ModelError: the contract can't carry the weights.
    """
    chosen = settings.quantization
    if calibration is None:
        calibration = measure(list(observe(model, features, settings)), settings)

    def quantized(floats: FloatModel) -> QuantizedModel:
        return quantize(
            floats,
            calibration,
            name=settings.model.name,
            per_channel=chosen.per_channel,
            nonnegative_input=chosen.nonnegative_input,
        )

    if chosen.bias_correction:
        model = correct_biases(model, features, quantized)
    return quantized(model)
