"""Requantization without 64 bits: one multiplication of 16 or 24 by 24 bits, and its proof.

The output of a row, before its table, is a staircase with known thresholds. Within a window of
2^16 accumulators and on one side of zero it is the upper part of a16 * m + c, where a16 are the
lower 16 bits of the accumulator less a base. The products of the lowest bytes are left out: they
would add between 0 and `dropped`. So it is enough that, for every threshold t to the output k,

    a16(t) * m + c - dropped >= k * 2^S     and     a16(t - 1) * m + c < k * 2^S,

and the same at both ends of the window. Where three windows or more would be needed on one side,
one of 24 bits takes fewer cycles. Any m for which this can be met by each two constraints
has a c that meets all of them, as these are intervals on a line; it is proved in integers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from miniml.kernels.avr.rows import Row
from miniml.kernels.program import Int64Array

WINDOW = 1 << 16
MOST_WINDOWS = 6  # branches reach no further
_NO_LIMIT = 255


@dataclass(frozen=True)
class Window:
    """Accumulators less the base in [256^2 * third, ...): the third byte and what is added."""

    third: int
    constant: int


@dataclass(frozen=True, eq=False)
class Affine:
    """A proved multiplication.

    Attributes:
        base: taken off the accumulator; 0 where both signs are served.
        multiplier: of 24 bits.
        shift: S, the bits that are cut off below.
        bottom: the lowest byte of the product that is summed, 1 or 2.
        positive: windows from `base` upwards; the last one may pass the last threshold.
        negative: windows from -1 downwards.
        fix: outputs above the highest one must be cut to it.
        wide: all 24 bits are multiplied; then there is one window, up to its third byte.
        other: one that takes fewer registers, or None.
    """

    base: int
    multiplier: int
    shift: int
    bottom: int
    positive: tuple[Window, ...]
    negative: tuple[Window, ...]
    fix: bool
    wide: bool = False
    other: Affine | None = None

    def narrow(self) -> Affine | None:
        """One that takes at most six registers besides the sum; None: there is none."""
        return self.other if self.wide and self.top - self.bottom == 4 else self

    @property
    def beyond(self) -> int:
        """The first accumulator above all windows."""
        return self.base + (self.positive[-1].third + 1) * WINDOW

    @property
    def top(self) -> int:
        """The highest byte of the product that is summed."""
        return (self.shift + 7) // 8

    @property
    def proof(self) -> str:
        """One line."""
        windows = len(self.positive) + len(self.negative)
        bits = 24 if self.wide else 16
        return f"a{bits} * {self.multiplier} >> {self.shift} in {windows} windows: all thresholds"


@dataclass(frozen=True, eq=False)
class _Side:
    """Constraints of one window: at[i] * m + c - dropped >= least[i] * 2^S, and below."""

    third: int
    at: Int64Array
    least: Int64Array
    below_at: Int64Array
    below: Int64Array


def search(row: Row) -> Affine | None:
    """The cheapest multiplication that can be proved for a row; None: there is none."""
    if not -(1 << 22) < row.low <= row.high < 1 << 22:
        return None
    lowest, highest = row.reach
    reached = (row.thresholds > row.low) & (row.thresholds <= row.high)
    outputs = np.flatnonzero(reached) + row.minimum + 1
    thresholds = row.thresholds[reached]
    if not len(outputs):
        return None
    # What passes the highest output is cut by a comparison without sign.
    limit = _NO_LIMIT if highest >= 0 else highest
    options: list[tuple[list[_Side], list[_Side], bool]] = []
    base = int(thresholds[0]) if thresholds[0] >= 0 else 0
    if thresholds[0] >= 0:
        exact = _sides(thresholds - base, outputs, row.high - base, lowest, highest)
        if row.high - base < len(exact) * WINDOW:
            options.append((exact, [], False))
        open_ended = _sides(thresholds - base, outputs, row.high - base, lowest, limit)
        options.append((open_ended, [], True))
    else:
        up = thresholds > 0
        if not up.any():
            return None
        positive = _sides(thresholds[up], outputs[up], int(thresholds[-1]), 0, highest)
        options.append((positive, _sides_down(thresholds[~up], outputs[~up]), False))
    found = None
    for positive, negative, fix in options:
        if len(positive) + len(negative) <= MOST_WINDOWS:
            found = found or _search_shifts(positive, negative, base, fix)
    if thresholds[0] >= 0 and (found is None or len(found.positive) > 2):
        last = int(thresholds[-1]) - base >> 16
        end = min(row.high - base, (last + 1) * WINDOW - 1)
        side = _side(last, thresholds - base, outputs, 0, end, lowest, limit, wide=True)
        wide = _search_shifts([side], [], base, True, wide=True)
        found = found if wide is None else replace(wide, other=found)
    return found


def _sides(
    thresholds: Int64Array, outputs: Int64Array, end: int, at_zero: int, limit: int
) -> list[_Side]:
    """Windows from 0 up to the last threshold; outputs at most `limit` up to `end`."""
    return [
        _side(third, thresholds, outputs, third * WINDOW, end, at_zero, limit)
        for third in range((int(thresholds[-1]) >> 16) + 1)
    ]


def _sides_down(thresholds: Int64Array, outputs: Int64Array) -> list[_Side]:
    """Windows from -1 down to the first threshold."""
    end = int(thresholds[0])
    return [
        _side(third, thresholds, outputs, max(end, third * WINDOW), -1, 0, 0)
        for third in range(-1, (end >> 16) - 1, -1)
    ]


def _side(
    third: int,
    thresholds: Int64Array,
    outputs: Int64Array,
    first: int,
    end: int,
    at_zero: int,
    limit: int,
    *,
    wide: bool = False,
) -> _Side:
    final = min(end, third * WINDOW + WINDOW - 1)
    before = outputs[thresholds <= first]
    at_first = int(before[-1]) if len(before) else at_zero
    inside = (thresholds > first) & (thresholds <= final)
    t, k = thresholds[inside], outputs[inside]
    reached = int(k[-1]) if len(k) else at_first
    ceiling = limit if limit == _NO_LIMIT and final >= thresholds[-1] else reached
    origin = 0 if wide else third * WINDOW
    return _Side(
        third,
        np.array([first - origin, *(t - origin)], np.int64),
        np.array([at_first, *k], np.int64),
        np.array([*(t - 1 - origin), final - origin], np.int64),
        np.array([*k, ceiling + 1], np.int64),
    )


def _search_shifts(
    positive: list[_Side], negative: list[_Side], base: int, fix: bool, *, wide: bool = False
) -> Affine | None:
    """The cheapest cut of the product for which constants are found; each is proved."""
    sides = positive + negative
    slopes = _slopes(sides)
    if slopes is None:
        return None
    for shift, bottom in _CUTS:
        low, high = (slope * 2.0**shift for slope in slopes)
        for multiplier in _candidates(int(low) + 1, min(int(high), (1 << 24) - 1)):
            windows = []
            for side in sides:
                constant = _constant(side, multiplier, shift, bottom)
                if constant is None:
                    break
                windows.append(Window(side.third, constant))
            else:
                up, down = tuple(windows[: len(positive)]), tuple(windows[len(positive) :])
                return Affine(base, multiplier, shift, bottom, up, down, fix, wide)
    return None


def _cost(cut: tuple[int, int]) -> int:
    """Cycles by which cuts (shift, bottom) differ, about."""
    shift, bottom = cut
    places = -shift % 8
    return 2 * min(places, 8 - places) + 4 * ((shift + 7) // 8) + 3 * (2 - bottom)


_CUTS = sorted(((shift, bottom) for shift in range(20, 41) for bottom in (1, 2)), key=_cost)


def _slopes(sides: list[_Side]) -> tuple[float, float] | None:
    """Between these lies multiplier / 2^shift, or else two constraints exclude each other."""
    low, high = 0.0, float(1 << 24)
    for side in sides:
        run = side.at[:, np.newaxis] - side.below_at[np.newaxis, :]
        rise = (side.least[:, np.newaxis] - side.below[np.newaxis, :]).astype(float)
        if (rise[run == 0] > 0).any():
            return None
        low = max(low, (rise[run > 0] / run[run > 0]).max(initial=0.0))
        high = min(high, (rise[run < 0] / run[run < 0]).min(initial=high))
    return (low, high) if low < high else None


def _candidates(low: int, high: int) -> list[int]:
    """A few multipliers between both: multiples of 256 first, for they save a product."""
    if low > high:
        return []
    coarse = [256 * (((low + high) // 2 + 128) // 256)]
    spread = [low + (high - low) * part // 16 for part in (8, 7, 9, 6, 10, 5, 11, 4, 12, 2, 14)]
    return [m for m in coarse if low <= m <= high] + spread


def _dropped(m: int, bottom: int) -> int:
    """At most what is left out: the lowest product; with bottom = 2 lower bytes of two more."""
    return 255 * (m & 255) + (2 * 255 * 256 if bottom == 2 else 0)


def _constant(side: _Side, m: int, shift: int, bottom: int) -> int | None:
    """c of one window, proved in integers; None where there is none."""
    unit = 1 << 8 * bottom
    low = int((side.least * (1 << shift) - side.at * m).max()) + _dropped(m, bottom)
    high = int((side.below * (1 << shift) - side.below_at * m).min()) - 1
    constant = (low + high) // 2 // unit * unit
    if not low <= constant <= high:
        constant += unit
    return constant if low <= constant <= high else None
