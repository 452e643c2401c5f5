"""How one row of packed sums is kept, and becomes an output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from miniml.kernels.cortex_m0plus.bounds import Int64Array, LayerBounds
from miniml.kernels.cortex_m0plus.requantize import FastRequantize, search
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
    """v = accumulator + offset in [0, 2^bits)."""

    form: Literal["split", "offset", "exact"]
    bits: int
    offset: int


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
