"""Random nets for the AVR kernels: drawn to fit the chip, and to break each precondition."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from random_models import random_model

from miniml.fixed_point import accumulator_bound, quantize_multiplier
from miniml.kernels.avr.plan import METHODS
from miniml.kernels.program import KernelOptions
from miniml.model import DenseLayer, Int8Array, QuantizedModel, validate

SUMS = ("loop", "tall", "block", "straight", "winograd", "shared")


def draw(seed: int) -> tuple[QuantizedModel, KernelOptions, Int8Array]:
    """A net of one to six layers, how to generate it, and a few inputs."""
    rng = np.random.default_rng(seed)
    depth = int(rng.integers(1, 7))
    widest = int(rng.choice([4, 9, 17])) if depth > 2 else int(rng.choice([8, 24, 60]))
    widths = rng.integers(1, widest + 1, depth + 1)
    widths[1:] = np.minimum(widths[1:], 17)
    if seed % 50 == 0:  # more than 256 inputs; many rows
        widths = np.array([int(rng.integers(257, 400)), int(rng.integers(1, 12)), 2])
    elif seed % 50 == 1:
        widths = np.array([int(rng.integers(1, 8)), int(rng.integers(40, 100)), 3])
    model = random_model(rng, widths=widths.tolist())
    layers = tuple(_changed(rng, layer) for layer in model.layers)
    quantizer = dataclasses.replace(model.input, input_min=int(rng.choice([0, -127])))
    model = dataclasses.replace(model, name=f"net_{seed}", layers=layers, input=quantizer)
    validate(model)
    inputs = rng.integers(-128, 128, (4, model.n_inputs)).astype(np.int8)
    inputs[0], inputs[1] = rng.choice([-128, -127, 0, 127], (2, model.n_inputs))
    return model, _options(rng, model.macs), inputs


def _options(rng: np.random.Generator, macs: int) -> KernelOptions:
    """The fastest, the smallest, or one method for the sums and some for the requantization."""
    kind = rng.integers(4)
    if kind == 0:
        return KernelOptions(optimize="flash")
    # From what a loop takes to more than straight lines do.
    limit = int(rng.integers(1500, 5000) + macs * rng.uniform(2, 11))
    if kind == 1:
        return KernelOptions(flash_bytes=limit)
    some = [*rng.choice(SUMS, 2), *rng.choice(METHODS[-2:], int(rng.integers(3)))]
    return KernelOptions(flash_bytes=limit, methods=tuple(map(str, some)))


def _changed(rng: np.random.Generator, layer: DenseLayer) -> DenseLayer:
    """Outputs in range, ordinary weights, ties, saturated or lopsided rows, other clamps."""
    changes: dict[str, Any] = {}
    kind = rng.integers(6)
    if kind <= 2:  # as after training: the preconditions hold for most rows
        spread = rng.choice([3.0, 20.0, 50.0])
        drawn = np.clip(np.rint(rng.normal(0, spread, layer.weights.shape)), -127, 127)
        if kind == 1:  # weights of a row all of one sign: sums far from zero
            drawn = np.abs(drawn) * rng.choice([-1, 1], (layer.n_outputs, 1))
        weights = drawn.astype(np.int8)
        bias = layer.bias // int(rng.choice([1, 16, 256]))
        bound = accumulator_bound(weights, bias)
        reals = rng.uniform(100, 600, layer.n_outputs) / np.maximum(bound, 1)
        if rng.random() < 0.3:  # powers of two: the first rounding has exact ties
            reals = np.exp2(np.rint(np.log2(reals)))
        pairs = [
            quantize_multiplier(float(min(real, 2.0**30 / b)))
            for real, b in zip(reals, np.maximum(bound, 1), strict=True)
        ]
        changes |= {
            "weights": weights,
            "bias": bias.astype(np.int32),
            "multipliers": np.array([multiplier for multiplier, _ in pairs], np.int32),
            "shifts": np.array([shift for _, shift in pairs], np.int8),
        }
    if kind == 3:  # sums that take 32 bits
        bias = rng.integers(-(2**29), 2**29, layer.n_outputs).astype(np.int32)
        bound = accumulator_bound(layer.weights, bias)
        most = np.floor(30.9 - np.log2(np.maximum(bound, 1))).astype(int)
        changes |= {
            "bias": bias,
            "shifts": np.minimum(layer.shifts, np.minimum(most, 0)).astype(np.int8),
        }
    if layer.activation in ("relu", "linear") and rng.random() < 0.3:
        low, high = sorted(rng.integers(-127, 128, 2).tolist())
        changes |= {"activation_min": low, "activation_max": high}
    return dataclasses.replace(layer, **changes)
