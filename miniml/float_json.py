"""FloatModel to plain JSON types and back, bit for bit; a model that can't run is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from miniml.float_model import FloatLayer, FloatModel
from miniml.scaling import Scaler

ACTIVATIONS = ("relu", "linear", "sigmoid", "tanh")


def float_to_dict(model: FloatModel) -> dict[str, Any]:
    """Plain JSON types; `float_from_dict` is the inverse, bit for bit."""
    target = model.target_scaler
    return {
        "task": model.task,
        "features": list(model.features),
        "labels": list(model.labels),
        "softmax": model.softmax,
        "scaler": _scaler_to_dict(model.scaler),
        "target_scaler": None if target is None else _scaler_to_dict(target),
        "layers": [
            {
                "weights": [_shortest(row) for row in layer.weights],
                "bias": _shortest(layer.bias),
                "activation": layer.activation,
            }
            for layer in model.layers
        ],
    }


def float_from_dict(content: dict[str, Any]) -> FloatModel:
    """Rebuild a model that runs.

    Raises:
        ValueError, KeyError, TypeError, OverflowError: a field that is missing or malformed,
            a weight that is not finite, or shapes that don't fit together.
    """
    target = content["target_scaler"]
    with np.errstate(over="ignore"):  # beyond binary32 is infinite, which is refused below
        model = FloatModel(
            task=content["task"],
            features=tuple(content["features"]),
            labels=tuple(content["labels"]),
            softmax=bool(content["softmax"]),
            scaler=_scaler_from_dict(content["scaler"]),
            target_scaler=None if target is None else _scaler_from_dict(target),
            layers=tuple(
                FloatLayer(
                    weights=np.array(layer["weights"], np.float32),
                    bias=np.array(layer["bias"], np.float32),
                    activation=layer["activation"],
                )
                for layer in content["layers"]
            ),
        )
    _validate(model)
    return model


def _validate(model: FloatModel) -> None:
    texts = (*model.features, *model.labels)
    _require(all(isinstance(text, str) for text in texts), "a name is no text")
    _require(bool(model.layers), "there is no layer")
    _require(model.task in ("classification", "regression"), f"the task is {model.task!r}")
    width = len(model.features)
    _require_scaler("scaler", model.scaler, width)
    for number, layer in enumerate(model.layers, start=1):
        _require(layer.weights.ndim == 2, f"layer {number}: float weights are no matrix")
        rows, columns = layer.weights.shape
        _require(rows > 0, f"layer {number}: it has no output")
        _require(columns == width, f"layer {number}: takes {columns} inputs, gets {width}")
        _require(layer.bias.shape == (rows,), f"layer {number}: bias has not {rows} values")
        finite = np.isfinite(layer.weights).all() and np.isfinite(layer.bias).all()
        _require(bool(finite), f"layer {number}: a float weight is not finite")
        _require(layer.activation in ACTIVATIONS, f"no activation {layer.activation!r}")
        width = rows
    classes = 2 if width == 1 else width
    expected = classes if model.task == "classification" else 0
    _require(len(model.labels) == expected, f"{len(model.labels)} labels, not {expected}")
    if model.target_scaler is not None:
        _require_scaler("target_scaler", model.target_scaler, width)


def _require_scaler(name: str, scaler: Scaler, width: int) -> None:
    for values in (scaler.shift, scaler.factor):
        _require(values.shape == (width,), f"{name} has not {width} columns")
        _require(bool(np.isfinite(values).all()), f"{name} is not finite")
    _require(bool((scaler.factor > 0.0).all()), f"a factor of {name} is not above 0")


def _require(condition: bool, complaint: str) -> None:
    if not condition:
        raise ValueError(complaint)


def _scaler_to_dict(scaler: Scaler) -> dict[str, Any]:
    return {"shift": scaler.shift.tolist(), "factor": scaler.factor.tolist()}


def _scaler_from_dict(content: dict[str, Any]) -> Scaler:
    return Scaler(
        shift=np.array(content["shift"], np.float64),
        factor=np.array(content["factor"], np.float64),
    )


def _shortest(values: NDArray[np.float32]) -> list[float]:
    """Decimals short enough to read that give back the same binary32 values."""
    short = [float(str(value)) for value in values]
    if np.array_equal(np.array(short, np.float32), values):
        return short
    return [float(value) for value in values]
