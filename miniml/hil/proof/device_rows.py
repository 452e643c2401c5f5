"""What the harness puts to a board and expects of it, whether its values are int8 or binary32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from miniml import reference, reference_float
from miniml.float_net import DeviceModel, FloatNet
from miniml.hil.proof.hard_inputs import hard_features, random_inputs
from miniml.model import Float32Array
from miniml.pipeline import TestVectors

# int8 or float32, (n, width).
Values = NDArray[Any]


def rows_of(model: DeviceModel, vectors: TestVectors) -> Values:
    """The test rows as the board's model takes them: int8, or raw features in float32."""
    return vectors.features if isinstance(model, FloatNet) else vectors.inputs


def hard_rows(model: DeviceModel, features: Float32Array, count: int) -> Values:
    """`count` rows of what ordinary ones miss; `features` are ordinary ones."""
    if isinstance(model, FloatNet):
        return hard_features(model, features, count)
    return random_inputs(model, count)


def expected_layers(model: DeviceModel, rows: Values) -> list[Values]:
    """The reference's output of each layer, (n, width) of the rows' dtype."""
    if isinstance(model, FloatNet):
        return list(reference_float.run_layers(model, rows))
    return list(reference.run_layers(model, rows))


def differing(expected: Values, found: Values) -> NDArray[np.int64]:
    """Where values differ in a bit; all NaN are alike, as IEEE 754 leaves their bits open."""
    if expected.dtype == np.int8:
        return np.flatnonzero(expected != found)
    both_nan = np.isnan(expected) & np.isnan(found)
    return np.flatnonzero((expected.view(np.uint32) != found.view(np.uint32)) & ~both_nan)


def score(
    model: DeviceModel, outputs: Values, labels: NDArray[Any]
) -> tuple[float | None, float | None]:
    """Accuracy (0 to 1) of a classifier, or RMSE in the target's units; the other is None.

    Args:
        model: what made the outputs.
        outputs: of the last layer, (n, n_outputs).
        labels: class indices (n,), or targets (n, n_outputs).
    """
    if model.task == "classification":
        classes = (
            reference_float.predict_classes(model, outputs)
            if isinstance(model, FloatNet)
            else reference.predict_classes(model, outputs)
        )
        return float(np.mean(classes == labels)), None
    reals = (
        reference_float.real_values(model, outputs)
        if isinstance(model, FloatNet)
        else reference.dequantize(model, outputs)
    )
    return None, float(np.sqrt(np.mean((reals.astype(np.float64) - labels) ** 2)))
