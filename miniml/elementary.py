"""exp, log, sigmoid, tanh and softmax that give the same bits on every machine.

C libraries differ in the last bit of exp, and numpy picks its own by processor. These
use only IEEE binary64 additions, multiplications and divisions in a fixed order, and
exact scaling by powers of two.
"""

from __future__ import annotations

from fractions import Fraction
from math import factorial

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]

# ln 2 in two parts; the upper one has 21 trailing zero bits, so k * LN2_HIGH is exact for
# |k| < 2^21 (fdlibm, e_exp.c: ln2HI, ln2LO).
LN2_HIGH = float.fromhex("0x1.62e42feep-1")
LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
INVERSE_LN2 = float.fromhex("0x1.71547652b82fep+0")
# Past these exp is no normal binary64 any more.
EXP_MIN, EXP_MAX = -708.0, 709.0
# tanh and 1 differ by less than 2^-57 from here on.
SATURATION = 20.0
# |r| <= ln2 / 2: the first omitted term, r^14 / 14!, is below 2^-57.
COEFFICIENTS = tuple(float(Fraction(1, factorial(n))) for n in range(13, -1, -1))
SQRT_HALF = 0.7071067811865476
# |s| < 0.1716: the first omitted term, s^24 / 25, is below 2^-65.
LOG_COEFFICIENTS = tuple(float(Fraction(2, n)) for n in range(23, 0, -2))


def exp(values: Float64Array) -> Float64Array:
    """e^x within 2 ulp, for x clamped to [-708, 709]; NaN stays NaN."""
    x = np.clip(values, EXP_MIN, EXP_MAX)
    k = np.rint(x * INVERSE_LN2)
    reduced = (x - k * LN2_HIGH) - k * LN2_LOW
    total = np.full_like(reduced, COEFFICIENTS[0])
    for coefficient in COEFFICIENTS[1:]:
        total = total * reduced + coefficient
    exponent = np.nan_to_num(k).astype(np.int32)
    return np.asarray(np.ldexp(total, exponent), dtype=np.float64)


def sigmoid(values: Float64Array) -> Float64Array:
    """1 / (1 + e^-x), by e^-|x| so that nothing overflows."""
    small = exp(-np.abs(values))
    return np.asarray(np.where(values >= 0, 1.0, small) / (1.0 + small), dtype=np.float64)


def tanh(values: Float64Array) -> Float64Array:
    """(1 - e^-2|x|) / (1 + e^-2|x|) with the sign of x; absolute error below 1e-15."""
    small = exp(-2.0 * np.minimum(np.abs(values), SATURATION))
    return np.asarray(np.copysign((1.0 - small) / (1.0 + small), values), dtype=np.float64)


def softmax(logits: Float64Array) -> Float64Array:
    """Probabilities of each row of (n, classes); sums run from the first class to the last."""
    powers = exp(logits - logits.max(axis=1, keepdims=True))
    total = np.zeros(len(powers))
    for column in powers.T:
        total = total + column
    return np.asarray(powers / total[:, np.newaxis], dtype=np.float64)


def log(values: Float64Array) -> Float64Array:
    """ln x within 4 ulp for normal x above 0.

    x = m * 2^k with m in [sqrt(1/2), sqrt(2)); ln m = 2 * (s + s^3/3 + ... + s^23/23) with
    s = (m - 1) / (m + 1), by Horner's rule.
    """
    fraction, exponent = np.frexp(values)
    low = fraction < SQRT_HALF
    fraction = np.where(low, 2.0 * fraction, fraction)
    k = (exponent - low).astype(np.float64)
    s = (fraction - 1.0) / (fraction + 1.0)
    square = s * s
    total = np.full_like(s, LOG_COEFFICIENTS[0])
    for coefficient in LOG_COEFFICIENTS[1:]:
        total = total * square + coefficient
    return np.asarray(k * LN2_HIGH + (k * LN2_LOW + total * s), dtype=np.float64)
