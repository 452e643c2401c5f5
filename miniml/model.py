"""QuantizedModel: the one intermediate representation between training and C.

Immutable, complete (whoever holds it needs nothing else to run, cost or generate
the model) and saved as canonical JSON: sorted keys, no spaces, floats as the
shortest decimal that reads back to the same binary64. ModelId is the SHA-256 of
those bytes without the fields that only describe.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from miniml.errors import ModelError
from miniml.fixed_point import (
    INPUT_LIMIT,
    MULTIPLIER_LIMIT,
    MULTIPLIER_MIN,
    SHIFT_MAX,
    SHIFT_MIN,
    accumulator_bound,
    prove_row,
)

FORMAT = "miniml.model/1"
# Raise it whenever the same weights may give other bytes on a device.
GENERATOR_VERSION = 1

FLOAT32_MAX = float(np.finfo(np.float32).max)

Activation = Literal["relu", "linear", "sigmoid", "tanh"]
Int8Array = NDArray[np.int8]
Int32Array = NDArray[np.int32]
Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DenseLayer:
    """One fully connected int8 layer; n_outputs rows of n_inputs weights.

    Attributes:
        weights: int8, (n_outputs, n_inputs), in [-127, 127].
        bias: int32, (n_outputs,), at scale input_scale * weight_scales[row].
        weight_scales: float64, (n_outputs,); all equal when quantized per_layer.
        multipliers: int32, (n_outputs,), in [2^30, 2^31).
        shifts: int8, (n_outputs,), in [-31, 30]; positive is a left shift.
        input_scale: real value of one step of the layer's input.
        output_scale: real value of one step of what the accumulator is
            requantized to (before the table, if there is one).
        activation: "relu", "linear", "sigmoid" or "tanh".
        activation_min, activation_max: clamp after requantization.
        table: int8, (256,), indexed by value + 128; None unless sigmoid or tanh.
            Its output has scale 1/127.
    """

    weights: Int8Array
    bias: Int32Array
    weight_scales: Float64Array
    multipliers: Int32Array
    shifts: Int8Array
    input_scale: float
    output_scale: float
    activation: Activation
    activation_min: int
    activation_max: int
    table: Int8Array | None = None

    @property
    def n_inputs(self) -> int:
        """Columns of the weights."""
        return int(self.weights.shape[1])

    @property
    def n_outputs(self) -> int:
        """Rows of the weights."""
        return int(self.weights.shape[0])

    @property
    def real_multipliers(self) -> Float64Array:
        """What multipliers and shifts were made of: (s_in * s_w) / s_out, float64 (n_outputs,)."""
        return (self.input_scale * self.weight_scales) / self.output_scale

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return int(self.weights.size)


@dataclass(frozen=True, eq=False)
class InputQuantizer:
    """Float features to int8, the scaler folded in.

    q = clamp(round_half_away(x * inv_scale + offset), input_min, 127), every step
    IEEE binary32 (docs/QUANTIZATION.md, "Float input").

    Attributes:
        inv_scale, offset: float32, (n_inputs,).
        input_min: -127, or 0 where the input range was declared as [0, 127].
    """

    inv_scale: Float32Array
    offset: Float32Array
    input_min: int = -127


@dataclass(frozen=True, eq=False)
class QuantizedModel:
    """A quantized network, ready to run, cost or generate.

    Attributes:
        name: a C identifier in lower case; prefix of every generated symbol.
        task: "classification" or "regression".
        features: one name a column, in input order.
        labels: class names by output index; empty for regression.
        input: how float features become int8.
        layers: at least one.
        output_scale: real value of one step of the last layer's output, (n_outputs,)
            float64: the target's scaler is folded in for regression.
        output_offset: added after output_scale, (n_outputs,) float64.
        softmax: probabilities are softmax(dequantized outputs); the device only
            needs argmax.
    """

    name: str
    task: Literal["classification", "regression"]
    features: tuple[str, ...]
    labels: tuple[str, ...]
    input: InputQuantizer
    layers: tuple[DenseLayer, ...]
    output_scale: Float64Array
    output_offset: Float64Array
    softmax: bool = False

    @property
    def n_inputs(self) -> int:
        """Inputs of the first layer."""
        return self.layers[0].n_inputs

    @property
    def n_outputs(self) -> int:
        """Outputs of the last layer."""
        return self.layers[-1].n_outputs

    @property
    def threshold(self) -> int:
        """Int8 output from which a classifier with one output says labels[1].

        64 for sigmoid (64/127 is the first step from one half on), else 1: above zero.
        """
        return 64 if self.layers[-1].activation == "sigmoid" else 1

    @property
    def widths(self) -> tuple[int, ...]:
        """Inputs, then outputs of each layer: (64, 32, 16, 10)."""
        return (self.n_inputs, *(layer.n_outputs for layer in self.layers))

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(layer.macs for layer in self.layers)

    @property
    def model_id(self) -> str:
        """64 hex digits: SHA-256 over weights, quantization and generator version."""
        content = to_dict(self)
        for descriptive in ("name", "features", "labels"):
            del content[descriptive]
        content["generator"] = GENERATOR_VERSION
        return hashlib.sha256(canonical_json(content)).hexdigest()


def canonical_json(value: Any) -> bytes:
    """The one byte string for a value: sorted keys, no spaces, UTF-8, no NaN."""
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode("utf-8")


def to_dict(model: QuantizedModel) -> dict[str, Any]:
    """Plain JSON types; `from_dict` is the inverse, bit for bit."""
    return {
        "format": FORMAT,
        "name": model.name,
        "task": model.task,
        "features": list(model.features),
        "labels": list(model.labels),
        "softmax": model.softmax,
        "input": {
            "inv_scale": [float(v) for v in model.input.inv_scale],
            "offset": [float(v) for v in model.input.offset],
            "input_min": model.input.input_min,
        },
        "output": {
            "scale": [float(v) for v in model.output_scale],
            "offset": [float(v) for v in model.output_offset],
        },
        "layers": [_layer_to_dict(layer) for layer in model.layers],
    }


def _layer_to_dict(layer: DenseLayer) -> dict[str, Any]:
    return {
        "kind": "dense",
        "weights": layer.weights.tolist(),
        "bias": layer.bias.tolist(),
        "weight_scales": layer.weight_scales.tolist(),
        "multipliers": layer.multipliers.tolist(),
        "shifts": layer.shifts.tolist(),
        "input_scale": layer.input_scale,
        "output_scale": layer.output_scale,
        "activation": layer.activation,
        "activation_min": layer.activation_min,
        "activation_max": layer.activation_max,
        "table": None if layer.table is None else layer.table.tolist(),
    }


def from_dict(content: dict[str, Any]) -> QuantizedModel:
    """Rebuild a model and prove that the contract carries it.

    Raises:
        ModelError: another format version, a field that is missing, malformed or out of
            range, shapes that don't fit together, or an accumulator that could wrap.
    """
    found = content.get("format")
    if found != FORMAT:
        raise ModelError(f"model format is {found!r}, this version reads {FORMAT!r}: retrain")
    try:
        with np.errstate(over="ignore"):  # beyond binary32 is infinite, which is refused below
            model = QuantizedModel(
                name=content["name"],
                task=content["task"],
                features=tuple(content["features"]),
                labels=tuple(content["labels"]),
                softmax=bool(content["softmax"]),
                input=InputQuantizer(
                    inv_scale=np.array(content["input"]["inv_scale"], np.float32),
                    offset=np.array(content["input"]["offset"], np.float32),
                    input_min=int(content["input"]["input_min"]),
                ),
                layers=tuple(_layer_from_dict(layer) for layer in content["layers"]),
                output_scale=np.array(content["output"]["scale"], np.float64),
                output_offset=np.array(content["output"]["offset"], np.float64),
            )
        validate(model)
    except (KeyError, TypeError, ValueError, OverflowError, IndexError) as error:
        raise ModelError(f"model JSON is damaged ({error}): retrain") from error
    return model


def _layer_from_dict(content: dict[str, Any]) -> DenseLayer:
    if content["kind"] != "dense":
        raise ModelError(f"layer kind {content['kind']!r} is unknown to this version")
    table = content["table"]
    return DenseLayer(
        weights=_integers("weights", content["weights"], INPUT_LIMIT).astype(np.int8),
        bias=_integers("bias", content["bias"], 2**31 - 1).astype(np.int32),
        weight_scales=np.array(content["weight_scales"], np.float64),
        multipliers=_integers("multipliers", content["multipliers"], 2**31 - 1).astype(np.int32),
        shifts=_integers("shifts", content["shifts"], INPUT_LIMIT).astype(np.int8),
        input_scale=float(content["input_scale"]),
        output_scale=float(content["output_scale"]),
        activation=content["activation"],
        activation_min=int(content["activation_min"]),
        activation_max=int(content["activation_max"]),
        table=None if table is None else _integers("table", table, INPUT_LIMIT).astype(np.int8),
    )


def _integers(name: str, values: Any, limit: int) -> NDArray[np.int64]:
    """An array of whole numbers in [-limit, limit]; a fraction is an error, never cut off."""
    array = np.array(values)
    if array.size == 0 or array.dtype.kind != "i":
        raise ValueError(f"{name} are not whole numbers")
    if array.max() > limit or array.min() < -limit:
        raise ValueError(f"{name} are outside [-{limit}, {limit}]")
    return array.astype(np.int64)


def validate(model: QuantizedModel) -> None:
    """Prove that a model keeps to the contract of docs/QUANTIZATION.md.

    Raises:
        ModelError: a row that can't be proved.
        ValueError: a shape or a range that doesn't fit; the message names it.
    """
    texts = (model.name, *model.features, *model.labels)
    _require(all(isinstance(text, str) for text in texts), "a name is no text")
    _require(bool(model.layers), "there is no layer")
    _require(model.task in ("classification", "regression"), f"the task is {model.task!r}")
    _require(len(model.features) == model.n_inputs, "features and inputs differ in number")
    classes = {1: 2}.get(model.n_outputs, model.n_outputs)
    expected = classes if model.task == "classification" else 0
    _require(len(model.labels) == expected, f"{len(model.labels)} labels, not {expected}")
    for name, values, width in (
        ("input.inv_scale", model.input.inv_scale, model.n_inputs),
        ("input.offset", model.input.offset, model.n_inputs),
        ("output.scale", model.output_scale, model.n_outputs),
        ("output.offset", model.output_offset, model.n_outputs),
    ):
        _require(values.shape == (width,), f"{name} has not {width} values")
        within = bool((np.abs(values) <= FLOAT32_MAX).all())
        _require(within, f"{name} is not finite as a 32-bit float")
    _require(model.input.input_min in (-INPUT_LIMIT, 0), "input_min is neither -127 nor 0")
    width = model.n_inputs
    for number, layer in enumerate(model.layers, start=1):
        _require(layer.weights.ndim == 2, f"layer {number}: weights are no matrix")
        _require(layer.n_inputs == width, f"layer {number}: takes {layer.n_inputs}, gets {width}")
        _validate_layer(layer, f"layer {number}")
        width = layer.n_outputs


def _validate_layer(layer: DenseLayer, where: str) -> None:
    for name in ("bias", "weight_scales", "multipliers", "shifts"):
        shape = getattr(layer, name).shape
        _require(shape == (layer.n_outputs,), f"{where}: {name} has not a value a row")
    scales = [*layer.weight_scales.tolist(), layer.input_scale, layer.output_scale]
    _require(all(0.0 < s < np.inf for s in scales), f"{where}: a scale is not above 0")
    multipliers = layer.multipliers.astype(np.int64)
    _require(
        bool(((multipliers >= MULTIPLIER_MIN) & (multipliers < MULTIPLIER_LIMIT)).all()),
        f"{where}: a multiplier is outside [2^30, 2^31)",
    )
    _require(
        bool(((layer.shifts >= SHIFT_MIN) & (layer.shifts <= SHIFT_MAX)).all()),
        f"{where}: a shift is outside [{SHIFT_MIN}, {SHIFT_MAX}]",
    )
    _require(
        layer.activation in ("relu", "linear", "sigmoid", "tanh"),
        f"{where}: no activation {layer.activation!r}",
    )
    _require(
        -INPUT_LIMIT <= layer.activation_min <= layer.activation_max <= INPUT_LIMIT,
        f"{where}: the clamp is not within [-127, 127]",
    )
    has_table = layer.activation in ("sigmoid", "tanh")
    _require((layer.table is not None) == has_table, f"{where}: table and activation disagree")
    _require(layer.table is None or layer.table.shape == (256,), f"{where}: no table of 256")
    bounds = accumulator_bound(layer.weights, layer.bias).tolist()
    for row, (bound, shift) in enumerate(zip(bounds, layer.shifts.tolist(), strict=True)):
        prove_row(bound, shift, f"{where}, row {row}")


def _require(condition: bool, complaint: str) -> None:
    if not condition:
        raise ValueError(complaint)
