"""Which kernels a board gets: the planner of its core, and what the planner may spend."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
from functools import lru_cache

import numpy as np

from miniml.boards import Board
from miniml.errors import BudgetError
from miniml.kernels.program import KernelOptions, KernelProgram, Placement
from miniml.model import QuantizedModel
from miniml.settings import CodeSettings

# The module of each core; imported when it is needed, since none needs the others.
PLANNERS: dict[str, str] = {
    "avr": "miniml.kernels.avr",
    "cortex-m4": "miniml.kernels.cortex_m4",
    "cortex-m0plus": "miniml.kernels.cortex_m0plus",
}
# Flash of sketch and link without the model, as the offline kit builds them, rounded up
# (docs/KERNELS.md has the measurement).
FIRMWARE_FLASH = {"avr": 8 * 1024, "cortex-m4": 16 * 1024, "cortex-m0plus": 16 * 1024}
# Kernels and weights that run from SRAM may take this share of it.
SRAM_SHARE = 0.5
# Of the RP2040 (datasheet, 2.6.3), in bytes.
XIP_CACHE = 16 * 1024


def kernels_for(model: QuantizedModel, board: Board, code: CodeSettings) -> KernelProgram | None:
    """The assembly of a model for a board; None: the portable kernel serves it.

    Where not even the smallest program fits into half of what is left, it may take all of it, and
    where that doesn't suffice, the portable kernel runs the model.

    Args:
        model: any quantized model.
        board: its core, its room, and its mode, which must be int8.
        code: [code] of model.toml.

    Raises:
        BudgetError: no method fits into [code] flash_bytes.
    """
    if board.mode != "int8" or code.kernels == "portable" or board.core not in PLANNERS:
        return None
    limit = flash_limit(board, code)
    try:
        check_room(model, board, limit)
        return _placed(model, board, code, limit)
    except BudgetError:
        if code.flash_bytes_of(board.name) is not None:
            raise
    everything = dataclasses.replace(code, optimize="flash")
    limit = flash_limit(board, everything)
    try:
        check_room(model, board, limit)
        return _placed(model, board, everything, limit)
    except BudgetError:
        return None


def check_room(model: QuantizedModel, board: Board, limit: int) -> None:
    """Refuse what no planner can serve before it proves thousands of rows.

    No method takes less than a byte of flash for a weight that isn't 0, and every one has the
    values of a layer in SRAM.

    Raises:
        BudgetError: with what is needed at least, and what is there.
    """
    weights = sum(int(np.count_nonzero(layer.weights)) for layer in model.layers)
    values = max(model.widths)
    for what, needed, there in (
        ("flash for weights", weights, limit),
        ("SRAM for a layer's values", values, board.sram_bytes),
    ):
        if needed > there:
            raise BudgetError(
                f"model {model.name} needs {needed:,} bytes of {what} on {board.name}, "
                f"{there:,} are left: use fewer or narrower layers"
            )


def flash_limit(board: Board, code: CodeSettings) -> int:
    """Bytes of flash that kernels may take: half of what is left for balanced, else all of it."""
    given = code.flash_bytes_of(board.name)
    if given is not None:
        return given
    left = max(board.flash_bytes - FIRMWARE_FLASH[board.core], 0)
    return left // 2 if code.optimize == "balanced" else left


def _placed(model: QuantizedModel, board: Board, code: CodeSettings, limit: int) -> KernelProgram:
    options = KernelOptions(limit, "flash" if code.optimize == "flash" else "cycles")
    if board.core == "avr":
        return plan(board.core, model, options)
    if code.placement == "flash":
        return _in_flash(model, board, options)
    if code.placement == "sram":
        return plan(board.core, model, dataclasses.replace(options, placement="sram"))
    share = int(SRAM_SHARE * board.sram_bytes)
    # On the Cortex-M4 code comes fastest through the ART, and weights from SRAM don't wait for it;
    # where they don't fit, code from SRAM at least leaves the flash to them
    # (docs/KERNELS_CORTEX_M4.md has the figures). On the RP2040 SRAM serves both without a wait.
    placements: tuple[Placement, ...] = ("sram",)
    if board.core == "cortex-m4":
        placements = ("constants", "code")
    for placement in placements:
        held = dataclasses.replace(options, placement=placement)
        with contextlib.suppress(BudgetError):
            program = plan(board.core, model, held)
            if program.sram <= share:
                return program
            room = min(limit, share)
            if board.core == "cortex-m0plus":
                held = dataclasses.replace(held, flash_bytes=room)
            program = plan(board.core, model, dataclasses.replace(held, sram_bytes=share))
            if program.sram <= share:
                return program
    return _in_flash(model, board, options)


def _in_flash(model: QuantizedModel, board: Board, options: KernelOptions) -> KernelProgram:
    program = plan(board.core, model, options)
    if board.core == "cortex-m0plus" and program.flash > XIP_CACHE:
        # What streams through the cache waits for the flash: a byte a weight waits least.
        with contextlib.suppress(BudgetError):
            return plan(board.core, model, dataclasses.replace(options, methods=("SWAR",)))
    return program


# A model is planned for each of several callers; eq=False makes it hash by identity.
@lru_cache(maxsize=32)
def plan(core: str, model: QuantizedModel, options: KernelOptions) -> KernelProgram:
    """The assembly of a model for a core of PLANNERS."""
    program: KernelProgram = importlib.import_module(PLANNERS[core]).plan(model, options)
    return dataclasses.replace(program, placement=options.placement)
