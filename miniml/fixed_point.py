"""The integer arithmetic of the contract: multipliers, requantization, accumulator bounds.

docs/QUANTIZATION.md states every step; the kernels in C do the same. Requantization is
the double rounding of gemmlowp and TFLite, the default of CMSIS-NN.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from miniml.errors import AccumulatorError, MultiplierError

Int8Array = NDArray[np.int8]
Int32Array = NDArray[np.int32]
Int64Array = NDArray[np.int64]

INPUT_LIMIT = 127
ACCUMULATOR_LIMIT = 2**31
MULTIPLIER_MIN = 2**30
MULTIPLIER_LIMIT = 2**31
SHIFT_MIN = -31
SHIFT_MAX = 30
TOO_SMALL = (
    "the layer's calibrated output range is far too small, calibrate on more rows or scale the "
    "features"
)


def quantize_multiplier(real: float, where: str = "") -> tuple[int, int]:
    """Write a real multiplier as M * 2^(shift - 31).

    Args:
        real: finite, not negative.
        where: names the row in the error.

    Returns:
        M in [2^30, 2^31), rounded half to even on binary64, and shift in [-31, 30].
        Below 2^-32, zero included: (2^30, -31), the smallest there is.

    Raises:
        MultiplierError: negative, NaN, infinite, or too large for shift <= 30.
    """
    what = f"{where}: multiplier" if where else "multiplier"
    try:
        real = float(real)
    except OverflowError:  # a whole number beyond binary64
        real = math.inf if real > 0 else -math.inf
    if not math.isfinite(real) or real < 0.0:
        raise MultiplierError(
            f"{what} {real!r} is not a finite number >= 0: "
            "weights or scales are damaged, train again"
        )
    significand, shift = math.frexp(real)
    # significand * 2^31 is exact, so Python's round is the only rounding: half to even.
    multiplier = round(math.ldexp(significand, 31))
    if multiplier == MULTIPLIER_LIMIT:
        multiplier //= 2
        shift += 1
    if real < 2.0**-32:
        return MULTIPLIER_MIN, SHIFT_MIN
    if shift > SHIFT_MAX:
        raise MultiplierError(
            f"{what} {real!r} needs a left shift of {shift}, more than {SHIFT_MAX}: {TOO_SMALL}"
        )
    return multiplier, shift


def quantize_multipliers(real: NDArray[np.float64]) -> tuple[Int32Array, Int8Array]:
    """`quantize_multiplier` of each value, but one that is too large becomes the largest."""
    significand, shift = np.frexp(real)
    multiplier = np.rint(significand * 2.0**31).astype(np.int64)
    carried = multiplier == MULTIPLIER_LIMIT
    multiplier = np.where(carried, MULTIPLIER_MIN, multiplier)
    shift = np.minimum(shift + carried, SHIFT_MAX)
    tiny = real < 2.0**-32
    return (
        np.where(tiny, MULTIPLIER_MIN, multiplier).astype(np.int32),
        np.where(tiny, SHIFT_MIN, shift).astype(np.int8),
    )


def requantize(accumulators: Int64Array, multipliers: Int32Array, shifts: Int8Array) -> Int64Array:
    """Scale accumulators by M * 2^(shift - 31) with double rounding; no clamp.

    First z = (acc * 2^max(shift, 0) * M + 2^30) >> 31, ties towards plus infinity; then
    z / 2^max(-shift, 0), ties away from zero.

    Args:
        accumulators: int64, (..., rows), |acc| * 2^max(shift, 0) < 2^31 (`prove_row`).
        multipliers: int32, (rows,), in [2^30, 2^31).
        shifts: int8, (rows,), in [-31, 30].

    Returns:
        int64, (..., rows), |value| <= 2^31.
    """
    wide = shifts.astype(np.int64)
    left = np.maximum(wide, 0)
    right = np.maximum(-wide, 0)
    # |acc << left| < 2^31 and M < 2^31: the product fits 62 bits.
    product = (accumulators << left) * multipliers.astype(np.int64)
    high = (product + (1 << 30)) >> 31
    return rounding_shift_right(high, right)


def rounding_shift_right(values: Int64Array, exponents: Int64Array) -> Int64Array:
    """values / 2^exponents to the nearest integer, ties away from zero.

    gemmlowp's RoundingDivideByPOT: an exponent of 0 returns the value itself.
    """
    mask = (np.int64(1) << exponents) - 1
    remainder = values & mask
    threshold = (mask >> 1) + (values < 0)
    return np.asarray((values >> exponents) + (remainder > threshold), dtype=np.int64)


def accumulator_bound(weights: Int8Array, bias: Int32Array) -> Int64Array:
    """Largest |accumulator| of each row for inputs in [-127, 127].

    Args:
        weights: int8, (rows, columns).
        bias: int32, (rows,).

    Returns:
        int64, (rows,): 127 * sum|w| + |bias|.
    """
    total = np.abs(weights.astype(np.int64)).sum(axis=1)
    return np.asarray(INPUT_LIMIT * total + np.abs(bias.astype(np.int64)), dtype=np.int64)


def prove_row(bound: int, shift: int, where: str) -> None:
    """Prove that a row can't wrap a 32-bit accumulator, before or after its left shift.

    Args:
        bound: largest |accumulator| of the row.
        shift: of its multiplier.
        where: names the row in the error.

    Raises:
        AccumulatorError: it could.
    """
    if bound >= ACCUMULATOR_LIMIT:
        raise AccumulatorError(
            f"{where}: its accumulator could reach {bound}, past 2^31: use fewer inputs"
        )
    if shift > 0 and bound << shift >= ACCUMULATOR_LIMIT:
        raise AccumulatorError(
            f"{where}: a left shift of {shift} could push its accumulator ({bound}) past 2^31: "
            + TOO_SMALL
        )


def round_half_away(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Nearest integer, ties away from zero, as binary32 operations that C repeats.

    t = trunc(v), d = v - t (exact), then one step away from zero where |d| >= 0.5. Adding
    0.5 and truncating would send 0.49999997 to 1. NaN stays NaN.
    """
    whole = np.trunc(values)
    rest = values - whole
    half = np.float32(0.5)
    step = (rest >= half).astype(np.float32) - (rest <= -half).astype(np.float32)
    return np.asarray(whole + step, dtype=np.float32)
