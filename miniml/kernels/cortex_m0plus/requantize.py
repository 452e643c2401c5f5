"""Requantization without a 64-bit product, searched and proved for each row.

The output is y_low + f(u) with u = accumulator - first threshold ("above": y_low below it), or
f(|accumulator|) with the accumulator's sign ("magnitude"):

    f(u) = (u * high + (u * low >> j) + c) >> s,    everything below 2^32.

Both f and the contract's double rounding never fall as u grows, so they agree everywhere if
they agree at each threshold (the least u that gives a step) and just below it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from miniml.kernels.cortex_m0plus.bounds import Int64Array, LayerBounds, clamped_outputs
from miniml.model import DenseLayer

_WORD = 1 << 32
_LOW_BITS = (0, 8, 12, 15, 18)


@dataclass(frozen=True)
class FastRequantize:
    """Constants of f for one row, with what was proved.

    Attributes:
        form: how u and the output follow from accumulator and f (above).
        first: of form "above": the least accumulator that gives more than y_low; else 0.
        y_low: of form "above": the least output; else 0.
        steps: the most that f is to give.
        cut: u >= 2^cut gives `steps`; None: no u is that large.
        high, low, low_shift, constant, shift: of f; low is 0 where `high` alone is enough.
        top: more than `steps` has to be looked for: "sign" (it is bit 31 of the sum),
            "compare", or None.
        first_top: least u at which `top` sees it, or None.
        largest: of the sum before the shift, below 2^32.
        tested: thresholds, each with its neighbour below.
    """

    form: Literal["above", "magnitude"]
    first: int
    y_low: int
    steps: int
    cut: int | None
    high: int
    low: int
    low_shift: int
    constant: int
    shift: int
    top: Literal["sign", "compare"] | None = None
    first_top: int | None = None
    largest: int = 0
    tested: int = 0

    def total(self, u: int) -> int:
        """The sum whose upper bits are f."""
        return u * self.high + (u * self.low >> self.low_shift) + self.constant

    @property
    def proof(self) -> str:
        """One line."""
        cut = "" if self.cut is None else f", u < 2^{self.cut}"
        return (
            f"{self.tested} thresholds and their neighbours agree with the contract{cut}, "
            f"sum at most {self.largest} < 2^32"
        )


def row_thresholds(layer: DenseLayer, bounds: LayerBounds) -> list[Int64Array]:
    """For each row, the least accumulator that gives y_low + 1, y_low + 2, ... y_high."""
    counts = bounds.y_high - bounds.y_low
    wanted = bounds.y_low + 1 + np.arange(max(int(counts.max()), 1))[:, np.newaxis]
    # Bisection: outputs at `below` are less than wanted, at `reached` they are not.
    below = np.broadcast_to(bounds.low, wanted.shape).copy()
    reached = np.broadcast_to(bounds.high, wanted.shape).copy()
    while bool((reached - below > 1).any()):
        middle = (below + reached) >> 1
        enough = clamped_outputs(layer, middle) >= wanted
        reached = np.where(enough, middle, reached)
        below = np.where(enough, below, middle)
    return [reached[: int(count), row] for row, count in enumerate(counts)]


def search(
    layer: DenseLayer, bounds: LayerBounds, row: int, thresholds: Int64Array
) -> FastRequantize | None:
    """Constants that are proved, the cheapest found; None: the row has to be exact.

    Args:
        layer: of the row.
        bounds: of the layer.
        row: which.
        thresholds: of the row (`row_thresholds`), at least one.
    """
    slope = float(layer.multipliers[row]) * 2.0 ** (int(layer.shifts[row]) - 31)
    y_low = int(bounds.y_low[row])
    first = int(thresholds[0])
    at = thresholds - first
    steps = np.arange(1, len(at) + 1, dtype=np.int64)
    largest = int(bounds.high[row]) - first
    # What is below the first threshold is told by comparison: only thresholds above it matter.
    below = (at[1:] - 1, steps[1:])
    found = None
    if y_low >= 0 or len(at) == 1:
        found = _line((at, steps), below, largest, slope)
    if found is not None:
        return replace(found, form="above", first=first, y_low=y_low, tested=len(at))
    if int(layer.activation_min) == -int(layer.activation_max) and y_low < 0:
        return _magnitude(layer, bounds, row, thresholds, slope)
    return None


def _magnitude(
    layer: DenseLayer, bounds: LayerBounds, row: int, thresholds: Int64Array, slope: float
) -> FastRequantize | None:
    values = int(bounds.y_low[row]) + 1 + np.arange(len(thresholds), dtype=np.int64)
    above = values >= 1
    # y >= 1 - k begins at t: y <= -k begins at |accumulator| = 1 - t.
    at = np.concatenate([thresholds[above], 1 - thresholds[~above]])
    steps = np.concatenate([values[above], 1 - values[~above]])
    if bool((at < 1).any()):
        return None
    low, high = int(bounds.low[row]), int(bounds.high[row])
    ends = [
        (u, abs(y)) for u, y in ((-low, int(bounds.y_low[row])), (high, int(values[-1]))) if u > 0
    ]
    nearest = [(-high, abs(int(values[-1])))] if high < 0 else []
    nearest += [(low, int(bounds.y_low[row]))] if low > 0 else []
    reached = _with_points((at, steps), nearest)
    # Each side ends at its own largest accumulator: no step more may begin before it.
    most = int(steps.max())
    below = _with_points((at - 1, steps), [(u, k + 1) for u, k in ends if k < most])
    found = _line(reached, below, max(high, -low), slope)
    if found is None:
        return None
    return replace(found, form="magnitude", tested=len(thresholds))


def _with_points(
    pairs: tuple[Int64Array, Int64Array], points: list[tuple[int, int]]
) -> tuple[Int64Array, Int64Array]:
    return (
        np.concatenate([pairs[0], np.array([u for u, _ in points], np.int64)]),
        np.concatenate([pairs[1], np.array([k for _, k in points], np.int64)]),
    )


def _line(
    reached: tuple[Int64Array, Int64Array], below: tuple[Int64Array, Int64Array],
    largest: int, slope: float,
) -> FastRequantize | None:  # fmt: skip
    """f with f(u) >= k for each (u, k) of `reached`, f(u) < k for each of `below`."""
    most_steps = int(reached[1].max())
    cut: int | None = max(int(reached[0].max()).bit_length(), 1)
    assert cut is not None
    if largest < 1 << cut:
        cut = None
    else:
        largest = (1 << cut) - 1
    bits = max(int(np.ceil(np.log2(slope * largest + 2.0))), 1)
    shifts = [32 - bits, 31 - bits]
    if most_steps + 1 == 1 << (most_steps + 1).bit_length() - 1:
        # One step too many is bit 31 then: the cheapest to see.
        sign = 32 - (most_steps + 1).bit_length()
        shifts = [sign, *shifts] if sign <= 32 - bits else shifts
    for low_bits in _LOW_BITS:
        for shift in shifts:
            for change in (0, 1, -1, 2, -2, 3, -3):
                factor = round(slope * 2.0 ** (shift + low_bits)) + change
                found = _fit(reached, below, largest, factor, low_bits, shift)
                if found is not None:
                    candidate = replace(found, steps=most_steps, cut=cut)
                    return _with_top(candidate, largest)
    return None


def _fit(
    reached: tuple[Int64Array, Int64Array], below: tuple[Int64Array, Int64Array],
    largest: int, factor: int, low_bits: int, shift: int,
) -> FastRequantize | None:  # fmt: skip
    high, low = factor >> low_bits, factor & ((1 << low_bits) - 1)
    if factor < 1 or shift < 1 or max(high, low) * largest >= _WORD:
        return None

    def sums(u: Int64Array) -> Int64Array:
        return np.asarray(u * high + (u * low >> low_bits), dtype=np.int64)

    least = max(0, int((reached[1] * (1 << shift) - sums(reached[0])).max()))
    most = _WORD - 1 - (largest * high + (largest * low >> low_bits))
    asked = below[0] >= 0
    if bool(asked.any()):
        most = min(most, int((below[1] * (1 << shift) - 1 - sums(below[0]))[asked].min()))
    if least > most:
        return None
    constant = (least + most) // 2 if most - least < 1 << shift else least
    return FastRequantize("above", 0, 0, 0, None, high, low, low_bits, constant, shift)


def _with_top(found: FastRequantize, largest: int) -> FastRequantize:
    found = replace(found, largest=found.total(largest))
    limit = found.steps + 1 << found.shift
    if found.largest < limit:
        return found
    below, reached = -1, largest
    while reached - below > 1:
        middle = (below + reached) // 2
        if found.total(middle) >= limit:
            reached = middle
        else:
            below = middle
    return replace(found, top="sign" if limit == 1 << 31 else "compare", first_top=reached)
