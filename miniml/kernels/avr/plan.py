"""Chooses a method for each row and writes the fastest program that fits."""

from __future__ import annotations

from collections.abc import Sequence

from miniml.errors import BudgetError
from miniml.kernels.avr import affine, loop
from miniml.kernels.avr.build import LayerChoice, build
from miniml.kernels.avr.group import Affines
from miniml.kernels.avr.rows import LayerRows, model_rows
from miniml.kernels.program import KernelOptions, KernelProgram
from miniml.model import QuantizedModel


def plan(model: QuantizedModel, options: KernelOptions) -> KernelProgram:
    """The fastest (or smallest) program for a model that fits into options.flash_bytes.

    Raises:
        BudgetError: not even the smallest program fits.
    """
    layers = model_rows(model)
    affines: list[Affines] = [
        {row.index: affine.search(row) for row in rows.rows} for rows in layers
    ]
    candidates = [
        build(model, layers, affines, [_loops(rows, quick) for rows in layers])
        for quick in (True, False)
    ]
    limit = options.flash_bytes
    smallest = min(candidates, key=lambda program: program.flash)
    fitting = [program for program in candidates if limit is None or program.flash <= limit]
    if not fitting:
        raise BudgetError(
            f"model {model.name}: its smallest kernel takes {smallest.flash} bytes of flash, "
            f"{limit} are left: use fewer or narrower layers"
        )
    if options.optimize == "flash":
        return smallest
    return min(fitting, key=lambda program: (program.worst_cycles, program.flash))


def _loops(rows: LayerRows, quick: bool) -> LayerChoice:
    groups: list[tuple[str, tuple[int, ...]]] = []
    for wide in (False, True):
        indices = [row.index for row in rows.rows if loop.is_wide(row) == wide]
        most = loop.most_rows(rows.layer.n_inputs, wide)
        groups += [("loop", part) for part in split(indices, most)]
    return LayerChoice(tuple(groups), quick)


def split(indices: Sequence[int], most: int) -> list[tuple[int, ...]]:
    """Groups of at most `most`, as equal as can be, the larger ones first."""
    count = -(-len(indices) // most)
    parts = []
    start = 0
    for number in range(count):
        size = len(indices) // count + (number < len(indices) % count)
        parts.append(tuple(indices[start : start + size]))
        start += size
    return parts
