"""One model on one board: bytes and cycles, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

from miniml.boards import Board
from miniml.cost.calibration import calibrations, layer_cycles, run_cycles
from miniml.cost.memory import layer_flash, model_flash, model_sram
from miniml.model import QuantizedModel


@dataclass(frozen=True)
class LayerCost:
    """One layer: its MACs, bytes of constants, and cycles (None: not foretold)."""

    name: str
    macs: int
    flash: int
    cycles: int | None


@dataclass(frozen=True)
class Cost:
    """What a model takes on a board.

    Attributes:
        flash, sram: bytes of the model's own constants and buffers.
        stack: bytes, the sketch and the link included; None: not foretold.
        cycles: of one inference from int8 inputs, 0 wait states; None: not foretold.
        layers: the same by layer; `cycles` has the call and the input's clamp on top.
    """

    flash: int
    sram: int
    stack: int | None
    cycles: int | None
    layers: tuple[LayerCost, ...]


def foretell(model: QuantizedModel, board: Board, toolchain: str | None) -> Cost:
    """The cost of a model on a board.

    Args:
        model: any quantized model.
        board: its core decides.
        toolchain: as build.json says it, such as "avr-gcc-5.4.0 -Os -flto"; None or one that
            calibration.json doesn't hold: cycles and stack are None.
    """
    record = calibrations().get((board.core, toolchain)) if toolchain else None
    by_layer = [layer_cycles(layer, record) if record else None for layer in model.layers]
    total = None
    if record:
        total = round(run_cycles(model, record) + sum(c for c in by_layer if c is not None))
    return Cost(
        flash=model_flash(model, board),
        sram=model_sram(model),
        stack=record.stack if record else None,
        cycles=total,
        layers=tuple(
            LayerCost(
                name=f"{index}: {layer.n_inputs}-{layer.n_outputs} {layer.activation}",
                macs=layer.macs,
                flash=layer_flash(layer, board),
                cycles=None if cycles is None else round(cycles),
            )
            for index, (layer, cycles) in enumerate(
                zip(model.layers, by_layer, strict=True), start=1
            )
        ),
    )
