"""Train a multilayer perceptron in numpy: what it should say, where it starts, how often.

The network is in `network`, the loop in `descent`: to be read in one sitting. Seeded with
numpy's default_rng, so a run can be repeated on one machine with one version of numpy and of
its BLAS; no further. From the float32 weights that come out, everything is the same on every
machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from miniml.dataset import Dataset, Split
from miniml.descent import Progress, descend
from miniml.errors import ModelError
from miniml.float_model import Activation, FloatModel
from miniml.network import Loss, Network
from miniml.qat import fine_tune
from miniml.scaling import Scaler, Scaling, fit_scaler
from miniml.settings import Settings

Float64Array = NDArray[np.float64]

# Part of the cache's key: raise it whenever the same settings may give other weights.
TRAINER_VERSION = 1


def train(dataset: Dataset, split: Split, settings: Settings, progress: Progress) -> FloatModel:
    """Train on the training rows, starting again up to `restarts` times.

    A run whose final training loss is above `target_loss` is tried again with other initial
    weights, and the run with the lowest loss wins.

    Args:
        dataset: features and labels.
        split: only `train` is read.
        settings: network and training.
        progress: called with epoch, epochs and the epoch's mean loss.

    Raises:
        ModelError: every run diverged.
        WeightError, CalibrationError: with [training] qat_epochs, see `tune_for_int8`.
    """
    model = _train_float(dataset, split, settings, progress)
    if settings.training.qat_epochs:
        return tune_for_int8(model, dataset, split, settings, progress)
    return model


def tune_for_int8(
    model: FloatModel, dataset: Dataset, split: Split, settings: Settings, progress: Progress
) -> FloatModel:
    """Train float weights on for [training] qat_epochs, by the int8 model's own outputs.

    Args:
        model: as `train` gives it with these settings and no qat_epochs.
        dataset, split, settings, progress: as for `train`.

    Raises:
        WeightError: training diverged.
        CalibrationError: the rows tell nothing about the ranges.
    """
    targets, _ = _targets(dataset, split, settings)
    loss = _output(settings)[1]
    return fine_tune(model, loss, dataset.features[split.train], targets, settings, progress)


def _train_float(
    dataset: Dataset, split: Split, settings: Settings, progress: Progress
) -> FloatModel:
    scaler = fit_scaler(dataset.features[split.train], settings.data.scaling)
    inputs = scaler.scale(dataset.features[split.train])
    output, loss, softmax = _output(settings)
    targets, target_scaler = _targets(dataset, split, settings)
    widths = [inputs.shape[1], *settings.model.hidden, targets.shape[1]]
    activations: list[Activation] = [*[settings.model.activation] * len(settings.model.hidden)]
    activations.append(output)
    best: Network | None = None
    best_loss = np.inf
    for attempt in range(settings.training.restarts + 1):
        rng = np.random.default_rng([settings.training.seed, attempt])
        network = _initialise(rng, widths, activations, loss)
        with np.errstate(over="ignore", invalid="ignore"):
            final = descend(
                network,
                inputs,
                targets,
                settings.training,
                rng,
                progress,
                epochs=settings.training.epochs,
                learning_rate=settings.training.learning_rate,
            )
        if final < best_loss:
            best, best_loss = network, final
        if best_loss <= settings.training.target_loss:
            break
    layers = () if best is None else best.to_layers()
    if not layers or not all(np.isfinite(x).all() for n in layers for x in (n.weights, n.bias)):
        raise ModelError(
            f"{settings.path}: training diverged: make [training] learning_rate smaller "
            f"(it is {settings.training.learning_rate:g})"
        )
    return FloatModel(
        task=settings.model.task,
        features=dataset.feature_names,
        labels=dataset.classes,
        scaler=scaler,
        target_scaler=target_scaler,
        layers=layers,
        softmax=softmax,
    )


def _output(settings: Settings) -> tuple[Activation, Loss, bool]:
    """Activation of the last layer, the loss that suits it, and whether softmax follows."""
    chosen = settings.output_activation
    if chosen == "softmax":
        return "linear", "softmax", True
    if settings.model.task == "classification" and chosen == "linear":
        return "linear", "softmax", False
    if settings.model.task == "classification" and chosen == "sigmoid":
        return "sigmoid", "sigmoid", False
    return chosen, "squared", False


def _targets(
    dataset: Dataset, split: Split, settings: Settings
) -> tuple[Float64Array, Scaler | None]:
    """What the last layer should say, (n, n_outputs), and the regression's scaler.

    Two classes with sigmoid or tanh take one output, everything else one a class.
    """
    output = settings.output_activation
    if settings.model.task == "regression":
        ranges: dict[str, Scaling] = {"linear": "standard", "tanh": "symmetric"}
        scaler = fit_scaler(dataset.targets[split.train], ranges.get(output, "minmax"))
        return scaler.scale(dataset.targets[split.train]), scaler
    indices = dataset.class_indices[split.train]
    if len(dataset.classes) == 2 and output in ("sigmoid", "tanh"):
        wanted = indices[:, np.newaxis].astype(np.float64)
    else:
        wanted = np.eye(len(dataset.classes))[indices]
    return (2.0 * wanted - 1.0 if output == "tanh" else wanted), None


def _initialise(
    rng: np.random.Generator, widths: list[int], activations: list[Activation], loss: Loss
) -> Network:
    """He's normal initialisation for relu, Glorot's uniform one otherwise.

    Biases are uniform in +-1 / sqrt(fan_in): from biases of 0 the kinks of a relu layer all
    begin at the input's origin, the edge of its range after minmax scaling.
    """
    weights, biases = [], []
    for fan_in, fan_out, activation in zip(widths, widths[1:], activations, strict=False):
        if activation == "relu":
            weights.append(rng.normal(0.0, np.sqrt(2.0 / fan_in), (fan_in, fan_out)))
        else:
            limit = np.sqrt(6.0 / (fan_in + fan_out))
            weights.append(rng.uniform(-limit, limit, (fan_in, fan_out)))
        biases.append(rng.uniform(-1.0, 1.0, fan_out) / np.sqrt(fan_in))
    return Network(weights, biases, activations, loss)
