"""Ranges of the activations, which decide the scales of the int8 model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from miniml.dataset import Dataset, Split
from miniml.errors import CalibrationError
from miniml.float_model import FloatModel, activate, affine, check_weights
from miniml.ranges import RangeMethod, find_range
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
    """What int8 shall reach, binary64.

    Attributes:
        input: of the scaled inputs; at least 1 with minmax and symmetric, whose range
            that is.
        layers: of what each layer's accumulator is requantized to: behind relu and
            linear, before sigmoid and tanh (there within what their tables tell apart).
    """

    input: float
    layers: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Observed:
    """One activation over some rows.

    Attributes:
        name: "input", "layer 1", ...
        values: float64, (n, width).
        method: the rule for its range.
        least, most: what the range is limited to.
    """

    name: str
    values: Float64Array
    method: RangeMethod
    least: float = 0.0
    most: float = math.inf

    def range(self, percent: float) -> float:
        """The range that these rows ask for.

        Raises:
            CalibrationError: no rows, or a value that is not finite.
        """
        return min(max(find_range(self.values, self.method, percent), self.least), self.most)

    def of_rows(self, rows: Int64Array | NDArray[np.bool_]) -> Observed:
        """The same activation over some of the rows."""
        return replace(self, values=self.values[rows])


def calibration_rows(split: Split, settings: Settings) -> Int64Array:
    """Rows that [quantization] calibration names, ascending."""
    if settings.quantization.calibration == "train":
        return split.train
    if settings.quantization.calibration == "calibration":
        return split.calibration
    return np.union1d(split.train, split.calibration)


def calibrate(model: FloatModel, dataset: Dataset, split: Split, settings: Settings) -> Calibration:
    """Measure the ranges: the same bits on every machine.

    Raises:
        CalibrationError: the rows tell nothing: none, all 0 after scaling, or not finite.
    """
    features = dataset.features[calibration_rows(split, settings)]
    return measure(list(observe(model, features, settings)), settings)


def measure(observed: list[Observed], settings: Settings) -> Calibration:
    """The ranges of what was observed, by [quantization] range and percentile."""
    found = [one.range(settings.quantization.percentile) for one in observed]
    return Calibration(input=found[0], layers=tuple(found[1:]))


def observe(model: FloatModel, features: Float64Array, settings: Settings) -> Iterator[Observed]:
    """Run raw features (n, n_inputs) through the float model: the input, then each layer.

    A scaled input of minmax and symmetric has a range by definition, which is never clipped.

    Raises:
        WeightError: a weight is not finite.
        CalibrationError: every input is 0 after scaling.
    """
    method = settings.quantization.range_method
    values = model.scaler.scale(features)
    if not values.any():
        what = "every calibration row is 0 after scaling" if values.size else "no calibration row"
        raise CalibrationError(
            f"{settings.path}: {what}: give rows like those that the board will see "
            "([quantization] calibration names them)"
        )
    if settings.data.scaling in ("minmax", "symmetric"):
        yield Observed("input", values, "minmax", least=1.0)
    else:
        yield Observed("input", values, method)
    for number, layer in enumerate(model.layers, start=1):
        check_weights(layer, f"model {settings.model.name}, layer {number}")
        sums = affine(layer, values)
        values = activate(layer.activation, sums)
        limit = TABLE_RANGE.get(layer.activation)
        if limit is None:
            yield Observed(f"layer {number}", values, method)
        else:
            yield Observed(f"layer {number}", sums, method, TABLE_RANGE_MIN, limit)
