"""Chooses a method for each row: the fastest program that fits, or the smallest.

From the fastest choice for every layer downwards, the step that costs the fewest cycles for a byte
is taken until the program fits. Flash that is left then goes into tables of cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from miniml.errors import BudgetError, UsageError
from miniml.kernels.avr import affine
from miniml.kernels.avr.build import LayerChoice, build
from miniml.kernels.avr.estimate import LayerEstimate, shared_patterns
from miniml.kernels.avr.fill import add_tables
from miniml.kernels.avr.group import Affines
from miniml.kernels.avr.rows import LayerRows, model_rows
from miniml.kernels.avr.search import Options, search
from miniml.kernels.program import KernelOptions, KernelProgram
from miniml.model import QuantizedModel

METHODS = ("loop", "tall", "block", "straight", "winograd", "shared", "multiply", "table")
_TRIES = 8
_SRAM = 1536  # bytes of 2,048 beyond which fewer are worth cycles
_LEAST_STEP = 48  # bytes that a target is lowered by after a miss


def plan(model: QuantizedModel, options: KernelOptions) -> KernelProgram:
    """The fastest (or smallest) program for a model that fits into options.flash_bytes.

    Methods for sums are "loop" (always there), "tall", "block", "straight", "winograd" and, for
    its products, "shared"; for requantization "multiply" and "table", besides the exact routine.
    Where SRAM would pass options.sram_bytes (1,536 if None), "winograd" is left out if that helps.

    Raises:
        BudgetError: not even the smallest program fits.
        UsageError: options.methods has a name that isn't in METHODS.
    """
    methods = frozenset(METHODS if options.methods is None else options.methods)
    if not methods <= set(METHODS):
        unknown = ", ".join(sorted(methods - set(METHODS)))
        raise UsageError(f"no kernel method {unknown} for AVR: there are {', '.join(METHODS)}")
    layers = model_rows(model)
    limit = _SRAM if options.sram_bytes is None else options.sram_bytes
    program = _plan(model, layers, options, methods)
    # The tiles of "winograd" are a second copy of the inputs.
    if program.sram > limit and "winograd" in methods:
        other = _plan(model, layers, options, methods - {"winograd", "shared"})
        program = min(program, other, key=lambda one: one.sram)
    return program


def _plan(
    model: QuantizedModel,
    layers: Sequence[LayerRows],
    options: KernelOptions,
    methods: frozenset[str],
) -> KernelProgram:
    """Whatever SRAM it takes."""
    affines: list[Affines] = [
        {row.index: affine.search(row) if "multiply" in methods else None for row in rows.rows}
        for rows in layers
    ]
    estimates = [
        LayerEstimate(model.name, rows, found) for rows, found in zip(layers, affines, strict=True)
    ]

    def written(choices: Sequence[LayerChoice], share: int = 0) -> KernelProgram:
        counts = [e.patterns(choice) for e, choice in zip(estimates, choices, strict=True)]
        return build(model, layers, affines, choices, shared_patterns(counts, share))

    limit = options.flash_bytes
    if options.optimize == "cycles":
        target = limit
        for _ in range(_TRIES):
            found = search(estimates, methods, target)
            if found is None:
                break
            choices, share = found
            program = written(choices, share)
            if limit is None or program.flash <= limit:
                if "table" not in methods:
                    return program
                return add_tables(program, limit, estimates, choices, partial(written, share=share))
            assert target is not None
            target -= max(program.flash - limit, _LEAST_STEP)
    others = [written(choices) for choices in Options(estimates, methods).smallest()]
    smallest = min(others, key=lambda program: program.flash)
    if limit is not None and smallest.flash > limit:
        raise BudgetError(
            f"model {model.name}: its smallest kernel takes {smallest.flash} bytes of flash, "
            f"{limit} are left: use fewer or narrower layers"
        )
    if options.optimize == "flash":
        return smallest
    fitting = [program for program in others if limit is None or program.flash <= limit]
    return min(fitting, key=lambda program: program.worst_cycles)
