"""Models for the campaigns of generated kernels: any shape, and inputs on the thresholds."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
from random_models import random_model

from miniml import reference
from miniml.cost.sample_models import sample_models
from miniml.errors import ModelError
from miniml.model import DenseLayer, Int8Array, QuantizedModel, validate

ROWS = 8


def campaign_model(number: int, most_macs: int = 6000) -> tuple[QuantizedModel, Int8Array]:
    """A valid model named m<number>, depth 1 to 6, and int8 inputs (ROWS, n_inputs).

    A quarter have scales that fill the outputs' range, the others any weights, multiplier and
    shift. The accumulators of the first input lie on or beside thresholds where they can.
    """
    rng = np.random.default_rng([8, number])
    if number % 4 == 0:
        model = sample_models(number, 1 + number // 4 % 10)[-1]
    else:
        model = random_model(rng, widths=_widths(rng, most_macs))
        lowest = int(rng.choice([-127, 0]))
        model = dataclasses.replace(
            model,
            input=dataclasses.replace(model.input, input_min=lowest),
            layers=tuple(_odd_layer(rng, layer) for layer in model.layers),
        )
    inputs = _inputs(rng, model.n_inputs)
    model = dataclasses.replace(_on_thresholds(rng, model, inputs[:1]), name=f"m{number}")
    validate(model)
    return model, inputs


def _widths(rng: np.random.Generator, most_macs: int) -> list[int]:
    while True:
        largest = int(rng.choice([4, 12, 40, 130]))
        widths = rng.integers(1, largest + 1, rng.integers(2, 8)).tolist()
        if sum(a * b for a, b in pairwise(widths)) <= most_macs:
            return [int(width) for width in widths]


def _odd_layer(rng: np.random.Generator, layer: DenseLayer) -> DenseLayer:
    """Now and then rows of zeros, one sign, one column, and clamps of any kind."""
    weights = layer.weights.copy()
    kinds = rng.random(layer.n_outputs)
    weights[kinds < 0.05] = 0
    weights[(kinds >= 0.05) & (kinds < 0.1)] = np.abs(weights[(kinds >= 0.05) & (kinds < 0.1)])
    weights[(kinds >= 0.1) & (kinds < 0.15), 1:] = 0
    changes: dict[str, object] = {"weights": weights}
    if rng.random() < 0.2:
        low, high = sorted(rng.integers(-127, 128, 2).tolist())
        changes |= {"activation_min": low, "activation_max": high}
    return dataclasses.replace(layer, **changes)  # type: ignore[arg-type]


def _inputs(rng: np.random.Generator, n: int) -> Int8Array:
    values = rng.integers(-128, 128, (ROWS, n))
    values[1] = rng.choice([-128, -127, 127], n)
    values[2] = rng.choice([0, 1, -1], n)
    values[3] = -128
    values[4] = 127
    values[5] = rng.integers(0, 128, n) * (rng.random(n) < 0.5)
    return values.astype(np.int8)


def _on_thresholds(
    rng: np.random.Generator, model: QuantizedModel, inputs: Int8Array
) -> QuantizedModel:
    """Moves biases so that the input's accumulators are where the output changes, or next to it."""
    values = reference.clamp_inputs(model, inputs)
    layers: list[DenseLayer] = []
    for layer in model.layers:
        moved = _moved(rng, layer, values)
        candidate = dataclasses.replace(
            model, layers=(*layers, moved, *model.layers[len(layers) + 1 :])
        )
        try:
            validate(candidate)
        except ModelError:
            moved = layer
        layers.append(moved)
        values = reference.run_layer(moved, values)
    return dataclasses.replace(model, layers=tuple(layers))


def _moved(rng: np.random.Generator, layer: DenseLayer, values: Int8Array) -> DenseLayer:
    products = (values.astype(np.int64) @ layer.weights.T.astype(np.int64))[0]
    slopes = layer.multipliers * 2.0 ** (layer.shifts.astype(float) - 31)
    wanted = rng.integers(-128, 129, layer.n_outputs) + 0.5
    target = np.rint(wanted / slopes) + rng.integers(-2, 3, layer.n_outputs)
    bias = target - products
    usable = (np.abs(bias) < 2**22) & (rng.random(layer.n_outputs) < 0.7)
    return dataclasses.replace(
        layer, bias=np.where(usable, bias, layer.bias).astype(np.int64).astype(np.int32)
    )
