"""What a generator needs to know of a row: its accumulator's interval and its thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from miniml.fixed_point import requantize
from miniml.kernels.program import Int64Array
from miniml.model import DenseLayer, QuantizedModel


@dataclass(frozen=True, eq=False)
class Row:
    """One row of a layer.

    Attributes:
        index: in the layer.
        weights: one a column.
        low, high: the accumulator's interval, bias included, for inputs in the layer's range.
        thresholds: int64, (maximum - minimum,): the least accumulator in [low, high + 1] whose
            output is at least minimum + 1, minimum + 2, ...; low where every accumulator's is,
            high + 1 where none is. Never falling. The outputs follow from them alone.
    """

    index: int
    weights: tuple[int, ...]
    bias: int
    multiplier: int
    shift: int
    minimum: int
    maximum: int
    low: int
    high: int
    thresholds: Int64Array

    @cached_property
    def reach(self) -> tuple[int, int]:
        """The lowest and the highest output that the row can have, before its table."""
        return (
            self.minimum + int((self.thresholds <= self.low).sum()),
            self.minimum + int((self.thresholds <= self.high).sum()),
        )

    @cached_property
    def is_constant(self) -> bool:
        """Whether the output is the same whatever the inputs."""
        lowest, highest = self.reach
        return lowest == highest


@dataclass(frozen=True, eq=False)
class LayerRows:
    """A layer, its rows, and the interval [x_low, x_high] that its inputs are proved to keep to."""

    number: int
    layer: DenseLayer
    rows: tuple[Row, ...]
    x_low: int
    x_high: int


def model_rows(model: QuantizedModel) -> list[LayerRows]:
    """Every layer, with the interval of its inputs: what the layer before can return."""
    found = []
    x_low, x_high = model.input.input_min, 127
    for number, layer in enumerate(model.layers, start=1):
        found.append(LayerRows(number, layer, _rows(layer, x_low, x_high), x_low, x_high))
        x_low, x_high = _outputs(layer)
    return found


def _outputs(layer: DenseLayer) -> tuple[int, int]:
    if layer.table is None:
        return layer.activation_min, layer.activation_max
    reached = layer.table[layer.activation_min + 128 : layer.activation_max + 129]
    return int(reached.min()), int(reached.max())


def _rows(layer: DenseLayer, x_low: int, x_high: int) -> tuple[Row, ...]:
    weights = layer.weights.astype(np.int64)
    ends = np.stack([weights * x_low, weights * x_high])
    low = ends.min(axis=0).sum(axis=1) + layer.bias
    high = ends.max(axis=0).sum(axis=1) + layer.bias
    thresholds = _thresholds(layer, low, high)
    return tuple(
        Row(
            index=row,
            weights=tuple(layer.weights[row].tolist()),
            bias=int(layer.bias[row]),
            multiplier=int(layer.multipliers[row]),
            shift=int(layer.shifts[row]),
            minimum=layer.activation_min,
            maximum=layer.activation_max,
            low=int(low[row]),
            high=int(high[row]),
            thresholds=thresholds[:, row],
        )
        for row in range(layer.n_outputs)
    )


def _thresholds(layer: DenseLayer, low: Int64Array, high: Int64Array) -> Int64Array:
    """By bisection of the reference's own arithmetic, which never falls; (outputs, rows)."""
    outputs = np.arange(layer.activation_min + 1, layer.activation_max + 1)[:, np.newaxis]
    shape = (len(outputs), layer.n_outputs)
    left, right = np.broadcast_to(low, shape).copy(), np.broadcast_to(high + 1, shape).copy()
    while (left < right).any():
        middle = (left + right) >> 1
        reached = requantize(middle, layer.multipliers, layer.shifts) >= outputs
        right = np.where(reached & (left < right), middle, right)
        left = np.where(~reached & (left < right), middle + 1, left)
    return left
