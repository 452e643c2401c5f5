"""A group: rows of a layer that are computed together, by one method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from miniml.kernels.avr.affine import Affine
from miniml.kernels.avr.code import Code
from miniml.kernels.avr.finish import Constants, Finished, Layer, Sum, finish
from miniml.kernels.avr.requantize import Shared
from miniml.kernels.avr.rows import LayerRows
from miniml.kernels.avr.tiles import TILE, Tile

Affines = dict[int, Affine | None]
Signs = tuple[bool, ...]


@dataclass(frozen=True, eq=False)
class Context:
    """What the methods of a layer share.

    Attributes:
        rows: the layer.
        affines: by row; None: the exact routine.
        tables: rows that may have a table of cells.
        names: of what finish uses.
        name: the model's, prefix of all labels.
        prefix: of the layer's own labels.
        buffer: address of the layer's inputs.
        shifted: whether these are x + 128 there (`loop`, `tall`).
        offset: address of -128 * sum(x') of `loop`.
        products: address of what `winograd` keeps of tiles; empty: nobody reads it again. In the
            first layer each tile's inputs and its start, else the starts alone.
        takes_in: label of the group that takes in the layer's inputs; empty: none.
        short: whether rows share the multiplication of their requantization.
        patterns: signs of operands whose products `winograd` calls instead of writing them out.
        constants: grow.
        routines: subroutines, by label; grow.
    """

    rows: LayerRows
    affines: Affines
    tables: frozenset[int]
    names: Layer
    name: str
    prefix: str
    buffer: str
    shifted: bool
    offset: str
    products: str
    takes_in: str
    short: bool
    patterns: frozenset[Signs]
    constants: Constants
    routines: dict[str, Code]

    def start(self, tile: Tile) -> str:
        """Address of the start of a tile's sum."""
        if self.rows.number == 1:
            return f"{self.products} + {(TILE + 2) * tile.number + tile.columns}"
        return f"{self.products} + {2 * tile.number}"

    def input(self, tile: Tile, column: int) -> str:
        """Address of a tile's input, clamped."""
        if self.rows.number == 1 and self.products:
            return f"{self.products} + {(TILE + 2) * tile.number + column}"
        return f"{self.buffer} + {tile.first + column}"


@dataclass(frozen=True, eq=False)
class Group:
    """Code of a group, with the cycles of all but its rows' paths."""

    code: Code
    cycles: int
    finished: Finished
    method: str
    indices: tuple[int, ...]
    proofs: tuple[str, ...]


Builder = Callable[[Context, tuple[int, ...], str], Group]


def narrow(affine: Affine | None) -> Affine | None:
    """For methods that leave few registers."""
    return None if affine is None else affine.narrow()


def end_group(
    context: Context,
    code: Code,
    sums: list[Sum],
    free: list[int],
    label: str,
    method: str,
    proofs: tuple[str, ...],
) -> Group:
    """Append the rows' requantization."""
    cycles = code.cycles
    last = Code()
    shared = Shared(f"{context.name}_times", context.routines) if context.short else None
    finished = finish(last, sums, free, context.names, context.constants, label, shared)
    code.repeat(last, 0)
    indices = tuple(one.row.index for one in sums)
    return Group(code, cycles, finished, method, indices, proofs)
