"""Which rows share which 32-bit words: the layout of packed sums.

A row whose accumulator spans b bits is kept as v = accumulator + offset in [0, 2^b), and takes b
bits of a group of words; sums are modulo 2^32. A row may straddle two words: the first holds
its p low bits on top (v * 2^(32-p) modulo 2^32), the second holds v * 2^c; once the low bits are
known and taken off, its b - p high bits stand alone at bit c + p, and whatever lies below bit
c + p belongs to other rows. Where no other row fills the bits below, the high bits go to the
top of the word, under them the low bits of the next row, whose high bits run into them and
are taken off when it is known ("mixed").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

MAX_WORDS = 6  # of a group: sums stay in R8 to R12 and LR
WORD_BITS = 32


@dataclass(frozen=True)
class Field:
    """Where a row's v lies.

    Attributes:
        row: of the layer.
        bits: of v.
        word: the (first) word.
        shift: v * 2^shift is added to it.
        low_bits: of a straddling row: what the first word shows; else `bits`.
        next_shift: of a straddling row: v * 2^next_shift is added to the next word.
    """

    row: int
    bits: int
    word: int
    shift: int
    low_bits: int
    next_shift: int = 0

    @property
    def straddles(self) -> bool:
        """Lies in two words."""
        return self.low_bits < self.bits

    @property
    def high_bits(self) -> int:
        """Of a straddling row, in its second word."""
        return self.bits - self.low_bits


@dataclass
class Word:
    """One word of a group.

    Attributes:
        full: rows that lie in it alone.
        incoming: the row whose high bits it holds.
        outgoing: the row whose low bits it holds.
        mixed: the outgoing row's high bits run into the incoming row's.
    """

    full: list[Field] = field(default_factory=list)
    incoming: Field | None = None
    outgoing: Field | None = None
    mixed: bool = False


def lay_out(rows: Sequence[tuple[int, int]], count: int) -> list[Word]:
    """Rows (row, bits) into `count` words, filled in order.

    Raises:
        ValueError: they don't fit.
    """
    words = [Word() for _ in range(count)]
    pending = list(rows)
    arriving: tuple[int, int, int] | None = None  # row, bits, low bits
    for index, word in enumerate(words):
        arriving_bits = 0 if arriving is None else arriving[1] - arriving[2]
        free, used = WORD_BITS - arriving_bits, 0
        while pending and pending[0][1] <= free - used:
            row, bits = pending.pop(0)
            word.full.append(Field(row, bits, index, used, bits))
            used += bits
        clean = arriving is None or used >= arriving[2]
        if arriving is not None:
            row, bits, low_bits = arriving
            at = used - low_bits if clean else WORD_BITS - bits
            first = words[index - 1].outgoing
            assert first is not None
            word.incoming = Field(row, bits, index - 1, first.shift, low_bits, at)
            words[index - 1].outgoing = word.incoming
            arriving = None
        left = free - used
        if pending and left > 0 and index + 1 < count:
            row, bits = pending.pop(0)
            shift = WORD_BITS - left if clean else used
            word.outgoing = Field(row, bits, index, shift, left)
            word.mixed = not clean
            arriving = (row, bits, left)
    if pending or arriving is not None:
        raise ValueError("the rows don't fit into the words")
    return words


def rows_in(words: Sequence[Word]) -> list[int]:
    """Rows that these words complete, ascending."""
    found = [item.row for word in words for item in word.full]
    return sorted(found + [word.incoming.row for word in words if word.incoming is not None])


def group_sizes(words: Sequence[Word], most: int = MAX_WORDS) -> list[int]:
    """Consecutive words in as few groups as there can be, as equal as they can be.

    No group ends with a mixed word: the row that it waits for must be in the same group.
    """
    # best[n]: fewest groups for the first n words, then the least difference in size.
    best: dict[int, tuple[int, int, tuple[int, ...]]] = {0: (0, 0, ())}
    even = len(words) / max(-(-len(words) // most), 1)
    for end in range(1, len(words) + 1):
        if words[end - 1].mixed:
            continue
        ways = [
            (best[start][0] + 1, best[start][1] + abs(round(4 * (end - start - even))), start)
            for start in range(max(0, end - most), end)
            if start in best
        ]
        if ways:
            count, unevenness, start = min(ways)
            best[end] = (count, unevenness, (*best[start][2], end - start))
    if len(words) not in best:
        raise ValueError("a run of mixed words is longer than a group")
    return list(best[len(words)][2])


def best_layout(rows: Sequence[tuple[int, int]], count: int) -> tuple[list[Word], list[int]]:
    """The cheapest of some orders of the rows (row, bits): its words and group sizes."""
    rng = np.random.default_rng(0)
    ordered = sorted(rows, key=lambda item: item[1])
    tried = [list(rows), ordered, ordered[::-1]]
    tries = 0 if count == 1 else min(_MOST_TRIES, _TRIES // len(rows))
    tried += [[rows[i] for i in rng.permutation(len(rows))] for _ in range(tries)]
    best: tuple[float, list[Word], list[int]] | None = None
    for order in tried:
        try:
            words = lay_out(order, count)
            sizes = group_sizes(words)
        except ValueError:
            continue
        cost = _cost(words, sizes)
        if best is None or cost < best[0]:
            best = cost, words, sizes
    if best is None:
        return best_layout(rows, count + 1)
    return best[1], best[2]


_TRIES, _MOST_TRIES = 2000, 60  # orders: the first is divided by the number of rows
# Instructions of decoding more than a row that lies in one word.
_STRADDLE, _MIXED, _NEXT_GROUP, _PASS, _FAR = 5.0, 9.0, 4.0, 30.0, 1.0


def _cost(words: Sequence[Word], sizes: Sequence[int]) -> float:
    cost = _PASS * len(sizes) + _MIXED * sum(word.mixed for word in words)
    cost += _STRADDLE * sum(word.incoming is not None for word in words)
    end = 0
    for size in sizes:
        start, end = end, end + size
        cost += _NEXT_GROUP * (words[end - 1].outgoing is not None)
        rows = rows_in(words[start:end])
        cost += _FAR * ((rows[-1] - rows[0]) // 32 if rows else 0)
    return cost
