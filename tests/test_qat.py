"""Quantization-aware training: its forward pass is the int8 model; it mends what int8 breaks."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import settings as budget
from hypothesis import strategies as st
from test_training import load, silent, weights, with_training

from miniml import reference
from miniml.calibration import Calibration, measure, observe
from miniml.errors import MultiplierError
from miniml.fixed_point import quantize_multiplier, quantize_multipliers
from miniml.float_model import Activation, FloatLayer, FloatModel
from miniml.network import Network
from miniml.pipeline import make_lock
from miniml.qat import Int8Forward
from miniml.quantization import quantize
from miniml.scaling import Scaler
from miniml.settings import Settings, parse_settings
from miniml.training import train, tune_for_int8

HERE = Path("model.toml")


@budget(deadline=None)
@given(st.floats(0, 2.0**29))
@example(0.0)
@example(2.0**-32)
@example(0.99999999999)
@example(2.0**-33)
@example(1.0)
@example(5e-324)
def test_multipliers_at_once_are_those_one_by_one(real: float) -> None:
    multipliers, shifts = quantize_multipliers(np.array([real]))
    assert (int(multipliers[0]), int(shifts[0])) == quantize_multiplier(real)


def test_a_multiplier_that_is_too_large_is_the_largest_only_in_training() -> None:
    with pytest.raises(MultiplierError):
        quantize_multiplier(2.0**31)
    assert int(quantize_multipliers(np.array([2.0**31]))[1][0]) == 30


def settings_of(scaling: str, per_channel: bool) -> Settings:
    content = {"data": {"scaling": scaling}, "quantization": {"per_channel": per_channel}}
    return parse_settings({"model": {"name": "m"}, **content}, HERE)


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "linear"])
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_the_forward_pass_is_the_int8_model_to_the_byte(
    activation: Activation, per_channel: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    widths = [5, 9, 7, 3]
    layers = tuple(
        FloatLayer(
            rng.normal(0, 1, (out, into)).astype(np.float32),
            rng.normal(0, 0.5, out).astype(np.float32),
            activation if index < 2 else "linear",
        )
        for index, (into, out) in enumerate(itertools.pairwise(widths))
    )
    scaler = Scaler(np.zeros(5), np.ones(5))
    model = FloatModel("classification", tuple("abcde"), tuple("xyz"), scaler, None, layers, True)
    # Steps of a power of two: in binary32, as on the device, and in binary64 they are the same.
    inputs = rng.integers(-127, 128, (200, 5)) / 128
    settings = settings_of("none", per_channel)
    ranges = measure(list(observe(model, inputs, settings)), settings)
    ranges = Calibration(input=127 / 128, layers=tuple(0.5 * size for size in ranges.layers))
    int8 = quantize(model, ranges, name="m", per_channel=per_channel)
    outputs = reference.run_layers(int8, reference.quantize_inputs(int8, inputs.astype(np.float32)))
    ran = Int8Forward(Network.from_layers(layers, "softmax"), ranges, settings).run(inputs)
    for values, wanted, layer in zip(ran.values[1:], outputs, int8.layers, strict=True):
        scale = 1 / 127 if layer.table is not None else layer.output_scale
        assert np.array_equal(np.rint(values / scale), wanted)
    clipped = (np.abs(outputs[-1]) == 127) & (ran.slopes[-1] == 0.0)
    assert clipped.any(), "half the range cuts something off"


def with_outlier(model: FloatModel, features: Any, size: float = 40) -> FloatModel:
    """One weight of one row `size` times the largest, at a pixel that no row lights: no output of
    the float model changes.
    """
    dark = int(np.flatnonzero(~features.any(axis=0))[0])
    rows = model.layers[0].weights.copy()
    rows[3, dark] = size * np.abs(rows).max()
    first = dataclasses.replace(model.layers[0], weights=rows)
    return dataclasses.replace(model, layers=(first, *model.layers[1:]))


def test_an_outlier_row_ruins_per_layer_and_per_channel_or_qat_mends_it() -> None:
    settings, dataset, split = load("digits")
    lost: dict[str, list[float]] = {"per_layer": [], "per_channel": [], "qat": []}
    for seed in (1, 2, 3):
        seeded = with_training(settings, seed=seed, epochs=20)
        model = with_outlier(train(dataset, split, seeded, silent), dataset.features, 80)
        per_layer = dataclasses.replace(
            with_training(seeded, qat_epochs=15),
            quantization=dataclasses.replace(seeded.quantization, per_channel=False),
        )
        tuned = tune_for_int8(model, dataset, split, per_layer, silent)
        metrics = make_lock(seeded, "", dataset, split, model).metrics
        lost["per_channel"].append(metrics["accuracy_loss"])
        for name, floats in (("per_layer", model), ("qat", tuned)):
            int8 = make_lock(per_layer, "", dataset, split, floats).metrics["int8_accuracy"]
            lost[name].append(metrics["float_accuracy"] - int8)
    mean = {name: sum(losses) / len(losses) for name, losses in lost.items()}
    assert mean["per_layer"] > 5.0
    assert mean["per_channel"] < mean["per_layer"] / 3
    assert mean["qat"] < mean["per_layer"] / 3


def test_tuning_saved_weights_is_training_from_the_start() -> None:
    settings, dataset, split = load("sine")
    plain = with_training(settings, epochs=20)
    aware = with_training(plain, qat_epochs=5)
    tuned = tune_for_int8(train(dataset, split, plain, silent), dataset, split, aware, silent)
    assert weights(tuned) == weights(train(dataset, split, aware, silent))
    assert weights(tuned) != weights(train(dataset, split, plain, silent))


def test_only_with_qat_does_quantization_train_again() -> None:
    plain = parse_settings({"model": {"name": "m"}}, HERE)
    aware = parse_settings({"model": {"name": "m"}, "training": {"qat_epochs": 3}}, HERE)
    assert "quantization" not in plain.training_content()
    assert aware.training_content()["quantization"]["per_channel"] is True


def test_later_keys_leave_older_locks_current() -> None:
    plain = parse_settings({"model": {"name": "m"}}, HERE)
    content = str(plain.training_content()) + str(plain.quantization_content())
    for key in ("weight_limit", "qat_epochs", "range", "bias_correction"):
        assert key not in content
    set_ = parse_settings({"model": {"name": "m"}, "quantization": {"range": "mse"}}, HERE)
    assert set_.quantization_content()["quantization"]["range"] == "mse"
