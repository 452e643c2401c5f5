"""Models that no training would make: every shift, every activation, extreme weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from miniml.fixed_point import accumulator_bound
from miniml.model import DenseLayer, InputQuantizer, QuantizedModel, validate
from miniml.quantization import activation_table

ACTIVATIONS = ("relu", "linear", "sigmoid", "tanh")


def random_model(
    rng: np.random.Generator,
    *,
    widths: Sequence[int] | None = None,
    activations: Sequence[str] | None = None,
    task: Literal["classification", "regression"] = "classification",
) -> QuantizedModel:
    """A valid model whose multipliers and shifts reach the whole range of the contract."""
    if widths is None:
        widths = rng.integers(1, 12, rng.integers(2, 6)).tolist()
    if activations is None:
        activations = rng.choice(ACTIVATIONS, len(widths) - 1).tolist()
    layers = tuple(
        _layer(rng, n, m, activation)
        for n, m, activation in zip(widths, widths[1:], activations, strict=False)
    )
    n_in, n_out = widths[0], widths[-1]
    classes = (2 if n_out == 1 else n_out) if task == "classification" else 0
    model = QuantizedModel(
        name="random",
        task=task,
        features=tuple(f"x{i}" for i in range(n_in)),
        labels=tuple(str(i) for i in range(classes)),
        input=InputQuantizer(
            rng.normal(50, 40, n_in).astype(np.float32), rng.normal(0, 50, n_in).astype(np.float32)
        ),
        layers=layers,
        output_scale=rng.uniform(1e-3, 2, n_out),
        output_offset=rng.normal(0, 3, n_out),
    )
    validate(model)
    return model


def _layer(rng: np.random.Generator, n: int, m: int, activation: Any) -> DenseLayer:
    kind = rng.integers(4)
    if kind == 0:
        weights = rng.choice([-127, 127], (m, n)).astype(np.int8)
    elif kind == 1:
        weights = rng.integers(-1, 2, (m, n)).astype(np.int8)
    else:
        weights = rng.integers(-127, 128, (m, n)).astype(np.int8)
    bias = rng.integers(-(2 ** rng.integers(1, 23)), 2 ** rng.integers(1, 23), m).astype(np.int32)
    multipliers = rng.integers(2**30, 2**31, m).astype(np.int32)
    multipliers[rng.random(m) < 0.3] = 2**30
    spread = np.log2(np.maximum(accumulator_bound(weights, bias), 1))
    # Mostly such that outputs fill the range, sometimes any shift that can be proved.
    fitting = np.clip(7 - spread + rng.integers(-1, 4, m), -31, 30).astype(int)
    largest = np.floor(30.9 - spread).astype(int)
    anywhere = rng.integers(-31, 31, m)
    shifts = np.minimum(np.where(rng.random(m) < 0.3, anywhere, fitting), largest)
    scale = float(rng.uniform(1e-3, 0.1))
    return DenseLayer(
        weights=weights,
        bias=bias,
        weight_scales=rng.uniform(1e-4, 1e-1, m),
        multipliers=multipliers,
        shifts=np.clip(shifts, -31, 30).astype(np.int8),
        input_scale=1 / 127,
        output_scale=scale,
        activation=activation,
        activation_min=0 if activation == "relu" else -127,
        activation_max=127,
        table=activation_table(activation, scale),
    )
