"""Picks a method for every row of a model and writes the program."""

from __future__ import annotations

from miniml.errors import BudgetError
from miniml.kernels.cortex_m0plus.program_text import Program, write_program
from miniml.kernels.program import KernelOptions, KernelProgram
from miniml.model import QuantizedModel


def plan(model: QuantizedModel, options: KernelOptions) -> KernelProgram:
    """The program of a model for the Cortex-M0+.

    Raises:
        BudgetError: not even the smallest program fits into options.flash_bytes.
    """
    program = write_program(model, options.placement)
    _check(program, options)
    return program.kernel


def _check(program: Program, options: KernelOptions) -> None:
    if options.flash_bytes is not None and program.kernel.flash > options.flash_bytes:
        raise BudgetError(
            f"the smallest kernels take {program.kernel.flash} bytes of flash, not "
            f"{options.flash_bytes}: use fewer or narrower layers"
        )
