"""A network while it is trained: parameters, forward pass, gradients; float64, in numpy.

All parameters lie in one vector and all gradients in another, so that an optimiser's step is
a few operations on vectors instead of a dozen a layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from miniml.float_model import Activation, FloatLayer

Float64Array = NDArray[np.float64]
Loss = Literal["softmax", "sigmoid", "squared"]


@dataclass(frozen=True)
class Pass:
    """What one forward pass leaves for the way back.

    Attributes:
        values: the inputs, then each layer's outputs, (n, width).
        weights: what each layer multiplied with, (n_inputs, n_outputs).
        slopes: derivative of each layer's outputs by its sums, (n, width); None is 1.
    """

    values: list[Float64Array]
    weights: list[Float64Array]
    slopes: list[Float64Array | None]


class Network:
    """Layers of activation(x @ weights + bias).

    Attributes:
        activations: one a layer.
        loss: what `gradients` differentiates.
        parameters: float64, all weights, then all biases.
        weight_count: how many of them are weights.
        weights, biases: views into `parameters`: (n_inputs, n_outputs) and (n_outputs,).
        gradient: like `parameters`; `gradients` fills it.
    """

    def __init__(
        self,
        weights: list[Float64Array],
        biases: list[Float64Array],
        activations: list[Activation],
        loss: Loss,
    ) -> None:
        """Copy the arrays: weights (n_inputs, n_outputs) and biases (n_outputs,) a layer."""
        self.activations = activations
        self.loss: Loss = loss
        self.parameters = np.concatenate([array.ravel() for array in (*weights, *biases)])
        self.gradient = np.zeros_like(self.parameters)
        self.weight_count = sum(array.size for array in weights)
        shapes = [array.shape for array in (*weights, *biases)]
        views = _views(self.parameters, shapes)
        self.weights, self.biases = views[: len(weights)], views[len(weights) :]
        views = _views(self.gradient, shapes)
        self._weight_gradients, self._bias_gradients = views[: len(weights)], views[len(weights) :]

    @classmethod
    def from_layers(cls, layers: tuple[FloatLayer, ...], loss: Loss) -> Self:
        """Saved float32 layers, to be trained on."""
        return cls(
            weights=[np.ascontiguousarray(layer.weights.T, np.float64) for layer in layers],
            biases=[layer.bias.astype(np.float64) for layer in layers],
            activations=[layer.activation for layer in layers],
            loss=loss,
        )

    def to_layers(self) -> tuple[FloatLayer, ...]:
        """The float32 layers that are saved, weights (n_outputs, n_inputs)."""
        return tuple(
            FloatLayer(weights.T.astype(np.float32), bias.astype(np.float32), activation)
            for weights, bias, activation in zip(
                self.weights, self.biases, self.activations, strict=True
            )
        )

    def forward(self, inputs: Float64Array) -> Pass:
        """Run a batch (n, n_inputs) in float64."""
        values = [inputs]
        slopes: list[Float64Array | None] = []
        for weights, bias, activation in zip(
            self.weights, self.biases, self.activations, strict=True
        ):
            sums = values[-1] @ weights
            sums += bias
            values.append(_activate(activation, sums))
            slopes.append(slope(activation, values[-1]))
        return Pass(values, self.weights, slopes)

    def gradients(self, ran: Pass, targets: Float64Array) -> float:
        """Fill `gradient` from a forward pass; returns the batch's mean loss."""
        loss, error = self._loss(ran.values[-1], ran.slopes[-1], targets)
        for index in range(len(self.weights) - 1, -1, -1):
            np.matmul(ran.values[index].T, error, out=self._weight_gradients[index])
            np.add.reduce(error, axis=0, out=self._bias_gradients[index])
            if index:
                error = error @ ran.weights[index].T
                factor = ran.slopes[index - 1]
                if factor is not None:
                    error *= factor
        return loss

    def _loss(
        self, outputs: Float64Array, factor: Float64Array | None, targets: Float64Array
    ) -> tuple[float, Float64Array]:
        """Mean loss of a batch and its derivative by the last layer's sums (n, n_outputs)."""
        rows = len(outputs)
        if self.loss == "softmax":
            powers = np.exp(outputs - np.maximum.reduce(outputs, axis=1, keepdims=True))
            powers /= np.add.reduce(powers, axis=1, keepdims=True)
            right = np.add.reduce(powers * targets, axis=1)
            entropy = -np.log(np.maximum(right, 1e-300))
            powers -= targets
            powers /= rows
            return float(np.add.reduce(entropy)) / rows, powers
        if self.loss == "sigmoid":
            hit = np.where(targets > 0.5, outputs, 1.0 - outputs)
            entropy = -np.log(np.maximum(hit, 1e-300)).sum(axis=1)
            return float(entropy.mean()), (outputs - targets) / rows
        error = outputs - targets
        loss = float((error**2).sum(axis=1).mean() / 2.0)
        if self.activations[-1] == "relu" and factor is not None:
            # An output that is 0 for every row has no slope and would stay there: pull it up.
            factor = np.where(error < 0.0, 1.0, factor)
        return loss, (error if factor is None else error * factor) / rows


def slope(activation: Activation, outputs: Float64Array) -> Float64Array | None:
    """Derivative of an activation, written by its output; None is 1 everywhere."""
    if activation == "relu":
        return (outputs > 0.0).astype(np.float64)
    if activation == "tanh":
        return 1.0 - outputs**2
    if activation == "sigmoid":
        return outputs * (1.0 - outputs)
    return None


def _activate(activation: Activation, sums: Float64Array) -> Float64Array:
    if activation == "relu":
        return np.maximum(sums, 0.0, out=sums)
    if activation == "tanh":
        return np.tanh(sums, out=sums)
    if activation == "sigmoid":
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * sums)))
    return sums


def _views(vector: Float64Array, shapes: list[tuple[int, ...]]) -> list[Float64Array]:
    views, start = [], 0
    for shape in shapes:
        size = int(np.prod(shape))
        views.append(vector[start : start + size].reshape(shape))
        start += size
    return views
