"""Affine scalers: one shift and one factor a column, fitted on the training rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]
Scaling = Literal["minmax", "standard", "symmetric", "none"]


@dataclass(frozen=True, eq=False)
class Scaler:
    """scaled = (raw - shift) * factor, in binary64.

    Attributes:
        shift: float64, (columns,), in raw units.
        factor: float64, (columns,), above 0, in 1 / raw units.
    """

    shift: Float64Array
    factor: Float64Array

    def scale(self, raw: Float64Array) -> Float64Array:
        """Raw (n, columns) to scaled, float64."""
        return (raw - self.shift) * self.factor

    def restore(self, scaled: Float64Array) -> Float64Array:
        """The inverse of `scale`, up to rounding."""
        return scaled / self.factor + self.shift


def fit_scaler(raw: Float64Array, scaling: Scaling) -> Scaler:
    """Fit a scaler; a constant column gets factor 1.

    Args:
        raw: float64, (n, columns), the training rows.
        scaling: "minmax" to [0, 1]; "symmetric" to [-1, 1]; "standard" to mean 0 and
            (population) standard deviation 1; "none" leaves the values.
    """
    columns = raw.shape[1]
    shift, width = np.zeros(columns), np.ones(columns)
    if scaling in ("minmax", "symmetric"):
        low, high = raw.min(axis=0), raw.max(axis=0)
        shift, width = low, high - low
        if scaling == "symmetric":
            shift, width = low + width / 2, width / 2
    elif scaling == "standard":
        for index, column in enumerate(raw.T.tolist()):
            shift[index] = mean = math.fsum(column) / len(column)
            width[index] = math.sqrt(math.fsum((v - mean) ** 2 for v in column) / len(column))
    same = raw.max(axis=0) == raw.min(axis=0)
    factor = 1.0 / np.where(same | (width == 0), 1.0, width)
    return Scaler(shift=shift, factor=factor)
