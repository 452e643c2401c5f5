"""What `miniml bench guide` compares: every mode, per_layer and per_channel, as a board gets it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from miniml.adapters.export import export
from miniml.bench import cmsis_nn
from miniml.boards import Board, in_mode
from miniml.calibration import calibration_rows
from miniml.cost.benchmark import ModelCode
from miniml.cost.benchmark_modes import Header
from miniml.float_net import DeviceModel, FloatNet, device_model
from miniml.kernels.choice import kernels_for
from miniml.model import QuantizedModel
from miniml.pipeline import Prepared
from miniml.post_training import quantize_trained


@dataclass(frozen=True)
class GuideContestant:
    """One way to run the model on one board.

    Attributes:
        mode: of `miniml.board_keys.MODES`.
        quantization: "per_layer", "per_channel", or "" where weights are floats.
        kernels: "generated", "library" (CMSIS-NN's own) or "portable C".
        column: of the guide's table: "Original Float32", "Per-Layer (int8)", "CMSIS-NN" or "AVR
            Hybrid"; empty where the guide has none.
    """

    mode: str
    quantization: str
    kernels: str
    column: str


def contestants(core: str) -> Iterator[GuideContestant]:
    """Everything that runs on a core, the baseline first."""
    yield GuideContestant("float32", "", "portable C", "Original Float32")
    for quantization in ("per_layer", "per_channel"):
        yield GuideContestant("native", quantization, "portable C", "Per-Layer (int8)")
    for quantization in () if core == "avr" else ("per_layer", "per_channel"):
        yield GuideContestant("cmsis_nn", quantization, "library", "CMSIS-NN")
    for mode in ("avr_hybrid_literal", "avr_hybrid"):
        yield GuideContestant(mode, "per_layer", "portable C", "AVR Hybrid")
    yield GuideContestant("avr_hybrid", "per_channel", "portable C", "AVR Hybrid")
    yield GuideContestant("int8", "per_channel", "portable C", "")
    yield GuideContestant("int8", "per_channel", "generated", "")


def quantized(prepared: Prepared, quantization: str) -> QuantizedModel:
    """The model's weights quantized anew, by the settings of its folder but for the scales."""
    settings = prepared.settings
    method = dataclasses.replace(settings.quantization, per_channel=quantization != "per_layer")
    rows = calibration_rows(prepared.split, settings)
    return quantize_trained(
        prepared.float_model,
        prepared.dataset.features[rows],
        dataclasses.replace(settings, quantization=method),
    )


def header_of(
    prepared: Prepared, contestant: GuideContestant, board: Board
) -> tuple[Header, DeviceModel, int]:
    """What to compile, what it computes, and the bytes of its layers' constants.

    Raises:
        UsageError: CMSIS-NN's sources are not installed.
        BudgetError: no kernel fits into the board's flash.
    """
    model = quantized(prepared, contestant.quantization)
    net = device_model(model, prepared.float_model, contestant.mode)
    kernels = None
    if contestant.kernels == "generated":
        kernels = kernels_for(model, in_mode(board, "int8"), prepared.settings.code)
    text = export(
        model, prepared.float_model, contestant.mode, "a benchmark", kernels=kernels is not None
    )
    code = ModelCode(text)
    if kernels is not None:
        code = ModelCode(text, {"kernels.S": kernels.assembly})
    elif contestant.kernels == "library":
        code = ModelCode(
            text,
            sources=tuple(cmsis_nn.sources()),
            includes=tuple(cmsis_nn.includes()),
            flags=(cmsis_nn.ENABLED, *cmsis_nn.version_flags()),
        )
    floats = isinstance(net, FloatNet)
    header = Header(code, net.name, net.widths, np.dtype(np.float32 if floats else np.int8))
    return header, net, kernels.flash if kernels else size_of(net)


def size_of(net: DeviceModel) -> int:
    """Bytes of weights, biases, scales or multipliers, and tables."""
    if isinstance(net, FloatNet):
        return sum(
            layer.weights.nbytes
            + layer.bias.nbytes
            + (0 if layer.scales is None else layer.scales.nbytes)
            for layer in net.layers
        )
    return sum(
        layer.weights.nbytes
        + layer.bias.nbytes
        + layer.multipliers.nbytes
        + layer.shifts.nbytes
        + (0 if layer.table is None else layer.table.nbytes)
        for layer in net.layers
    )
