"""How one row of packed sums is kept, and becomes an output."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from miniml.kernels.cortex_m0plus.bounds import Int64Array, LayerBounds
from miniml.kernels.cortex_m0plus.requantize import FastRequantize, search
from miniml.kernels.cortex_m0plus.rests import Rest
from miniml.model import DenseLayer

_LEAST_BITS = 2


@dataclass(frozen=True)
class PackedRow:
    """One row.

    Attributes:
        row: of the layer.
        low, high: of its accumulator.
        fast: its requantization; None: the exact one.
        least_bits: of v, where v = accumulator - low.
        split_bits: of v where its upper bit tells an "above" row from y_low, or a "magnitude"
            row's sign: two instructions fewer. None: more than 32.
        y_low, y_high: outputs before a table.
    """

    row: int
    low: int
    high: int
    fast: FastRequantize | None
    least_bits: int
    split_bits: int | None
    y_low: int
    y_high: int

    @property
    def constant(self) -> bool:
        """The row gives one output only."""
        return self.y_low == self.y_high

    def keeping(self, split: bool) -> Keeping:
        """How v is kept, split or not."""
        if self.fast is None or not split:
            bits = self.least_bits
            return Keeping("exact" if self.fast is None else "offset", bits, -self.low)
        assert self.split_bits is not None
        bits = self.split_bits
        return Keeping("split", bits, (1 << bits - 1) - self.fast.first)


@dataclass(frozen=True)
class Keeping:
    """v = accumulator + offset in [0, 2^bits).

    Attributes:
        form: "split": the upper bit of v tells the ways apart; "offset": v is compared;
            "exact": v becomes the accumulator again.
        bits, offset: of v.
        rests: form "offset": added to v before it is compared; v holds the row without them.
    """

    form: Literal["split", "offset", "exact"]
    bits: int
    offset: int
    rests: tuple[Rest, ...] = ()

    def weights(self, layer: DenseLayer, row: int) -> Int64Array:
        """The row's weights that v holds, int64 (n_inputs,)."""
        weights: Int64Array = layer.weights[row].astype(np.int64)
        for rest in self.rests:
            weights[rest.column] -= rest.weight
        return weights


def narrowed(layer: DenseLayer, bounds: LayerBounds, row: PackedRow) -> Keeping | None:
    """The row in a bit less, by what it adds on its own; None: it can't be."""
    bits = row.least_bits - 1
    if row.fast is None or not _LEAST_BITS <= bits < 31:
        return None
    weights = layer.weights[row.row].astype(np.int64)
    widths = bounds.x_high - bounds.x_low
    excess = int((np.abs(weights) * widths).sum()) - ((1 << bits) - 1)
    rests = []
    for column in np.argsort(-np.abs(weights) * widths, kind="stable").tolist():
        if excess <= 0:
            break
        width, weight = int(widths[column]), int(weights[column])
        if not width * weight:
            return None
        cut = min(-(-excess // width), abs(weight))
        excess -= cut * width
        rests.append(Rest(column, cut if weight > 0 else -cut))
    kept = Keeping("offset", bits, 0, tuple(rests))
    weights = kept.weights(layer, row.row)
    low = np.minimum(weights * bounds.x_low, weights * bounds.x_high).sum() + layer.bias[row.row]
    return replace(kept, offset=-int(low))


def packed_row(
    layer: DenseLayer, bounds: LayerBounds, row: int, thresholds: Int64Array
) -> PackedRow:
    """Searches the row's requantization."""
    low, high = int(bounds.low[row]), int(bounds.high[row])
    fast = search(layer, bounds, row, thresholds) if len(thresholds) else None
    split = None
    if fast is not None:
        reach = max(high - fast.first, fast.first - 1 - low, 1)
        split = max(1 + reach.bit_length(), _LEAST_BITS)
    return PackedRow(
        row=row,
        low=low,
        high=high,
        fast=fast,
        least_bits=max((high - low).bit_length(), _LEAST_BITS),
        split_bits=split if split is not None and split <= 32 else None,
        y_low=int(bounds.y_low[row]),
        y_high=int(bounds.y_high[row]),
    )
