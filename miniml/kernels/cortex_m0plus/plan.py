"""Picks a method for every row of a model and writes the program."""

from __future__ import annotations

from miniml.errors import BudgetError
from miniml.kernels.cortex_m0plus.bounds import layer_bounds
from miniml.kernels.cortex_m0plus.layer import fastest, portable
from miniml.kernels.cortex_m0plus.program_text import write_program
from miniml.kernels.program import KernelOptions, KernelProgram
from miniml.model import QuantizedModel

PACKED_SUMS = "packed sums"
# Input words beyond these are out of an SP-relative load's reach, whatever else the frame holds.
_MOST_COLUMNS = 832


def plan(model: QuantizedModel, options: KernelOptions) -> KernelProgram:
    """The program of a model for the Cortex-M0+.

    Raises:
        BudgetError: not even the smallest program fits into options.flash_bytes.
    """
    bounds = layer_bounds(model)
    if (
        _may(options, PACKED_SUMS)
        and max(layer.n_inputs for layer in model.layers) <= _MOST_COLUMNS
    ):
        choices = [fastest(layer, bound) for layer, bound in zip(model.layers, bounds, strict=True)]
    else:
        choices = [portable(layer) for layer in model.layers]
    program = write_program(model, choices, options.placement)
    if options.flash_bytes is not None and program.flash > options.flash_bytes:
        raise BudgetError(
            f"the smallest kernels take {program.flash} bytes of flash, not "
            f"{options.flash_bytes}: use fewer or narrower layers"
        )
    return program


def _may(options: KernelOptions, method: str) -> bool:
    return options.methods is None or method in options.methods
