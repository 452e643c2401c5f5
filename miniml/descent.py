"""Adam on minibatches: the one loop in which a network learns."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from miniml.network import Network, Pass
from miniml.settings import TrainingSettings

Float64Array = NDArray[np.float64]
Forward = Callable[[Float64Array], Pass]
Progress = Callable[[int, int, float], None]

ADAM_BETA1, ADAM_BETA2, ADAM_EPSILON = 0.9, 0.999, 1e-8  # Kingma and Ba 2015, section 2
FINAL_LEARNING_RATE = 0.01  # of the first; a half cosine leads there


class Adam:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019), in place."""

    def __init__(self, network: Network, training: TrainingSettings) -> None:
        """Start at rest; `training` has the decay and the limit of the weights."""
        self._network = network
        self._weights = network.parameters[: network.weight_count]
        self._decay = training.weight_decay
        self._limit = training.weight_limit
        self._first = np.zeros_like(network.parameters)
        self._second = np.zeros_like(network.parameters)
        self._update = np.empty_like(network.parameters)
        self._spread = np.empty_like(network.parameters)
        self._steps = 0

    def step(self, rate: float) -> None:
        """Move the parameters against the network's gradient, biases without decay."""
        self._steps += 1
        gradient, update, spread = self._network.gradient, self._update, self._spread
        # first += (1 - beta1) * (gradient - first)
        np.subtract(gradient, self._first, out=update)
        update *= 1.0 - ADAM_BETA1
        self._first += update
        # second += (1 - beta2) * (gradient^2 - second)
        np.multiply(gradient, gradient, out=spread)
        spread -= self._second
        spread *= 1.0 - ADAM_BETA2
        self._second += spread
        # rate * unbiased first / (sqrt(unbiased second) + epsilon)
        np.divide(self._second, 1.0 - ADAM_BETA2**self._steps, out=spread)
        np.sqrt(spread, out=spread)
        spread += ADAM_EPSILON
        np.divide(self._first, 1.0 - ADAM_BETA1**self._steps, out=update)
        update *= rate
        update /= spread
        self._weights *= 1.0 - rate * self._decay
        self._network.parameters -= update
        if self._limit:
            np.clip(self._weights, -self._limit, self._limit, out=self._weights)


def descend(
    network: Network,
    inputs: Float64Array,
    targets: Float64Array,
    training: TrainingSettings,
    rng: np.random.Generator,
    progress: Progress,
    *,
    epochs: int,
    learning_rate: float,
    forward_of_epoch: Callable[[], Forward] | None = None,
) -> float:
    """Train in place; the learning rate falls by half a cosine to a hundredth.

    Args:
        network: its parameters change.
        inputs: float64, scaled, (n, n_inputs).
        targets: float64, (n, n_outputs).
        training: batch size, noise, decay and limit of the weights.
        rng: draws batches and noise.
        progress: called with epoch, epochs and the epoch's mean loss.
        epochs: passes over the rows.
        learning_rate: at the start.
        forward_of_epoch: asked before each epoch, and once at the end, for the forward pass;
            None is the network's own.

    Returns:
        The mean loss over all rows at the end; infinite if training diverged.
    """
    rows = len(inputs)
    batches = -(-rows // training.batch_size)
    adam = Adam(network, training)
    step, steps = 0, epochs * batches
    for epoch in range(epochs):
        forward = forward_of_epoch() if forward_of_epoch else network.forward
        total = 0.0
        for chosen in np.array_split(rng.permutation(rows), batches):
            batch = inputs.take(chosen, axis=0)
            if training.noise:
                batch += rng.normal(0.0, training.noise, batch.shape)
            loss = network.gradients(forward(batch), targets.take(chosen, axis=0))
            total += loss * len(chosen)
            wave = 0.5 + 0.5 * np.cos(np.pi * step / steps)
            adam.step(learning_rate * (FINAL_LEARNING_RATE + (1.0 - FINAL_LEARNING_RATE) * wave))
            step += 1
        progress(epoch + 1, epochs, total / rows)
        if not math.isfinite(total):
            return math.inf
    forward = forward_of_epoch() if forward_of_epoch else network.forward
    return network.gradients(forward(inputs), targets)
