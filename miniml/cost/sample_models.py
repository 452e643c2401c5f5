"""Models to calibrate on: every path of the kernel, in independent proportions.

Nothing is trained; weights are random from a fixed seed and scales are set so that the outputs
fill their range, with some rows beyond it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from miniml.fixed_point import quantize_multiplier
from miniml.model import Activation, DenseLayer, InputQuantizer, Int8Array, QuantizedModel

# Widths and activations; small ones tell the layer from the row and the row from the pair.
_SHAPES: tuple[tuple[tuple[int, ...], tuple[Activation, ...]], ...] = (
    ((64, 32, 16, 10), ("relu", "relu", "linear")),
    ((1, 7, 1), ("relu", "linear")),
    ((2, 4, 1), ("tanh", "sigmoid")),
    ((9, 5, 3, 12, 2), ("relu", "linear", "relu", "linear")),
    ((33, 1, 21, 4), ("linear", "tanh", "linear")),
    ((16, 24, 8), ("sigmoid", "linear")),
    ((100, 10), ("linear",)),
    ((3, 40, 3), ("relu", "linear")),
    ((20, 1, 1, 30), ("relu", "linear", "relu")),
    ((48, 20, 20), ("relu", "tanh")),
)


def sample_models(seed: int, count: int) -> list[QuantizedModel]:
    """`count` models named m0, m1, ...; the same for the same seed."""
    rng = np.random.default_rng(seed)
    return [
        _model(rng, f"m{index}", *_SHAPES[index % len(_SHAPES)], input_min=-127 * (index % 5 > 0))
        for index in range(count)
    ]


def sample_inputs(model: QuantizedModel, seed: int, count: int) -> Int8Array:
    """int8, (count, n_inputs): uniform, small, and with many -128."""
    rng = np.random.default_rng(seed)
    values = rng.integers(-128, 128, (count, model.n_inputs))
    values[1::3] //= 8
    values[2::3][rng.random(values[2::3].shape) < 0.3] = -128
    return values.astype(np.int8)


def _model(
    rng: np.random.Generator,
    name: str,
    widths: Sequence[int],
    activations: Sequence[Activation],
    input_min: int,
) -> QuantizedModel:
    layers = tuple(
        _layer(rng, n, m, activation)
        for n, m, activation in zip(widths, widths[1:], activations, strict=False)
    )
    n_in, n_out = widths[0], widths[-1]
    return QuantizedModel(
        name=name,
        task="regression",
        features=tuple(f"x{i}" for i in range(n_in)),
        labels=(),
        input=InputQuantizer(np.ones(n_in, np.float32), np.zeros(n_in, np.float32), input_min),
        layers=layers,
        output_scale=np.ones(n_out),
        output_offset=np.zeros(n_out),
    )


def _layer(rng: np.random.Generator, n: int, m: int, activation: Activation) -> DenseLayer:
    # Rows of very different magnitude, so that shifts to both sides and of many bits occur.
    size = np.exp2(rng.uniform(0, 7, (m, 1)))
    weights = np.clip(np.rint(rng.normal(0, size, (m, n))), -127, 127).astype(np.int8)
    spread = 60 * np.sqrt((weights.astype(float) ** 2).sum(axis=1)) + 1
    bias = np.rint(rng.normal(0, spread)).astype(np.int32)
    gains = rng.choice([0.02, 0.3, 0.5, 1, 3], m)
    # A gain above one needs a left shift; only rows that can't overflow get one.
    reals = np.minimum(60 * gains / spread, 2.0**31 / (127 * np.abs(weights).sum(1) + 2e5))
    left = rng.random(m) < 0.15
    reals[left] = np.exp2(rng.uniform(0, 5, left.sum()))
    pairs = [quantize_multiplier(float(real)) for real in reals]
    return DenseLayer(
        weights=weights,
        bias=bias,
        weight_scales=np.ones(m),
        multipliers=np.array([multiplier for multiplier, _ in pairs], np.int32),
        shifts=np.array([shift for _, shift in pairs], np.int8),
        input_scale=1.0,
        output_scale=1.0,
        activation=activation,
        activation_min=0 if activation == "relu" else -127,
        activation_max=int(rng.integers(90, 128)),
        table=rng.integers(-127, 128, 256).astype(np.int8)
        if activation in ("sigmoid", "tanh")
        else None,
    )
