"""FloatNet: the binary32 and int8 constants that a float mode computes with on a device.

A FloatModel has binary64 scalers and a QuantizedModel has integers only; a float mode takes weights
from one of them, and everything else rounded to binary32 here, once, for reference and C alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, TypeGuard, get_args

import numpy as np

from miniml.errors import ModelError
from miniml.float_model import FloatModel
from miniml.model import (
    Activation,
    Float32Array,
    Float64Array,
    Int8Array,
    QuantizedModel,
    canonical_json,
)

FloatMode = Literal["float32", "avr_hybrid", "avr_hybrid_literal"]
FLOAT_MODES: tuple[FloatMode, ...] = get_args(FloatMode)
# Raise it whenever the same constants may give other bits on a device.
FLOAT_VERSION = 1
# Activations of avr_hybrid are at most 2^VALUE_BITS in magnitude.
VALUE_BITS = 14


@dataclass(frozen=True, eq=False)
class FloatNetLayer:
    """One fully connected layer of a float mode.

    Attributes:
        weights: (n_outputs, n_inputs), float32 in mode float32, else int8.
        scales: float32, (n_outputs,), of the int8 weights; None in mode float32.
        bias: float32, (n_outputs,).
        activation: as in FloatModel.
    """

    weights: Float32Array | Int8Array
    scales: Float32Array | None
    bias: Float32Array
    activation: Activation

    @property
    def n_inputs(self) -> int:
        """Columns of the weights."""
        return int(self.weights.shape[1])

    @property
    def n_outputs(self) -> int:
        """Rows of the weights."""
        return int(self.weights.shape[0])


@dataclass(frozen=True, eq=False)
class FloatNet:
    """What a device computes in one of FLOAT_MODES (docs/MODES.md).

    Attributes:
        mode: decides the order of operations.
        name, task, features, labels: as in QuantizedModel.
        shift, factor: float32, (n_inputs,): scaled = (x - shift) * factor.
        layers: at least one.
        output_scale, output_offset: float32, (n_outputs,): real = y * scale + offset.
    """

    mode: FloatMode
    name: str
    task: Literal["classification", "regression"]
    features: tuple[str, ...]
    labels: tuple[str, ...]
    shift: Float32Array
    factor: Float32Array
    layers: tuple[FloatNetLayer, ...]
    output_scale: Float32Array
    output_offset: Float32Array

    @property
    def n_inputs(self) -> int:
        """Inputs of the first layer."""
        return self.layers[0].n_inputs

    @property
    def n_outputs(self) -> int:
        """Outputs of the last layer."""
        return self.layers[-1].n_outputs

    @property
    def widths(self) -> tuple[int, ...]:
        """Inputs, then outputs of each layer."""
        return (self.n_inputs, *(layer.n_outputs for layer in self.layers))

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(int(layer.weights.size) for layer in self.layers)

    @property
    def threshold(self) -> float:
        """Output above which (sigmoid: from which on) one output means labels[1]."""
        return 0.5 if self.layers[-1].activation == "sigmoid" else 0.0

    @property
    def model_id(self) -> str:
        """64 hex digits: SHA-256 over mode, version and every constant; names don't count."""
        layers = [
            {
                "weights": _bits(layer.weights),
                "scales": None if layer.scales is None else _bits(layer.scales),
                "bias": _bits(layer.bias),
                "activation": layer.activation,
            }
            for layer in self.layers
        ]
        content: dict[str, Any] = {
            "mode": self.mode,
            "generator": FLOAT_VERSION,
            "task": self.task,
            "shift": _bits(self.shift),
            "factor": _bits(self.factor),
            "layers": layers,
            "output_scale": _bits(self.output_scale),
            "output_offset": _bits(self.output_offset),
        }
        return hashlib.sha256(canonical_json(content)).hexdigest()


def _bits(values: Float32Array | Int8Array) -> list[Any]:
    """Whole numbers: int8 values, or the bits of binary32 ones."""
    found: list[Any] = (values if values.dtype == np.int8 else values.view(np.uint32)).tolist()
    return found


# What a device computes: integers, or binary32.
DeviceModel = QuantizedModel | FloatNet


def is_float_mode(mode: str) -> TypeGuard[FloatMode]:
    """Whether inputs and outputs of a mode are binary32."""
    return mode in FLOAT_MODES


def device_model(model: QuantizedModel, float_model: FloatModel, mode: str) -> DeviceModel:
    """What decides the outputs of a mode, with its ModelId: all integer modes share the model.

    Raises:
        ModelError: see `make_float_net`.
    """
    return make_float_net(model, float_model, mode) if is_float_mode(mode) else model


def make_float_net(model: QuantizedModel, float_model: FloatModel, mode: FloatMode) -> FloatNet:
    """The constants of one float mode.

    Args:
        model: gives the name, and the hybrid modes' int8 weights and their scales.
        float_model: what `model` was quantized from: scalers and biases, and float32's weights.
        mode: of FLOAT_MODES.

    Raises:
        ModelError: a constant that isn't finite in binary32, or a row whose integer sum could
            pass 2^31 in mode avr_hybrid.
    """
    layers = []
    for number, (layer, real) in enumerate(zip(model.layers, float_model.layers, strict=True), 1):
        if layer.weights.shape != real.weights.shape:
            raise ModelError(
                f"model {model.name}, layer {number}: the float model has another shape: "
                "quantize it again"
            )
        quantized = mode != "float32"
        layers.append(
            FloatNetLayer(
                weights=layer.weights if quantized else _binary32(real.weights),
                scales=_binary32(layer.weight_scales) if quantized else None,
                bias=_binary32(real.bias),
                activation=real.activation,
            )
        )
    n_outputs = model.n_outputs
    target = float_model.target_scaler
    net = FloatNet(
        mode=mode,
        name=model.name,
        task=model.task,
        features=model.features,
        labels=model.labels,
        shift=_binary32(float_model.scaler.shift),
        factor=_binary32(float_model.scaler.factor),
        layers=tuple(layers),
        output_scale=_binary32(np.ones(n_outputs) if target is None else 1.0 / target.factor),
        output_offset=_binary32(np.zeros(n_outputs) if target is None else target.shift),
    )
    _validate(net)
    return net


def _binary32(values: Float32Array | Float64Array) -> Float32Array:
    with np.errstate(over="ignore"):
        return np.array(values, np.float32)


def _validate(net: FloatNet) -> None:
    constants = [net.shift, net.factor, net.output_scale, net.output_offset]
    for number, layer in enumerate(net.layers, start=1):
        constants += [layer.bias, layer.weights.astype(np.float32)]
        constants += [] if layer.scales is None else [layer.scales]
        sums = np.abs(layer.weights.astype(np.float64)).sum(axis=1)
        if net.mode == "avr_hybrid" and sums.max() * 2**VALUE_BITS >= 2**31:
            row = int(np.argmax(sums))
            raise ModelError(
                f"model {net.name}, layer {number}, row {row}: sum|w| is {int(sums[row])}, mode "
                f"avr_hybrid carries up to {2 ** (31 - VALUE_BITS) - 1}: fewer inputs, or mode int8"
            )
    if not all(np.isfinite(values).all() for values in constants):
        raise ModelError(
            f"model {net.name}: a scaler or weight is outside binary32: rescale the data"
        )


def scratch_widths(widths: Sequence[int], mode: FloatMode) -> tuple[int, ...]:
    """Floats in each buffer that a run needs.

    Args:
        widths: inputs, then outputs of each layer.
        mode: avr_hybrid keeps a layer's inputs as int16 numbers before its outputs.
    """
    if mode == "avr_hybrid":
        layers = ((n + 1) // 2 + m for n, m in pairwise(widths))
        return (max(widths[0], *layers),)
    return max(widths[0::2]), max(widths[1::2])
