"""Float models that no training would make, and what they quantize to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from miniml.calibration import Calibration
from miniml.float_model import FloatLayer, FloatModel
from miniml.model import Float32Array, QuantizedModel
from miniml.quantization import quantize
from miniml.scaling import Scaler

ACTIVATIONS = ("relu", "linear", "sigmoid", "tanh")


def random_pair(
    seed: int,
    *,
    widths: Sequence[int] | None = None,
    activations: Sequence[Any] | None = None,
    task: Literal["classification", "regression"] = "classification",
    per_channel: bool = True,
    name: str = "random",
) -> tuple[QuantizedModel, FloatModel]:
    """A float model of depth 1 to 6 and widths 1 to 128, and its int8 form."""
    rng = np.random.default_rng(seed)
    if widths is None:
        widths = np.exp(rng.uniform(0, np.log(129), rng.integers(2, 8))).astype(int).tolist()
    if activations is None:
        activations = rng.choice(ACTIVATIONS, len(widths) - 1).tolist()
    layers = []
    for (n, m), activation in zip(pairwise(widths), activations, strict=True):
        weights = rng.normal(0, 2 / np.sqrt(n), (m, n)).astype(np.float32)
        weights[rng.random((m, n)) < 0.1] = 0
        bias = rng.normal(0, 0.5, m).astype(np.float32)
        layers.append(FloatLayer(weights, bias, activation))
    n_in, n_out = widths[0], widths[-1]
    labels = {1: 2}.get(n_out, n_out) if task == "classification" else 0
    model = FloatModel(
        task=task,
        features=tuple(f"x{index}" for index in range(n_in)),
        labels=tuple(map(str, range(labels))),
        scaler=Scaler(rng.normal(0, 3, n_in), rng.uniform(0.1, 3, n_in)),
        target_scaler=None
        if task == "classification"
        else Scaler(rng.normal(0, 100, n_out), rng.uniform(0.01, 3, n_out)),
        layers=tuple(layers),
        softmax=False,
    )
    values = model.run_layers(random_features(model, 50, seed).astype(np.float64))
    ranges = tuple(float(np.abs(outputs).max()) for outputs in values)
    calibration = Calibration(input=3.0, layers=ranges)
    return quantize(model, calibration, name=name, per_channel=per_channel), model


def random_features(model: FloatModel, rows: int, seed: int) -> Float32Array:
    """float32, (rows, n_inputs): scaled, they are about normal (0, 1)."""
    rng = np.random.default_rng(seed + 1_000_000)
    scaled = rng.normal(0, 1, (rows, len(model.features)))
    return (scaled / model.scaler.factor + model.scaler.shift).astype(np.float32)


def edge_features(model: FloatModel) -> Float32Array:
    """Rows with zeros of both signs, subnormals, the largest numbers, infinities and NaN."""
    tiny, huge = np.float32(1e-45), np.finfo(np.float32).max
    values = [0.0, -0.0, tiny, -tiny, 1e-38, -1e-30, huge, -huge, np.inf, -np.inf, np.nan, 1.0]
    n = len(model.features)
    rows = [np.full(n, value, np.float32) for value in values]
    rows += [np.resize(np.array(values[start:], np.float32), n) for start in range(0, 12, 3)]
    return np.stack(rows)
