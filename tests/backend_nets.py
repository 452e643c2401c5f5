"""Nets and inputs on which backends are compared: what training makes, and what it never would.

Depth 1 to 6, width 1 to 128, all activations, a multiplier a row or a layer, multipliers that are
powers of two (an odd accumulator is then a tie of the first rounding), shifts over the whole range
that can be proved, saturated rows, inputs of -128.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from random_float_models import edge_features, random_features, random_pair
from random_models import random_model

from miniml import reference, reference_float
from miniml.fixed_point import requantize
from miniml.float_net import FloatMode, FloatNet, make_float_net
from miniml.model import DenseLayer, InputQuantizer, Int8Array, QuantizedModel, validate

MAX_DEPTH, MAX_WIDTH = 6, 128


@dataclass(frozen=True, eq=False)
class Net:
    """A model and rows to run; outputs: one array (rows, width) a layer.

    All values are int8, or float32 where the model is a FloatNet.
    """

    model: QuantizedModel | FloatNet
    inputs: NDArray[Any]
    outputs: list[NDArray[Any]]


def float_net(
    mode: FloatMode, seed: tuple[int, ...], name: str, rows: int, most_weights: int = 10**9
) -> Net:
    """A net of a float mode, with infinities, NaN, subnormals and zeros among the inputs."""
    rng = np.random.default_rng(seed)
    macs = most_weights + 1
    while macs > most_weights:
        number = int(rng.integers(2**31))
        quantized, trained = random_pair(number, name=name, per_channel=bool(number % 2))
        macs = quantized.macs
    made = make_float_net(quantized, trained, mode)
    features = np.concatenate([edge_features(trained), random_features(trained, rows, number)])
    return Net(made, features[:rows], reference_float.run_layers(made, features[:rows]))


def net(seed: tuple[int, ...], name: str, rows: int, most_weights: int = 10**9) -> Net:
    """The same for the same seed; inputs int8 (rows, n_inputs)."""
    rng = np.random.default_rng(seed)
    widths = _widths(rng)
    while sum(a * b for a, b in pairwise(widths)) > most_weights:
        widths = _widths(rng)
    model = random_model(rng, widths=widths, task="regression")
    layers = model.layers
    if rng.random() < 0.5:
        layers = tuple(_one_multiplier(layer) for layer in layers)
    layers = tuple(_other_clamp(rng, layer) for layer in layers)
    entry = InputQuantizer(
        model.input.inv_scale, model.input.offset, input_min=int(rng.choice([-127, -127, 0]))
    )
    model = dataclasses.replace(model, name=name, layers=layers, input=entry)
    validate(model)
    inputs = _inputs(rng, rows, model.n_inputs)
    return Net(model, inputs, reference.run_layers(model, inputs))


def _widths(rng: np.random.Generator) -> list[int]:
    # Every other width anywhere in the range; the others where kernels go in blocks.
    corners = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128]
    count = int(rng.integers(1, MAX_DEPTH + 1)) + 1
    return [
        int(rng.choice(corners)) if rng.random() < 0.5 else int(rng.integers(1, MAX_WIDTH + 1))
        for _ in range(count)
    ]


def _one_multiplier(layer: DenseLayer) -> DenseLayer:
    """As per_layer has it; the smallest shift is proved for every row."""
    return dataclasses.replace(
        layer,
        multipliers=np.full_like(layer.multipliers, layer.multipliers[0]),
        shifts=np.full_like(layer.shifts, layer.shifts.min()),
    )


def _other_clamp(rng: np.random.Generator, layer: DenseLayer) -> DenseLayer:
    if rng.random() < 0.8:
        return layer
    return dataclasses.replace(layer, activation_max=int(rng.integers(1, 127)))


def _inputs(rng: np.random.Generator, rows: int, n: int) -> Int8Array:
    values = rng.integers(-128, 128, (rows, n))
    values[1::4] //= 16
    values[2::4][rng.random(values[2::4].shape) < 0.5] = -128
    values[3::4] = rng.choice([-128, -127, 0, 127], values[3::4].shape)
    values[0], values[-1] = 127, -128
    return values.astype(np.int8)


@dataclass
class Hardness:
    """How many of the requantized values were what implementations differ in."""

    values: int = 0
    ties_first: int = 0
    ties_second: int = 0
    saturated: int = 0
    single_rounding_differs: int = 0

    def count(self, found: Net, rows: int) -> None:
        """Adds the first rows of an int8 net."""
        if isinstance(found.model, FloatNet):
            return
        values = reference.clamp_inputs(found.model, found.inputs[:rows])
        for layer, outputs in zip(found.model.layers, found.outputs, strict=True):
            self._count_layer(layer, values)
            values = outputs[:rows]

    def _count_layer(self, layer: DenseLayer, values: Int8Array) -> None:
        accumulators = values.astype(np.int64) @ layer.weights.T.astype(np.int64) + layer.bias
        shifts = layer.shifts.astype(np.int64)
        product = (accumulators << np.maximum(shifts, 0)) * layer.multipliers.astype(np.int64)
        high = (product + (1 << 30)) >> 31
        right = np.maximum(-shifts, 0)
        half = np.where(right > 0, np.int64(1) << np.maximum(right - 1, 0), np.int64(0))
        twice = requantize(accumulators, layer.multipliers, layer.shifts)
        once = (((accumulators * layer.multipliers) >> (30 - shifts)) + 1) >> 1
        low, top = layer.activation_min, layer.activation_max
        self.values += product.size
        self.ties_first += _count(product & (2**31 - 1) == 2**30)
        self.ties_second += _count((right > 0) & (high & ((np.int64(1) << right) - 1) == half))
        self.saturated += _count((twice < low) | (twice > top))
        self.single_rounding_differs += _count(np.clip(once, low, top) != np.clip(twice, low, top))


def _count(where: NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(where))
