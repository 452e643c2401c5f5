"""Ranges of the activations, which decide the scales of the int8 model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from miniml.dataset import Dataset, Split
from miniml.float_model import FloatModel, activate, affine
from miniml.settings import Settings

Float64Array = NDArray[np.float64]
Int64Array = NDArray[np.int64]

# Beyond these the table says +-127 (or 0) anyway: 127 * sigmoid(8) = 126.96 and
# 127 * tanh(4) = 126.91.
TABLE_RANGE = {"sigmoid": 8.0, "tanh": 4.0}
# Finer steps than 1/127 before a table can't be seen behind it: its slope is at most 1.
TABLE_RANGE_MIN = 1.0


@dataclass(frozen=True)
class Calibration:
    """Absolute maxima over the calibration rows, all binary64.

    Attributes:
        input: of the scaled inputs; at least 1 with minmax and symmetric, whose range
            that is.
        layers: of what each layer's accumulator is requantized to: behind relu and
            linear, before sigmoid and tanh (there within what their tables tell apart).
    """

    input: float
    layers: tuple[float, ...]


def calibration_rows(split: Split, settings: Settings) -> Int64Array:
    """Rows that [quantization] calibration names, ascending."""
    if settings.quantization.calibration == "train":
        return split.train
    if settings.quantization.calibration == "calibration":
        return split.calibration
    return np.union1d(split.train, split.calibration)


def calibrate(model: FloatModel, dataset: Dataset, split: Split, settings: Settings) -> Calibration:
    """Measure the ranges: the same bits on every machine.

    The input's range is the absolute maximum, that of a layer the [quantization] percentile
    of its absolute values.
    """
    values = model.scaler.scale(dataset.features[calibration_rows(split, settings)])
    largest = float(np.abs(values).max())
    if settings.data.scaling in ("minmax", "symmetric"):
        largest = max(largest, 1.0)
    ranges = []
    for layer in model.layers:
        sums = affine(layer, values)
        values = activate(layer.activation, sums)
        limit = TABLE_RANGE.get(layer.activation)
        measured = percentile(
            values if limit is None else sums, Fraction(settings.quantization.percentile)
        )
        ranges.append(measured if limit is None else min(max(measured, TABLE_RANGE_MIN), limit))
    return Calibration(input=largest, layers=tuple(ranges))


def percentile(values: Float64Array, percent: Fraction) -> float:
    """The smallest of |values| that `percent` of them don't exceed (nearest rank)."""
    ordered = np.sort(np.abs(values), axis=None)
    rank = math.ceil(percent * ordered.size / 100)
    return float(ordered[max(rank, 1) - 1])
