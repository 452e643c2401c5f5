"""Bias correction, and nets as ordinary training leaves them: all of them can be quantized."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from test_ranges import using
from test_training import load, silent, with_training

from miniml import reference
from miniml.bias_correction import correct_biases
from miniml.calibration import calibration_rows
from miniml.errors import WeightError
from miniml.float_model import FloatModel, affine
from miniml.model import QuantizedModel, validate
from miniml.pipeline import make_lock
from miniml.post_training import quantize_trained
from miniml.training import train


def mean_shift(floats: FloatModel, int8: QuantizedModel, features: Any) -> float:
    """Largest |mean over the rows of float sum - int8 sum| of the last layer, in real units."""
    wanted = affine(floats.layers[-1], floats.run_layers(features)[-2])
    steps = reference.quantize_inputs(int8, features.astype(np.float32))
    steps = reference.run_layers(int8, steps)[-2]
    last = int8.layers[-1]
    got = reference.accumulate(last, steps) * (last.input_scale * last.weight_scales)
    return float(np.abs((wanted - got).mean(axis=0)).max())


@pytest.mark.parametrize("name", ["digits", "sine"])
def test_bias_correction_takes_the_mean_error_out(name: str) -> None:
    settings, dataset, split = load(name)
    model = train(dataset, split, with_training(settings, epochs=10), silent)
    features = dataset.features[calibration_rows(split, settings)]
    coarse = using(settings, per_channel=False)
    plain = quantize_trained(model, features, coarse)
    corrected = quantize_trained(model, features, using(coarse, bias_correction=True))
    for one, two in zip(plain.layers, corrected.layers, strict=True):
        assert np.array_equal(one.weights, two.weights)
    assert plain.model_id != corrected.model_id
    before, after = (mean_shift(model, int8, features) for int8 in (plain, corrected))
    last = corrected.layers[-1]
    # What is left is the rounding of the bias itself, half a step, and of its binary32.
    step = float(last.input_scale * last.weight_scales.max())
    assert after <= 0.51 * step < before


def test_bias_correction_is_the_formula() -> None:
    settings, dataset, split = load("sine")
    model = train(dataset, split, with_training(settings, epochs=3), silent)
    features = dataset.features[split.calibration]
    plain = quantize_trained(model, features, settings)
    steps = reference.quantize_inputs(plain, features.astype(np.float32)).astype(int)
    first = plain.layers[0]
    corrected = correct_biases(model, features, lambda m: quantize_trained(m, features, settings))
    sums = affine(model.layers[0], model.scaler.scale(features))
    for row in range(first.n_outputs):
        real = first.input_scale * float(first.weight_scales[row])
        weight, bias = int(first.weights[row, 0]), int(first.bias[row])
        lost = [
            float(s) - (bias + weight * int(q)) * real
            for s, q in zip(sums[:, row], steps[:, 0], strict=True)
        ]
        wanted = np.float32(bias * real + math.fsum(lost) / len(lost))
        assert corrected.layers[0].bias[row] == wanted


def test_weights_that_are_no_numbers_are_refused_whatever_is_asked_for() -> None:
    settings, dataset, split = load("digits")
    model = train(dataset, split, with_training(settings, epochs=1), silent)
    broken = model.layers[1].weights.copy()
    broken[0, 0] = np.nan
    layers = (model.layers[0], dataclasses.replace(model.layers[1], weights=broken))
    model = dataclasses.replace(model, layers=(*layers, *model.layers[2:]))
    for method in ("minmax", "percentile", "mse", "kl"):
        for corrected in (False, True):
            asked = using(settings, range=method, bias_correction=corrected)
            with pytest.raises(WeightError, match="layer 2: a weight is nan, not finite"):
                make_lock(asked, "", dataset, split, model)


@pytest.mark.parametrize(
    ("weight_decay", "learning_rate"), [(0.0, 0.03), (0.001, 0.03), (0.1, 0.03), (1.0, 0.1)]
)
def test_ordinary_nets_quantize_dead_rows_included(
    weight_decay: float, learning_rate: float
) -> None:
    """Ten seeds a decay; with much of it, rows die: tiny weights, a real bias."""
    settings, dataset, split = load("digits")
    few = dataclasses.replace(split, train=split.train[::4])
    dead = 0
    for seed in range(10):
        seeded = with_training(
            settings,
            seed=seed,
            epochs=20 if weight_decay == 1.0 else 8,
            weight_decay=weight_decay,
            learning_rate=learning_rate,
        )
        model = train(dataset, few, seeded, silent)
        first = model.layers[0]
        dead += int((np.abs(first.weights).max(axis=1) < 1e-3 * np.abs(first.bias)).sum())
        for per_channel in (True, False):
            for method in ("minmax", "mse"):
                asked = using(seeded, per_channel=per_channel, range=method)
                validate(quantize_trained(model, dataset.features[few.train], asked))
    assert dead or weight_decay < 1.0, "the decay was meant to leave dead rows"
