"""sigmoid and tanh in binary32, operation by operation as the float modes' C does it.

No libm: each line is one IEEE binary32 operation, rounded to nearest, ties to even, so numpy and
every board give the same bits (firmware/lib/MiniML/src/miniml_float_math.c).
"""

from __future__ import annotations

import numpy as np

from miniml.model import Float32Array

# ln 2 in two parts; LN2_HIGH has 15 significant bits, so that k * LN2_HIGH is exact for k < 512.
LN2_HIGH = np.float32(float.fromhex("0x1.62e4p-1"))
LN2_LOW = np.float32(float.fromhex("0x1.7f7d1cp-20"))
INVERSE_LN2 = np.float32(float.fromhex("0x1.715476p+0"))
# Beyond, the results don't change any more, and 2^-k stays a normal number.
ARGUMENT_MAX = np.float32(80.0)
# e^-r = 1 - r + r^2 * P(r) on |r| <= ln 2 / 2: a minimax fit, relative error below 3.3e-9 before
# rounding. Highest power first; the last two are exact.
COEFFICIENTS = tuple(
    np.float32(float.fromhex(text))
    for text in (
        "0x1.6a1a72p-10",
        "-0x1.123fc6p-7",
        "0x1.555916p-5",
        "-0x1.55548ap-3",
        "0x1.fffffcp-2",
        "-0x1p+0",
        "0x1p+0",
    )
)


def exp_negative(values: Float32Array) -> Float32Array:
    """e^-a for a >= 0, a clamped to [0, 80]; NaN counts as 80."""
    a = np.where(values < ARGUMENT_MAX, values, ARGUMENT_MAX)
    k = np.trunc(a * INVERSE_LN2 + np.float32(0.5))
    r = (a - k * LN2_HIGH) - k * LN2_LOW
    total = np.full_like(r, COEFFICIENTS[0])
    for coefficient in COEFFICIENTS[1:]:
        total = total * r + coefficient
    # Exact: total lies within [0.7, 1.5], and k is at most 115.
    return np.asarray(np.ldexp(total, -k.astype(np.int32)), dtype=np.float32)


def sigmoid(values: Float32Array) -> Float32Array:
    """1 / (1 + e^-|x|), its numerator e^-|x| where x is negative (or NaN)."""
    small = exp_negative(np.abs(values))
    one = np.float32(1.0)
    return np.asarray(np.where(values >= 0, one, small) / (one + small), dtype=np.float32)


def tanh(values: Float32Array) -> Float32Array:
    """(1 - e^-2|x|) / (1 + e^-2|x|), negated where x is negative."""
    size = np.abs(values)
    with np.errstate(over="ignore"):
        small = exp_negative(size + size)
    one = np.float32(1.0)
    result = (one - small) / (one + small)
    return np.asarray(np.where(values < 0, -result, result), dtype=np.float32)
