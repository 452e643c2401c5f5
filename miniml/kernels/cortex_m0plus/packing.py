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
    """Rows (row, bits) into `count` words, filled in order; their bits must fit.

    Raises:
        ValueError: they don't.
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


def fields_of(words: Sequence[Word]) -> list[Field]:
    """Every row once."""
    found = [item for word in words for item in word.full]
    return found + [word.incoming for word in words if word.incoming is not None]


def share_words(bits: Sequence[int], sizes: Sequence[int]) -> list[list[int]] | None:
    """Indices of rows for groups of `sizes` words; None where no way was found.

    Each group in turn takes the rows that fill it best (subset sum).
    """
    left = list(range(len(bits)))
    groups = []
    for number, size in enumerate(sizes):
        room = size * WORD_BITS
        last = number + 1 == len(sizes)
        chosen = left if last else _fill(left, bits, room)
        if sum(bits[index] for index in chosen) > room:
            return None
        groups.append(sorted(chosen))
        left = [index for index in left if index not in set(chosen)]
    return groups


def _fill(left: Sequence[int], bits: Sequence[int], room: int) -> list[int]:
    # best[s]: rows whose bits sum to s; each row is offered once.
    best: dict[int, tuple[int, ...]] = {0: ()}
    for index in left:
        for total, rows in list(best.items()):
            grown = total + bits[index]
            if grown <= room and grown not in best:
                best[grown] = (*rows, index)
        if room in best:
            break
    return list(best[max(best)])


def group_sizes(total: int, most: int = MAX_WORDS) -> list[int]:
    """`total` words in as few groups as there can be, as equal as they can be."""
    count = -(-total // most)
    return [total // count + (number < total % count) for number in range(count)]


def pack(bits: Sequence[int], most: int = MAX_WORDS) -> list[tuple[int, list[int]]]:
    """Groups (words, indices of rows) with as few words as were found."""
    if not bits:
        return []
    total = -(-sum(bits) // WORD_BITS)
    while True:
        sizes = group_sizes(total, most)
        groups = share_words(bits, sizes)
        if groups is not None:
            return [(size, rows) for size, rows in zip(sizes, groups, strict=True) if rows]
        total += 1
