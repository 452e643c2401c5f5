"""How far an activation's int8 range should reach: four rules, the same bits on every machine.

"minmax" clips nothing; "percentile" leaves out the largest values; "mse" and "kl" choose among
121 ranges, the absolute maximum times 8/128 to 128/128, by a histogram of |value| with 2048
bins over [0, absmax]. Zeros are left out of it: they are exact at any scale. What is compared are
integers, or a correctly rounded sum, so neither the processor nor the order decides.
docs/QUANTIZATION.md, "Calibration".
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from miniml import elementary
from miniml.errors import CalibrationError

Float64Array = NDArray[np.float64]
Int64Array = NDArray[np.int64]
RangeMethod = Literal["minmax", "percentile", "mse", "kl"]

LEVELS = 127
BINS = 2048
CHOICES = 128  # ranges are k / 128 of the absolute maximum ...
SMALLEST = 8  # ... with k from 8, where a level is a bin wide, as in TensorRT
BINS_A_CHOICE = BINS // CHOICES


def find_range(values: Float64Array, method: RangeMethod, percent: float) -> float:
    """The largest |value| that int8 shall represent.

    Args:
        values: float64, any shape.
        method: which rule.
        percent: of "percentile": the share of |values| within the range.

    Returns:
        Above 0 unless all values are 0.

    Raises:
        CalibrationError: no values, or one that is NaN or infinite.
    """
    sizes = np.abs(values).ravel()
    if not sizes.size or not np.isfinite(sizes).all():
        what = "a value that is NaN or infinite" if sizes.size else "no value"
        raise CalibrationError(f"calibration saw {what}: check the rows, train again if they are")
    largest = float(sizes.max())
    if method == "percentile":
        return percentile(sizes, Fraction(percent))
    if method == "minmax" or largest == 0.0:
        return largest
    counts = histogram(sizes, largest)
    chosen = least_squares(counts) if method == "mse" else least_divergence(counts)
    return largest * (chosen / CHOICES)


def percentile(values: Float64Array, percent: Fraction) -> float:
    """The smallest of |values| that `percent` of them don't exceed (nearest rank)."""
    ordered = np.sort(np.abs(values), axis=None)
    rank = math.ceil(percent * ordered.size / 100)
    return float(ordered[max(rank, 1) - 1])


def histogram(sizes: Float64Array, largest: float) -> Int64Array:
    """How many of the values above 0 are in each of the 2048 bins; int64, (2048,)."""
    positive = sizes[sizes > 0.0]
    bins = np.minimum((positive / largest * BINS).astype(np.int64), BINS - 1)
    return np.bincount(bins, minlength=BINS).astype(np.int64)


def least_squares(counts: Int64Array) -> int:
    """k of the range k/128 with the least sum of squared errors, the largest on a tie.

    Each value counts as its bin's centre, and its error is that of int8: rounding inside the
    range, the distance to the range beyond it. In units of absmax / (2 * 2048 * 127) all of
    it is whole numbers.
    """
    levels = _levels()
    steps = 2 * BINS_A_CHOICE * np.arange(SMALLEST, CHOICES + 1, dtype=np.int64)
    centres = LEVELS * (2 * np.arange(BINS, dtype=np.int64) + 1)
    errors = (centres[np.newaxis, :] - levels * steps[:, np.newaxis]) ** 2
    # An error is below 2^39: sums of up to 2^24 values fit 63 bits, and more are halved.
    totals = errors @ (counts if int(counts.sum()) < 2**24 else _scaled_down(counts))
    return _last_least([int(total) for total in totals])


def least_divergence(counts: Int64Array) -> int:
    """k of the range k/128 with the least Kullback-Leibler divergence, the largest on a tie.

    Migacz, "8-bit inference with TensorRT" (GTC 2017): P is the histogram up to the range, what
    is beyond in its last bin; Q is the histogram without that, each level's count spread
    evenly over its bins that aren't empty. The last bin of Q counts one half where it would be 0.
    """
    total = int(counts.sum())
    divergences = []
    for index, levels in enumerate(_levels()):
        width = (SMALLEST + index) * BINS_A_CHOICE
        inside, level = counts[:width], levels[:width]
        filled = inside > 0
        by_level = np.bincount(level, weights=inside, minlength=LEVELS + 1)
        bins = np.bincount(level, weights=filled, minlength=LEVELS + 1)
        q = np.where(filled, by_level[level] / np.maximum(bins[level], 1.0), 0.0)
        p = inside.astype(np.float64)
        p[-1] += total - int(inside.sum())
        if p[-1] and not q[-1]:
            q[-1] = 0.5
        used = p > 0.0
        p, q = p[used], q[used]
        ratios = (p * math.fsum(q.tolist())) / (q * total)
        divergences.append(math.fsum((p * elementary.log(ratios)).tolist()))
    return _last_least(divergences)


@lru_cache(maxsize=1)
def _levels() -> Int64Array:
    """The int8 level of each bin's centre for each range, int64 (121, 2048).

    127 * centre / range is an odd number over an even one, so there are no ties.
    """
    centres = 2 * np.arange(BINS, dtype=np.int64) + 1
    steps = 2 * BINS_A_CHOICE * np.arange(SMALLEST, CHOICES + 1, dtype=np.int64)[:, np.newaxis]
    levels = (2 * LEVELS * centres + steps) // (2 * steps)
    return np.asarray(np.minimum(levels, LEVELS), dtype=np.int64)


def _scaled_down(counts: Int64Array) -> Int64Array:
    """Counts divided by a power of two, rounded up, so that they sum to at most 2^24."""
    shift = max(int(counts.sum()).bit_length() - 23, 0)
    return np.asarray((counts + (1 << shift) - 1) >> shift, dtype=np.int64)


def _last_least(values: list[int] | list[float]) -> int:
    best = min(values)
    return SMALLEST + max(index for index, value in enumerate(values) if value == best)
