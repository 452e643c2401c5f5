"""How a row's accumulator becomes a byte, and the proof that it is the reference's byte.

With T = 256*acc, one SMMLA gives the product's upper word:

high word: r = (T*M + C*2^32) >> 32 has 7 + n bits behind the point, n = -shift, with
    C = 2^(6+n) + 2^6: the halves of both roundings. Negative accumulators need one unit of the
    first rounding less (ties away from zero): r - 2^7. Then a saturating shift by 7 + n.
halfword (ReLU): r with 16 bits behind the point, by M*2^(9-n), so that two rows share one
    saturation. The first rounding's half is a fraction f of 256 that T carries, about 2^38/M.
exact: SMULL and every step of the contract; any row.

Each candidate is compared with the contract's function at every accumulator where that one's
result changes and at the one before, and at both ends of the row's interval. Both functions are
monotone (nothing wraps between the ends), so they are equal everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from miniml.fixed_point import rounding_shift_right
from miniml.kernels.cortex_m4.groups import WIDE_LIMIT
from miniml.model import DenseLayer

Kind = Literal["halfword", "high word", "exact"]
KINDS: tuple[Kind, ...] = ("halfword", "high word", "exact")
HALFWORD_C = 1 << 15
_INT64 = NDArray[np.int64]


@dataclass(frozen=True)
class Requantize:
    """One row's requantization.

    Attributes:
        kind: the best that was proved; a worse one serves too.
        n: -shift.
        multiplier: M of the contract.
        scaled, fraction: M and f of "halfword".
        proof: with this row's numbers.
        wide: |acc| may reach 2^23.
    """

    kind: Kind
    n: int
    multiplier: int
    scaled: int
    fraction: int
    proof: str
    wide: bool

    @property
    def high_word_c(self) -> int:
        """C of "high word" where nothing is subtracted before the clamp."""
        return (1 << (6 + self.n)) + (1 << 6)


def interval(weights: _INT64, bias: int, low: int, high: int) -> tuple[int, int]:
    """Least and greatest accumulator of a row for inputs in [low, high]."""
    positive = int(weights[weights > 0].sum())
    negative = int(weights[weights < 0].sum())
    return (
        bias + low * positive + high * negative,
        bias + high * positive + low * negative,
    )


def output_range(layer: DenseLayer) -> tuple[int, int]:
    """Least and greatest value of a layer's rows, whatever they read."""
    least, greatest = layer.activation_min, layer.activation_max
    if layer.table is None:
        return least, greatest
    values = layer.table[least + 128 : greatest + 129]
    return int(values.min()), int(values.max())


def prove(layer: DenseLayer, row: int, low: int, high: int, allowed: frozenset[str]) -> Requantize:
    """The best kind of a row for inputs in [low, high].

    Args:
        layer: of the model.
        row: of the layer.
        low, high: the inputs' range.
        allowed: "halfword" and "high word" if they may be used.
    """
    least, greatest = interval(layer.weights[row].astype(np.int64), int(layer.bias[row]), low, high)
    m, n = int(layer.multipliers[row]), -int(layer.shifts[row])
    wide = max(-least, greatest) >= WIDE_LIMIT
    span = f"acc in [{least}, {greatest}], M = {m}, shift = {-n}"
    if wide or not 1 <= n <= 24:
        why = "|acc| may reach 2^23" if wide else "shift is outside [-24, -1]"
        return Requantize("exact", n, m, 0, 0, f"{span}: {why}", wide)
    relu = (layer.activation_min, layer.activation_max) == (0, 127) and layer.table is None
    signed = (layer.activation_min, layer.activation_max) == (-127, 127)
    if not relu and not signed:
        return Requantize("exact", n, m, 0, 0, f"{span}: an unusual clamp", False)
    ends = _critical(m, n, layer.activation_min, least, greatest)
    expected = np.clip(_contract(ends, m, n), layer.activation_min, layer.activation_max)
    points = f"{span}: equal at {len(ends)} accumulators around the steps and at both ends"
    if relu and "halfword" in allowed and 9 <= n <= 15:
        for scaled, fraction in _halfword_candidates(m, n):
            if np.array_equal(_halfword(ends, scaled, fraction), expected):
                text = f"{points}, M' = {scaled}, f = {fraction}"
                return Requantize("halfword", n, m, scaled, fraction, text, False)
    if "high word" in allowed:
        found = _high_word(ends, m, n, 0 if relu else -127)
        if found is not None and np.array_equal(found, expected):
            return Requantize("high word", n, m, 0, 0, points, False)
    return Requantize("exact", n, m, 0, 0, f"{span}: no faster method is proved", False)


def _contract(acc: _INT64, m: int, n: int) -> _INT64:
    z = (acc * m + (1 << 30)) >> 31
    return rounding_shift_right(z, np.asarray(n, np.int64))


def _critical(m: int, n: int, least_output: int, least: int, greatest: int) -> _INT64:
    """Accumulators where the contract's output steps, those before, and both ends."""
    outputs = np.arange(least_output + 1, 128, dtype=np.int64)
    # The least z that gives at least this output; ties go away from zero.
    z = (outputs << n) - (1 << (n - 1)) + (outputs <= 0)
    # z <= (acc*m + 2^30) >> 31  <=>  acc >= (z*2^31 - 2^30) / m; |z| < 2^31, so 63 bits do.
    steps = -(((1 << 30) - (z << 31)) // m)
    points = np.concatenate([steps - 1, steps])
    inside = points[(points >= least) & (points <= greatest)]
    return np.unique(np.append(inside, [least, greatest]))


def _halfword_candidates(m: int, n: int) -> list[tuple[int, int]]:
    scaled = (m + (1 << (n - 9) >> 1)) >> (n - 9)
    fraction = (1 << 38) / m
    found = []
    for off in (0, 1, -1, 2, -2, 3, -3, 4, -4):
        for f in (round(fraction), int(fraction), int(fraction) + 1):
            if 0 <= f <= 255 and scaled + off < 1 << 31 and (scaled + off, f) not in found:
                found.append((scaled + off, f))
    return found


def _halfword(acc: _INT64, scaled: int, fraction: int) -> _INT64:
    # |T| < 2^31 and M' < 2^31: r < 2^30 + 2^15, no wrap.
    r = ((256 * acc + fraction) * scaled + (HALFWORD_C << 32)) >> 32
    return np.asarray(np.clip(r >> 16, 0, 127), np.int64)


def _high_word(acc: _INT64, m: int, n: int, least: int) -> _INT64 | None:
    """As the code does it; None where r could wrap."""
    c = (1 << (6 + n)) + (1 << 6)
    if least == 0:
        r = (256 * acc * m + (c << 32)) >> 32
        if np.abs(r).max() >= 1 << 31:
            return None
        return np.asarray(np.clip(r >> (7 + n), 0, 127), np.int64)
    r = ((256 * acc * m + (c << 32)) >> 32) - ((acc < 0).astype(np.int64) << 7)
    # One less, for the clamp at -127, must not wrap either.
    if np.abs(r).max() + (1 << (7 + n)) >= 1 << 31:
        return None
    return np.asarray(np.clip(r >> (7 + n), -127, 127), np.int64)
