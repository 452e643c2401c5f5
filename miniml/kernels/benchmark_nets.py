"""The nets that kernels are compared on: random weights, every parameter stated.

Weights standard normal, each row scaled to 127; biases of a tenth of the largest accumulator that
the row showed; hidden layers ReLU, the last one linear; output scales such that the largest of 200
inputs' values is 127. numpy `default_rng(seed)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from miniml import reference
from miniml.fixed_point import quantize_multiplier
from miniml.model import DenseLayer, InputQuantizer, Int8Array, QuantizedModel

WIDTHS: dict[str, tuple[int, ...]] = {
    "N3": (64, 16, 10),
    "N4": (64, 32, 16, 10),
    "N5": (196, 32, 10),
    # MLPerf Tiny's anomaly detection autoencoder
    "N6": (640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640),
}
CALIBRATION_ROWS = 200


@dataclass(frozen=True, eq=False)
class BenchmarkNet:
    """A net and inputs to run it on, int8 (n, n_inputs).

    `signed`: inputs uniform in [-127, 127]; else the net declares [0, 127], and half of them
    are zero.
    """

    name: str
    seed: int
    signed: bool
    model: QuantizedModel
    inputs: Int8Array


def benchmark_net(name: str, seed: int, *, signed: bool = False, rows: int = 20) -> BenchmarkNet:
    """A net of WIDTHS; `signed` makes it N3s instead of N3."""
    rng = np.random.default_rng(seed)
    widths = WIDTHS[name]
    values = _inputs(rng, CALIBRATION_ROWS, widths[0], signed)
    layers = []
    input_scale = 1.0 / 127
    for number, (n, m) in enumerate(pairwise(widths), start=2):
        layer = _layer(rng, values, n, m, input_scale, last=number == len(widths))
        layers.append(layer)
        values = reference.run_layer(layer, values)
        input_scale = layer.output_scale
    model = QuantizedModel(
        name=f"{name.lower()}{'s' if signed else ''}_{seed}",
        task="regression",
        features=tuple(f"x{index}" for index in range(widths[0])),
        labels=(),
        input=InputQuantizer(
            np.full(widths[0], 127, np.float32),
            np.zeros(widths[0], np.float32),
            -127 if signed else 0,
        ),
        layers=tuple(layers),
        output_scale=np.full(widths[-1], layers[-1].output_scale),
        output_offset=np.zeros(widths[-1]),
    )
    return BenchmarkNet(name, seed, signed, model, _inputs(rng, rows, widths[0], signed))


def _inputs(rng: np.random.Generator, rows: int, n: int, signed: bool) -> Int8Array:
    if signed:
        return rng.integers(-127, 128, (rows, n)).astype(np.int8)
    values = rng.integers(0, 128, (rows, n))
    return np.where(rng.random((rows, n)) < 0.5, 0, values).astype(np.int8)


def _layer(
    rng: np.random.Generator, values: Int8Array, n: int, m: int, input_scale: float, *, last: bool
) -> DenseLayer:
    real = rng.standard_normal((m, n))
    scales = np.abs(real).max(axis=1) / 127
    weights = np.rint(real / scales[:, np.newaxis]).astype(np.int8)
    products = values.astype(np.int64) @ weights.T.astype(np.int64)
    largest = np.abs(products).max(axis=0)
    bias = np.rint(rng.uniform(-0.1, 0.1, m) * largest).astype(np.int32)
    outputs = (products + bias) * (scales * input_scale)
    if not last:
        outputs = np.maximum(outputs, 0.0)
    output_scale = float(np.abs(outputs).max()) / 127
    pairs = [quantize_multiplier(float(scale * input_scale / output_scale)) for scale in scales]
    return DenseLayer(
        weights=weights,
        bias=bias,
        weight_scales=scales,
        multipliers=np.array([multiplier for multiplier, _ in pairs], np.int32),
        shifts=np.array([shift for _, shift in pairs], np.int8),
        input_scale=input_scale,
        output_scale=output_scale,
        activation="linear" if last else "relu",
        activation_min=-127 if last else 0,
        activation_max=127,
    )
