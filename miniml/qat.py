"""Quantization-aware training: learn from what the int8 model would say.

The forward pass is the contract's own arithmetic: weights, biases and multipliers are made as
`quantization` makes them, sums are exact integers, `fixed_point.requantize` rounds twice, clamps
and tables follow. Gradients pass each rounding as if it weren't there, and stop where a
clamp cuts (the straight-through estimator: Bengio, Leonard and Courville 2013; Jacob et al. 2018,
section 3). One difference: the input is scaled and rounded in binary64, on the device in
binary32, which may round a tie of an input another way.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from miniml import fixed_point
from miniml.calibration import Calibration, measure, observe
from miniml.descent import Forward, Progress, descend
from miniml.float_model import FloatModel
from miniml.network import Loss, Network, Pass, slope
from miniml.quantization import DEAD_SCALE, LEVELS, activation_table, scale_of, weight_scales
from miniml.settings import Settings

Float64Array = NDArray[np.float64]
Int64Array = NDArray[np.int64]

# Of the learning rate: weights are to find a place between the grid's points, not another one.
FINE = 0.3
# Beside `restarts`, which count from 0, in the seed of the generator.
STREAM = 2**32


def fine_tune(
    model: FloatModel,
    loss: Loss,
    features: Float64Array,
    targets: Float64Array,
    settings: Settings,
    progress: Progress,
) -> FloatModel:
    """Train float32 weights on for [training] qat_epochs; the result is float32 again.

    It begins with the saved weights, so fine-tuning those of a lock and training from the
    start give the same.

    Args:
        model: trained.
        loss: what the float training minimised.
        features: float64, raw, (n, n_inputs): the training rows.
        targets: float64, (n, n_outputs).
        settings: [training] and [quantization].
        progress: called with epoch, epochs and the epoch's mean loss.

    Raises:
        WeightError: training diverged.
        CalibrationError: the rows tell nothing about the ranges.
    """
    network = Network.from_layers(model.layers, loss)

    def forward_of_epoch() -> Forward:
        now = replace(model, layers=network.to_layers())
        ranges = measure(list(observe(now, features, settings)), settings)
        return Int8Forward(network, ranges, settings).run

    descend(
        network,
        model.scaler.scale(features),
        targets,
        settings.training,
        np.random.default_rng([settings.training.seed, STREAM]),
        progress,
        epochs=settings.training.qat_epochs,
        learning_rate=FINE * settings.training.learning_rate,
        forward_of_epoch=forward_of_epoch,
    )
    return replace(model, layers=network.to_layers())


class Int8Forward:
    """The int8 model's forward pass at fixed activation scales, weights as they are now."""

    def __init__(self, network: Network, ranges: Calibration, settings: Settings) -> None:
        """Take the scales from `ranges`; per_channel and the input's clamp from `settings`."""
        self._network = network
        self._per_channel = settings.quantization.per_channel
        self._input_min = 0 if settings.quantization.nonnegative_input else -LEVELS
        self._input_scale = scale_of(ranges.input)
        self._output_scales = [scale_of(largest) for largest in ranges.layers]
        self._tables = [
            activation_table(activation, scale)
            for activation, scale in zip(network.activations, self._output_scales, strict=True)
        ]

    def run(self, inputs: Float64Array) -> Pass:
        """A batch of scaled inputs (n, n_inputs); values and weights are the int8 ones in real
        units.
        """
        steps = np.clip(_half_away(inputs / self._input_scale), self._input_min, LEVELS)
        scale = self._input_scale
        ran = Pass(values=[steps * scale], weights=[], slopes=[])
        for index, activation in enumerate(self._network.activations):
            output_scale, table = self._output_scales[index], self._tables[index]
            weights, accumulators, real = self._accumulate(index, steps, scale)
            ran.weights.append(weights)
            multipliers, shifts = fixed_point.quantize_multipliers(real / output_scale)
            rounded = fixed_point.requantize(accumulators, multipliers, shifts)
            clamped = np.clip(rounded, 0 if activation == "relu" else -LEVELS, LEVELS)
            if table is None:
                steps, scale = clamped.astype(np.float64), output_scale
            else:
                steps, scale = table[clamped + 128].astype(np.float64), DEAD_SCALE
            ran.values.append(steps * scale)
            passes = (rounded == clamped).astype(np.float64)
            curve = slope(activation, ran.values[-1])
            ran.slopes.append(passes if curve is None else curve * passes)
        return ran

    def _accumulate(
        self, index: int, steps: Float64Array, scale: float
    ) -> tuple[Float64Array, Int64Array, Float64Array]:
        """A layer's int8 weights in real units (n_inputs, n_outputs), its exact accumulators
        (n, n_outputs), and the real value of a step of these (n_outputs,).
        """
        floats, bias = self._network.weights[index], self._network.biases[index]
        scales = weight_scales(floats.T, bias, scale, per_channel=self._per_channel)
        weights = np.clip(np.rint(floats / scales), -LEVELS, LEVELS)
        real = scale * scales
        # Whole numbers below 2^53: the BLAS may sum them in any order.
        accumulators = steps @ weights + np.rint(bias / real)
        return weights * scales, accumulators.astype(np.int64), real


def _half_away(values: Float64Array) -> Float64Array:
    """Nearest integer, ties away from zero; |values| is far below 2^52."""
    return np.asarray(np.copysign(np.floor(np.abs(values) + 0.5), values), dtype=np.float64)
