"""One model on one board: bytes and cycles, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miniml.boards import Board
from miniml.cost.calibration import find_calibration
from miniml.cost.memory import kernel_flash, layer_flash, model_flash, model_sram
from miniml.cost.paths import Int64Array, count_paths, path_bounds
from miniml.model import Int8Array, QuantizedModel


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
            `memory`: the median over the inputs if some were given, else the middle between
            cycles_min and cycles_max. None: not foretold.
        cycles_min, cycles_max: the bounds for any input; they may not be reached.
        cycles_by_row: of each input, int64 (n,); None if none were given or not foretold.
        layers: layer by layer; `cycles` has the copy of the inputs on top.
        memory: such as "0 wait states"; None: not foretold.
        toolchain: what the cycles are of; None: not foretold.
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


def foretell(
    model: QuantizedModel, board: Board, toolchain: str | None, inputs: Int8Array | None = None
) -> Cost:
    """The cost of a model on a board.

    Args:
        model: any quantized model.
        board: its core decides.
        toolchain: as build.json says it, such as "avr-gcc-5.4.0 -Os -flto"; with None, or one that
            calibration.json doesn't hold, cycles and stack are None.
        inputs: int8, (n, n_inputs), for figures of each row.
    """
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
                name=f"{layer.n_inputs}-{layer.n_outputs} {layer.activation}",
                macs=layer.macs,
                flash=layer_flash(layer, board.core),
                cycles=by_layer[index] if by_layer else None,
            )
            for index, layer in enumerate(model.layers)
        ),
        memory=record.memory if record else None,
        toolchain=record.toolchain if record else None,
    )
