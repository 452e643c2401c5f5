"""Train a multilayer perceptron: Adam on minibatches, in numpy, to be read in one sitting.

Seeded with numpy's default_rng, so a run can be repeated on one machine with one version
of numpy and of its BLAS; no further. From the float32 weights that come out, everything
is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from miniml.dataset import Dataset, Split
from miniml.errors import ModelError
from miniml.float_model import Activation, FloatLayer, FloatModel
from miniml.scaling import Scaler, Scaling, fit_scaler
from miniml.settings import Settings, TrainingSettings

Float64Array = NDArray[np.float64]
Progress = Callable[[int, int, float], None]
Loss = Literal["softmax", "sigmoid", "squared"]

# Part of the cache's key: raise it whenever the same settings may give other weights.
TRAINER_VERSION = 1
ADAM_BETA1, ADAM_BETA2, ADAM_EPSILON = 0.9, 0.999, 1e-8  # Kingma and Ba 2015, section 2
FINAL_LEARNING_RATE = 0.01  # of the first; a half cosine leads there


@dataclass
class _Network:
    """Parameters while they are trained: weights[k] is (n_inputs, n_outputs)."""

    weights: list[Float64Array]
    biases: list[Float64Array]
    activations: list[Activation]
    loss: Loss


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
    """
    scaler = fit_scaler(dataset.features[split.train], settings.data.scaling)
    inputs = scaler.scale(dataset.features[split.train])
    output, loss, softmax = _output(settings)
    targets, target_scaler = _targets(dataset, split, settings)
    widths = [inputs.shape[1], *settings.model.hidden, targets.shape[1]]
    activations: list[Activation] = [*[settings.model.activation] * len(settings.model.hidden)]
    activations.append(output)
    best: _Network | None = None
    best_loss = np.inf
    for attempt in range(settings.training.restarts + 1):
        rng = np.random.default_rng([settings.training.seed, attempt])
        network = _initialise(rng, widths, activations, loss)
        with np.errstate(over="ignore", invalid="ignore"):
            final = _run(network, inputs, targets, settings.training, rng, progress)
        if final < best_loss:
            best, best_loss = network, final
        if best_loss <= settings.training.target_loss:
            break
    layers = () if best is None else _rounded(best)
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
) -> _Network:
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
    return _Network(weights, biases, activations, loss)


def _run(
    network: _Network,
    inputs: Float64Array,
    targets: Float64Array,
    training: TrainingSettings,
    rng: np.random.Generator,
    progress: Progress,
) -> float:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019); returns the final loss."""
    parameters = [*network.weights, *network.biases]
    first = [np.zeros_like(p) for p in parameters]
    second = [np.zeros_like(p) for p in parameters]
    rows = len(inputs)
    batches = -(-rows // training.batch_size)
    step, steps = 0, training.epochs * batches
    for epoch in range(training.epochs):
        order = rng.permutation(rows)
        total = 0.0
        for chosen in np.array_split(order, batches):
            batch = inputs[chosen]
            if training.noise:
                batch = batch + rng.normal(0.0, training.noise, batch.shape)
            loss, gradients = _gradients(network, batch, targets[chosen])
            total += loss * len(chosen)
            wave = 0.5 + 0.5 * np.cos(np.pi * step / steps)
            rate = training.learning_rate * (
                FINAL_LEARNING_RATE + (1.0 - FINAL_LEARNING_RATE) * wave
            )
            step += 1
            for index, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
                first[index] += (1.0 - ADAM_BETA1) * (gradient - first[index])
                second[index] += (1.0 - ADAM_BETA2) * (gradient**2 - second[index])
                mean = first[index] / (1.0 - ADAM_BETA1**step)
                spread = second[index] / (1.0 - ADAM_BETA2**step)
                if index < len(network.weights):
                    parameter *= 1.0 - rate * training.weight_decay
                parameter -= rate * mean / (np.sqrt(spread) + ADAM_EPSILON)
        progress(epoch + 1, training.epochs, total / rows)
        if not np.isfinite(total):
            return float("inf")
    return _gradients(network, inputs, targets)[0]


def _gradients(
    network: _Network, inputs: Float64Array, targets: Float64Array
) -> tuple[float, list[Float64Array]]:
    """Mean loss of a batch, and its gradients: all weights, then all biases."""
    values = [inputs]
    for weights, bias, activation in zip(
        network.weights, network.biases, network.activations, strict=True
    ):
        values.append(_activate(activation, values[-1] @ weights + bias))
    loss, error = _loss(network, values[-1], targets)
    weight_gradients: list[Float64Array] = []
    bias_gradients: list[Float64Array] = []
    for index in range(len(network.weights) - 1, -1, -1):
        weight_gradients.insert(0, values[index].T @ error)
        bias_gradients.insert(0, error.sum(axis=0))
        if index:
            slope = _slope(network.activations[index - 1], values[index])
            error = (error @ network.weights[index].T) * slope
    return loss, [*weight_gradients, *bias_gradients]


def _loss(
    network: _Network, outputs: Float64Array, targets: Float64Array
) -> tuple[float, Float64Array]:
    """Mean loss of a batch and its derivative by the last layer's sums (n, n_outputs)."""
    rows = len(outputs)
    if network.loss == "softmax":
        powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        outputs = powers / powers.sum(axis=1, keepdims=True)
        entropy = -np.log(np.maximum((outputs * targets).sum(axis=1), 1e-300))
        return float(entropy.mean()), (outputs - targets) / rows
    if network.loss == "sigmoid":
        hit = np.where(targets > 0.5, outputs, 1.0 - outputs)
        entropy = -np.log(np.maximum(hit, 1e-300)).sum(axis=1)
        return float(entropy.mean()), (outputs - targets) / rows
    error = outputs - targets
    slope = _slope(network.activations[-1], outputs)
    if network.activations[-1] == "relu":
        # An output that is 0 for every row has no slope and would stay there: pull it up.
        slope = np.where(error < 0.0, 1.0, slope)
    return float((error**2).sum(axis=1).mean() / 2.0), error * slope / rows


def _activate(activation: Activation, sums: Float64Array) -> Float64Array:
    if activation == "relu":
        return np.maximum(sums, 0.0)
    if activation == "tanh":
        return np.tanh(sums)
    if activation == "sigmoid":
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * sums)))
    return sums


def _slope(activation: Activation, outputs: Float64Array) -> Float64Array:
    """Derivative of an activation, written by its output."""
    if activation == "relu":
        return (outputs > 0.0).astype(np.float64)
    if activation == "tanh":
        return 1.0 - outputs**2
    if activation == "sigmoid":
        return outputs * (1.0 - outputs)
    return np.ones_like(outputs)


def _rounded(network: _Network) -> tuple[FloatLayer, ...]:
    """The float32 weights that are saved, (n_outputs, n_inputs)."""
    return tuple(
        FloatLayer(weights.T.astype(np.float32), bias.astype(np.float32), activation)
        for weights, bias, activation in zip(
            network.weights, network.biases, network.activations, strict=True
        )
    )
