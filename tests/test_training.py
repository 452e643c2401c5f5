"""Training: right gradients, XOR from every seed, divergence, seeds, restarts."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from miniml.dataset import Dataset, Split, load_dataset, split_rows
from miniml.errors import ModelError
from miniml.float_model import FloatModel
from miniml.network import Network
from miniml.pipeline import make_lock, progress_line
from miniml.settings import Settings, load_settings
from miniml.training import train

MODELS = Path(__file__).parent.parent / "firmware" / "models"


def load(name: str) -> tuple[Settings, Dataset, Split]:
    settings = load_settings(MODELS / name)
    dataset = load_dataset(settings.data_path, settings.data, settings.model.task)
    return settings, dataset, split_rows(dataset, settings.data)


def with_training(settings: Settings, **values: Any) -> Settings:
    return dataclasses.replace(settings, training=dataclasses.replace(settings.training, **values))


def silent(epoch: int, epochs: int, loss: float) -> None:
    """No progress."""


HIDDEN = ("relu", "linear", "sigmoid", "tanh")
ENDS = [("linear", "softmax"), ("sigmoid", "sigmoid"), *((a, "squared") for a in HIDDEN)]


@pytest.mark.parametrize(("hidden", "end"), list(itertools.product(HIDDEN, ENDS)))
def test_gradients_match_finite_differences(hidden: Any, end: tuple[Any, Any]) -> None:
    rng = np.random.default_rng(7)
    widths = [3, 4, 5, 2]
    network = Network(
        weights=[rng.normal(0, 0.7, shape) for shape in itertools.pairwise(widths)],
        biases=[rng.normal(0, 0.3, width) for width in widths[1:]],
        activations=[hidden, hidden, end[0]],
        loss=end[1],
    )
    if end[0] == "relu":
        network.biases[-1] += 30  # away from 0, where outputs are pulled up without a slope
    inputs = rng.normal(0, 1, (6, 3))
    targets = np.eye(2)[rng.integers(0, 2, 6)]
    network.gradients(network.forward(inputs), targets)
    gradient = network.gradient.copy()
    step = 1e-6
    for index, before in enumerate(network.parameters.tolist()):
        network.parameters[index] = before + step
        above = network.gradients(network.forward(inputs), targets)
        network.parameters[index] = before - step
        below = network.gradients(network.forward(inputs), targets)
        network.parameters[index] = before
        assert (above - below) / (2 * step) == pytest.approx(gradient[index], abs=1e-5)


@pytest.mark.parametrize("limit", [0.2, 0.5])
def test_a_weight_limit_holds_and_the_net_still_learns(limit: float) -> None:
    settings, dataset, split = load("digits")
    free = train(dataset, split, with_training(settings, epochs=8), silent)
    assert max(float(np.abs(layer.weights).max()) for layer in free.layers) > limit
    limited = with_training(settings, epochs=8, weight_limit=limit)
    model = train(dataset, split, limited, silent)
    assert max(float(np.abs(layer.weights).max()) for layer in model.layers) <= np.float32(limit)
    assert make_lock(limited, "", dataset, split, model).metrics["float_accuracy"] > 80


def test_xor_is_learnt_from_every_seed() -> None:
    settings, dataset, split = load("xor")
    for seed in range(100):
        seeded = with_training(settings, seed=seed)
        model = train(dataset, split, seeded, silent)
        metrics = make_lock(seeded, "", dataset, split, model).metrics
        assert metrics["int8_accuracy"] == 100.0, f"seed {seed}"
        assert metrics["float_accuracy"] == 100.0, f"seed {seed}"


def weights(model: FloatModel) -> bytes:
    return b"".join(layer.weights.tobytes() + layer.bias.tobytes() for layer in model.layers)


def test_a_seed_repeats_and_another_differs() -> None:
    settings, dataset, split = load("xor")
    one, two, other = (
        weights(train(dataset, split, with_training(settings, seed=seed), silent))
        for seed in (3, 3, 4)
    )
    assert one == two
    assert one != other


def test_a_restart_never_makes_it_worse() -> None:
    settings, dataset, split = load("xor")
    losses: list[float] = []

    def note(epoch: int, epochs: int, loss: float) -> None:
        if epoch == epochs:
            losses.append(loss)

    short = with_training(settings, epochs=3, restarts=4, target_loss=0.0)
    train(dataset, split, short, note)
    assert len(losses) == 5
    losses.clear()
    train(dataset, split, with_training(short, target_loss=1e9), note)
    assert len(losses) == 1


def test_divergence_is_an_error() -> None:
    settings, dataset, split = load("sine")
    deep = dataclasses.replace(
        with_training(settings, learning_rate=10.0, epochs=3),
        model=dataclasses.replace(settings.model, hidden=(16,) * 64, activation="linear"),
    )
    with pytest.raises(ModelError, match=r"training diverged: make \[training\] learning_rate"):
        train(dataset, split, deep, silent)


@pytest.mark.parametrize("output", ["linear", "sigmoid", "tanh", "relu"])
def test_every_output_of_a_regression_learns(output: Any) -> None:
    settings, dataset, split = load("sine")
    chosen = dataclasses.replace(
        settings, model=dataclasses.replace(settings.model, output_activation=output)
    )
    model = train(dataset, split, chosen, silent)
    metrics = make_lock(chosen, "", dataset, split, model).metrics
    assert metrics["float_rmse"] < 0.05
    assert metrics["int8_rmse"] < 0.1


@pytest.mark.parametrize("output", ["softmax", "linear", "sigmoid", "tanh", "relu"])
@pytest.mark.parametrize("per_channel", [True, False])
def test_every_output_of_a_classifier_learns(output: Any, per_channel: bool) -> None:
    settings, dataset, split = load("digits")
    chosen = dataclasses.replace(
        with_training(settings, epochs=15),
        model=dataclasses.replace(settings.model, output_activation=output),
        quantization=dataclasses.replace(settings.quantization, per_channel=per_channel),
    )
    model = train(dataset, split, chosen, silent)
    metrics = make_lock(chosen, "", dataset, split, model).metrics
    assert metrics["float_accuracy"] > 90
    assert metrics["int8_accuracy"] > 88


def test_no_progress_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    progress_line("x")(1, 2, 0.5)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""
