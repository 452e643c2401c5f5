"""Winograd's inner product on tiles of eight columns: what is added to which input, and proofs.

    (xa + wb) * (xb + wa) = xa * wa + xb * wb + xa * xb + wa * wb

Two multiply-accumulates for one multiplication. With x in [0, 127], x + w fits a byte: unsigned
where w >= 0, else signed. The sum of xa * xb over a tile is the same for all rows. A tile's sum is
kept modulo 2^16; its true interval is at most 2^16 wide if sum|w| <= 516, so it can be added to a
row's 24 bits as a number without sign, once it has been moved into [0, 2^16).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

TILE = 8
START = 0x8000  # what a tile's sum starts with, less the sum of xa * xb


@dataclass(frozen=True)
class Tile:
    """Columns of a tile: an even number of registers, the last of them 0 if columns are odd."""

    number: int
    first: int
    columns: int

    @property
    def registers(self) -> int:
        """Registers, a multiple of two."""
        return self.columns + self.columns % 2

    def weights(self, row: Sequence[int]) -> tuple[int, ...]:
        """A row's weights in the tile, a register each."""
        found = tuple(row[self.first : self.first + self.columns])
        return found + (0,) * (self.registers - self.columns)


def tiles(n_inputs: int) -> list[Tile]:
    """All columns, eight at a time."""
    return [
        Tile(number, first, min(TILE, n_inputs - first))
        for number, first in enumerate(range(0, n_inputs, TILE))
    ]


@dataclass(frozen=True)
class TileRow:
    """How a row's part in a tile is computed.

    Attributes:
        weights: as multiplied in the tile, a register each; negated if `negative`.
        negative: whether the tile's sum is taken off the row's.
        lift: times 256 is added to the sum to bring it into [0, 2^16).
        extra: (register, weight) products that are added apart.
        low, high: interval of the tile's sum after the lift, less `wrapped` * 2^16.
        constant: what the row's sum has too much for this tile.
    """

    weights: tuple[int, ...]
    negative: bool
    lift: int
    extra: tuple[tuple[int, int], ...]
    low: int
    high: int
    constant: int

    @property
    def signs(self) -> tuple[bool, ...]:
        """Which operands are signed: that of a register is the sign of its partner's weight."""
        return tuple(self.weights[register ^ 1] < 0 for register in range(len(self.weights)))


@lru_cache(maxsize=1 << 16)
def tile_row(weights: tuple[int, ...], x_high: int, *, negative: bool) -> TileRow:
    """A row's part in a tile for inputs in [0, x_high]."""
    kept = [-w if negative else w for w in weights]
    extra: list[tuple[int, int]] = []
    while x_high * sum(map(abs, kept)) > 65535 - 255:
        register = max(range(len(kept)), key=lambda r: abs(kept[r]))
        too_much = -(-(x_high * sum(map(abs, kept)) - 65280) // x_high)
        taken = min(abs(kept[register]), too_much) * (1 if kept[register] > 0 else -1)
        kept[register] -= taken
        extra.append((register, -taken if negative else taken))
    products = sum(a * b for a, b in zip(kept[::2], kept[1::2], strict=True))
    low = START + products + x_high * sum(w for w in kept if w < 0)
    high = START + products + x_high * sum(w for w in kept if w > 0)
    lift = 0 if low >> 16 == high >> 16 else -(low >> 8)
    wrapped = low + 256 * lift >> 16 << 16
    low, high = low + 256 * lift - wrapped, high + 256 * lift - wrapped
    assert 0 <= low <= high < 1 << 16
    constant = START + products + 256 * lift - wrapped
    return TileRow(
        tuple(kept), negative, lift, tuple(extra), low, high, -constant if negative else constant
    )
