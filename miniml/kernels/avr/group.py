"""A group: rows of a layer that are computed together, by one method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from miniml.kernels.avr.affine import Affine
from miniml.kernels.avr.code import Code
from miniml.kernels.avr.finish import Constants, Finished, Layer, Sum, finish
from miniml.kernels.avr.rows import LayerRows

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
        offset: address of -128 * sum(x') of `loop`.
        products: address of the tiles' starts of `winograd`; empty: nobody reads them again.
        takes_in: label of the group that takes in the layer's inputs; empty: none.
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
    offset: str
    products: str
    takes_in: str
    patterns: frozenset[Signs]
    constants: Constants
    routines: dict[str, Code]


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
    finished = finish(last, sums, free, context.names, context.constants, label)
    code.repeat(last, 0)
    indices = tuple(one.row.index for one in sums)
    return Group(code, cycles, finished, method, indices, proofs)
