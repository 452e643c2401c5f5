"""FloatModel: what training yields, and its forward pass with the same bits everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from miniml import elementary
from miniml.errors import WeightError
from miniml.scaling import Scaler

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]
Int64Array = NDArray[np.int64]
Activation = Literal["relu", "linear", "sigmoid", "tanh"]


@dataclass(frozen=True, eq=False)
class FloatLayer:
    """activation(weights @ x + bias).

    Attributes:
        weights: float32, (n_outputs, n_inputs).
        bias: float32, (n_outputs,).
        activation: softmax is "linear" here; it changes no class.
    """

    weights: Float32Array
    bias: Float32Array
    activation: Activation


@dataclass(frozen=True, eq=False)
class FloatModel:
    """A trained network with its scalers.

    Attributes:
        task: decides what the outputs mean.
        features: names, in input order.
        labels: class names; empty for regression.
        scaler: of the inputs.
        target_scaler: of the regression's targets; None for classification.
        layers: at least one.
        softmax: probabilities are softmax(outputs).
    """

    task: Literal["classification", "regression"]
    features: tuple[str, ...]
    labels: tuple[str, ...]
    scaler: Scaler
    target_scaler: Scaler | None
    layers: tuple[FloatLayer, ...]
    softmax: bool

    def run_layers(self, features: Float64Array) -> list[Float64Array]:
        """Every layer's float64 output for raw features (n, n_inputs); the last is the output."""
        values = self.scaler.scale(features)
        outputs = []
        for layer in self.layers:
            values = activate(layer.activation, affine(layer, values))
            outputs.append(values)
        return outputs

    def predict_classes(self, features: Float64Array) -> Int64Array:
        """Class indices (n,); one output: class 1 from probability 0.5 (sigmoid) or above 0."""
        outputs = self.run_layers(features)[-1]
        if outputs.shape[1] > 1:
            return np.asarray(np.argmax(outputs, axis=1), dtype=np.int64)
        positive = outputs >= 0.5 if self.layers[-1].activation == "sigmoid" else outputs > 0.0
        return np.asarray(positive[:, 0], dtype=np.int64)

    def predict_values(self, features: Float64Array) -> Float64Array:
        """Regression outputs in the target's units, float64 (n, n_outputs)."""
        outputs = self.run_layers(features)[-1]
        return outputs if self.target_scaler is None else self.target_scaler.restore(outputs)


def check_weights(layer: FloatLayer, where: str) -> None:
    """Refuse a layer with a NaN or an infinity in it; `where` names it.

    Raises:
        WeightError: there is one.
    """
    for name, values in (("weight", layer.weights), ("bias", layer.bias)):
        bad = values[~np.isfinite(values)]
        if bad.size:
            raise WeightError(
                f"{where}: a {name} is {float(bad[0])}, not finite: train with a lower "
                "learning_rate"
            )


def affine(layer: FloatLayer, values: Float64Array) -> Float64Array:
    """weights @ x + bias in binary64, summed from the bias over inputs 0, 1, 2, ...

    A BLAS product would sum in an order that depends on the processor.

    Args:
        layer: weights (n_outputs, n_inputs).
        values: float64, (n, n_inputs).
    """
    weights = layer.weights.astype(np.float64)
    total = np.tile(layer.bias.astype(np.float64), (len(values), 1))
    for index in range(weights.shape[1]):
        total += values[:, index, np.newaxis] * weights[np.newaxis, :, index]
    return total


def activate(activation: Activation, values: Float64Array) -> Float64Array:
    """Apply an activation elementwise in binary64."""
    if activation == "relu":
        return np.maximum(values, 0.0)
    if activation == "sigmoid":
        return elementary.sigmoid(values)
    if activation == "tanh":
        return elementary.tanh(values)
    return values
