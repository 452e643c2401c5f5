"""What the weights alone say of a model's values: intervals of inputs, sums and outputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from miniml.fixed_point import INPUT_LIMIT, requantize
from miniml.model import DenseLayer, QuantizedModel

Int64Array = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LayerBounds:
    """Intervals that no input leaves, both ends included.

    Attributes:
        x_low, x_high: int64, (n_inputs,): what each column gets.
        low, high: int64, (n_outputs,): accumulators with their bias.
        y_low, y_high: int64, (n_outputs,): after the clamp, before a table.
    """

    x_low: Int64Array
    x_high: Int64Array
    low: Int64Array
    high: Int64Array
    y_low: Int64Array
    y_high: Int64Array

    @property
    def x_offset(self) -> int:
        """Added to the inputs where they are kept, so that a byte is unsigned: 0 or 128."""
        return 0 if int(self.x_low.min()) >= 0 else 128


def clamped_outputs(layer: DenseLayer, accumulators: Int64Array) -> Int64Array:
    """What the reference makes of accumulators (..., rows), before a table."""
    scaled = requantize(accumulators, layer.multipliers, layer.shifts)
    return np.clip(scaled, layer.activation_min, layer.activation_max)


def layer_bounds(model: QuantizedModel) -> list[LayerBounds]:
    """Of every layer; a layer's inputs are what the rows before can give."""
    x_low = np.full(model.n_inputs, model.input.input_min, np.int64)
    x_high = np.full(model.n_inputs, INPUT_LIMIT, np.int64)
    bounds = []
    for layer in model.layers:
        weights = layer.weights.astype(np.int64)
        ends = weights * x_low, weights * x_high
        low = np.minimum(*ends).sum(axis=1) + layer.bias
        high = np.maximum(*ends).sum(axis=1) + layer.bias
        # Requantization and clamp never fall as the accumulator grows.
        y_low, y_high = clamped_outputs(layer, low), clamped_outputs(layer, high)
        bounds.append(LayerBounds(x_low, x_high, low, high, y_low, y_high))
        x_low, x_high = _after_table(layer, y_low, y_high)
    return bounds


def _after_table(
    layer: DenseLayer, y_low: Int64Array, y_high: Int64Array
) -> tuple[Int64Array, Int64Array]:
    if layer.table is None:
        return y_low, y_high
    table = layer.table.astype(np.int64)
    reachable = [table[a + 128 : b + 129] for a, b in zip(y_low, y_high, strict=True)]
    return (
        np.array([part.min() for part in reachable], np.int64),
        np.array([part.max() for part in reachable], np.int64),
    )
