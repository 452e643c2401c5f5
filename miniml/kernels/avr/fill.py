"""What to do with flash that is left: tables of cells, where they save most cycles for a byte."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from miniml.kernels.avr.build import LayerChoice, Parts, add_layer
from miniml.kernels.avr.estimate import LayerEstimate
from miniml.kernels.program import KernelProgram

_CODE_SAVED = 36  # bytes of code that a table takes less than a multiplication, about


def add_tables(
    program: KernelProgram,
    limit: int | None,
    estimates: Sequence[LayerEstimate],
    choices: Sequence[LayerChoice],
    written: Callable[[Sequence[LayerChoice]], KernelProgram],
) -> KernelProgram:
    """The program with tables for as many rows as fit.

    Args:
        program: without tables.
        limit: bytes of flash; None: no limit.
        estimates, choices: of each layer.
        written: makes a program of choices.
    """
    worth = []
    for number, (estimate, choice) in enumerate(zip(estimates, choices, strict=True)):
        for row, size, gain in _worth(estimate, choice):
            worth.append((gain / max(1, size), number, row, size))
    worth.sort(key=lambda one: (-one[0], one[1:]))
    left = None if limit is None else limit - program.flash
    while True:
        taken: list[set[int]] = [set() for _ in choices]
        room = left
        for _, number, row, size in worth:
            if room is None or size <= room:
                taken[number].add(row)
                room = None if room is None else room - size
        if not any(taken):
            return program
        fuller = written(
            [
                replace(choice, tables=frozenset(rows))
                for choice, rows in zip(choices, taken, strict=True)
            ]
        )
        if limit is None or fuller.flash <= limit:
            return fuller
        assert left is not None
        left -= fuller.flash - limit


def _worth(estimate: LayerEstimate, choice: LayerChoice) -> list[tuple[int, int, int]]:
    """Row, bytes and cycles saved of each table that can be had and saves cycles."""
    rows = estimate.rows
    every = frozenset(row.index for row in rows.rows)
    found = []
    for tables in (frozenset[int](), every):
        parts = Parts(estimate.name, frozenset())
        add_layer(parts, rows, estimate.affines, replace(choice, tables=tables), last=True)
        found.append(parts)
    without, tabled = found
    sizes = {
        int(label.rsplit("_", 1)[1]): len(content)
        for label, content in tabled.constants.content.items()
        if "_cells_" in label
    }
    worth = []
    for index, size in sizes.items():
        row = rows.rows[index]
        gain = without.cycles[0].paths[index].worst(row) - tabled.cycles[0].paths[index].worst(row)
        if gain > 0:
            worth.append((index, size - _CODE_SAVED, gain))
    return worth
