"""One model on one board: bytes and cycles, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from miniml.boards import Board
from miniml.cost.calibration import find_calibration
from miniml.cost.memory import (
    float_layer_flash,
    float_sram,
    frame_flash,
    kernel_flash,
    layer_flash,
    model_flash,
    model_sram,
)
from miniml.cost.paths import Int64Array, count_paths, path_bounds
from miniml.float_net import is_float_mode
from miniml.kernels.program import KernelProgram, Placement
from miniml.kernels.shipped import shipped_cycles, shipped_memory
from miniml.model import DenseLayer, Int8Array, QuantizedModel

ANY_TOOLCHAIN = "any (assembly)"
Memory = Literal["ideal", "shipped"]
# As shipped every instruction of an input is run: more of them tell nothing new.
SHIPPED_INPUTS = 8


@dataclass(frozen=True)
class LayerCost:
    """One layer: its MACs, bytes of constants in flash, and cycles (None: not foretold)."""

    name: str
    macs: int
    flash: int
    cycles: int | None


@dataclass(frozen=True, eq=False)
class Cost:
    """What a model takes on a board.

    Attributes:
        flash: bytes of the model's constants and the kernel.
        sram: bytes of the model's buffers, the sketch's sample included.
        stack: bytes of stack of one run; None: not foretold.
        cycles: of one run from int8 inputs, as TIME measures it, for the memory named by
            `memory`: the median over the inputs if some were given (of the first SHIPPED_INPUTS
            as shipped), else the middle between cycles_min and cycles_max, or as shipped those of
            an input of zeros. None: not foretold.
        cycles_min, cycles_max: the bounds for any input; they may not be reached. None: not known.
        cycles_by_row: of each input, int64 (n,); None if none were given or not foretold.
        layers: layer by layer; `cycles` has the copy of the inputs on top.
        memory: such as "0 wait states"; None: not foretold.
        toolchain: what the cycles are of; None: not foretold.
        exact: the cycles are of assembly, counted instruction by instruction.
        placement: where kernels and weights lie while they run: "flash", "sram", or in part in
            SRAM: "code" or "constants".
    """

    flash: int
    sram: int
    stack: int | None
    cycles: int | None
    cycles_min: int | None
    cycles_max: int | None
    cycles_by_row: Int64Array | None
    layers: tuple[LayerCost, ...]
    memory: str | None
    toolchain: str | None
    exact: bool = False
    placement: Placement = "flash"


def foretell(
    model: QuantizedModel,
    board: Board,
    toolchain: str | None,
    inputs: Int8Array | None = None,
    kernels: KernelProgram | None = None,
    memory: Memory = "ideal",
) -> Cost:
    """The cost of a model on a board.

    Args:
        model: any quantized model.
        board: its core and mode decide. Of modes but int8 only bytes are foretold, and of these
            only the model's constants and buffers: the least that they take.
        toolchain: as build.json says it, such as "avr-gcc-5.4.0 -Os -flto"; with None, or one that
            calibration.json doesn't hold, cycles and stack are None.
        inputs: int8, (n, n_inputs), for figures of each row.
        kernels: the model's assembly for this board, whose cycles no compiler changes.
        memory: "ideal" has no wait states; "shipped" has the chip's wait states and caches, which
            are foretold of generated kernels, and of any code on the AVR, whose flash has none.
    """
    ideal = _in_ideal_memory(model, board, toolchain, inputs, kernels)
    if memory == "ideal" or ideal.cycles is None:
        return ideal
    if board.core == "avr":
        return replace(ideal, memory=shipped_memory(board.core, board.clock_hz))
    if kernels:
        return _as_shipped(model, board, ideal, kernels, inputs)
    return replace(
        ideal,
        cycles=None,
        cycles_min=None,
        cycles_max=None,
        cycles_by_row=None,
        layers=tuple(replace(layer, cycles=None) for layer in ideal.layers),
        memory=None,
    )


def _in_ideal_memory(
    model: QuantizedModel,
    board: Board,
    toolchain: str | None,
    inputs: Int8Array | None,
    kernels: KernelProgram | None,
) -> Cost:
    if kernels:
        return _of_kernels(model, board, kernels, inputs)
    if board.mode != "int8":
        return _of_mode(model, board)
    record = find_calibration(board.core, toolchain)
    by_layer: list[int] | None = None
    total = low = high = by_row = None
    if record:
        coefficients = record.coefficients()
        fewest, most = path_bounds(model)
        # A pass may save cycles (its coefficient is negative): then the most is the fewest.
        extremes = np.stack([fewest * coefficients, most * coefficients])
        low_parts, high_parts = extremes.min(axis=0).sum(axis=1), extremes.max(axis=0).sum(axis=1)
        parts = (low_parts + high_parts) / 2
        low, high = round(low_parts.sum()), round(high_parts.sum())
        if inputs is not None and len(inputs):
            cycles = count_paths(model, inputs) @ coefficients
            by_row = np.rint(cycles.sum(axis=1)).astype(np.int64)
            parts = np.median(cycles, axis=0)
            total = round(float(np.median(by_row)))
        else:
            total = round(parts.sum())
        by_layer = [round(part) for part in parts[1:]]
    return Cost(
        flash=model_flash(model, board.core) + kernel_flash(board.core),
        sram=model_sram(model),
        stack=record.stack if record else None,
        cycles=total,
        cycles_min=low,
        cycles_max=high,
        cycles_by_row=by_row,
        layers=tuple(
            LayerCost(
                name=layer_name(layer),
                macs=layer.macs,
                flash=layer_flash(layer, board.core),
                cycles=by_layer[index] if by_layer else None,
            )
            for index, layer in enumerate(model.layers)
        ),
        memory=record.memory if record else None,
        toolchain=record.toolchain if record else None,
    )


def _of_kernels(
    model: QuantizedModel, board: Board, kernels: KernelProgram, inputs: Int8Array | None
) -> Cost:
    total = by_row = None
    by_layer: list[int] = [layer.worst_cycles for layer in kernels.layers]
    if inputs is not None and len(inputs):
        cycles = kernels.cycles(inputs)
        by_row = np.asarray(cycles.sum(axis=1), np.int64)
        total = round(float(np.median(by_row)))
        by_layer = [round(float(part)) for part in np.median(cycles[:, 1:], axis=0)]
    return Cost(
        flash=kernels.flash + frame_flash(model, board.core),
        sram=kernels.sram + model.n_inputs,
        stack=kernels.stack,
        cycles=kernels.worst_cycles if total is None else total,
        cycles_min=None,
        cycles_max=kernels.worst_cycles,
        cycles_by_row=by_row,
        layers=tuple(
            LayerCost(layer_name(layer), layer.macs, plan.flash, cycles)
            for layer, plan, cycles in zip(model.layers, kernels.layers, by_layer, strict=True)
        ),
        memory="0 wait states",
        toolchain=ANY_TOOLCHAIN,
        exact=True,
        placement=kernels.placement,
    )


def _as_shipped(
    model: QuantizedModel,
    board: Board,
    ideal: Cost,
    kernels: KernelProgram,
    inputs: Int8Array | None,
) -> Cost:
    """With the median cycles of some inputs; what an input could take at most is not known."""
    if inputs is None or not len(inputs):
        inputs = np.zeros((1, model.n_inputs), np.int8)
    cycles, _ = shipped_cycles(model, kernels, inputs[:SHIPPED_INPUTS], board.clock_hz)
    by_layer = np.median(cycles[:, 1:], axis=0)
    return replace(
        ideal,
        cycles=round(float(np.median(cycles.sum(axis=1)))),
        cycles_max=None,
        cycles_by_row=None,
        layers=tuple(
            replace(layer, cycles=round(float(part)))
            for layer, part in zip(ideal.layers, by_layer, strict=True)
        ),
        memory=shipped_memory(board.core, board.clock_hz),
    )


def _of_mode(model: QuantizedModel, board: Board) -> Cost:
    """Constants and buffers of a mode whose code is not measured."""
    mode = board.mode
    if is_float_mode(mode):
        by_layer = [float_layer_flash(layer, board.core, mode) for layer in model.layers]
        sram = float_sram(model, mode)
    else:
        by_layer = [layer_flash(layer, board.core) for layer in model.layers]
        sram = model_sram(model)
    return Cost(
        flash=sum(by_layer) + frame_flash(model, board.core),
        sram=sram,
        stack=None,
        cycles=None,
        cycles_min=None,
        cycles_max=None,
        cycles_by_row=None,
        layers=tuple(
            LayerCost(layer_name(layer), layer.macs, flash, None)
            for layer, flash in zip(model.layers, by_layer, strict=True)
        ),
        memory=None,
        toolchain=None,
    )


def layer_name(layer: DenseLayer) -> str:
    """Such as "64-32 relu"."""
    return f"{layer.n_inputs}-{layer.n_outputs} {layer.activation}"
