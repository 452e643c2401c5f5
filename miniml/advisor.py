"""Which quantization to take: try them all on rows that are not the test rows.

Per_layer and per_channel, four rules for ranges, with and without bias correction: sixteen
trials. Where the best of a granularity loses too much, quantization-aware training is tried on
top of it. Everything but that training is the same on every machine.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from miniml import reference
from miniml.calibration import Calibration, calibration_rows, measure, observe
from miniml.dataset import Dataset, Split
from miniml.descent import Progress
from miniml.errors import ModelError
from miniml.evaluation import Metrics, evaluate
from miniml.float_model import FloatModel
from miniml.model import QuantizedModel
from miniml.post_training import quantize_trained
from miniml.ranges import RangeMethod
from miniml.settings import Settings
from miniml.training import tune_for_int8

Float64Array = NDArray[np.float64]
Int64Array = NDArray[np.int64]

METHODS: tuple[RangeMethod, ...] = ("minmax", "percentile", "mse", "kl")
PERCENTILE = 99.9  # unless model.toml has one below 100
# Points of accuracy, and percent of the target's standard deviation, from which QAT is tried.
MOST_POINTS, MOST_DEVIATION = 0.3, 2.0
QAT_SHARE, QAT_LEAST = 4, 20  # a quarter of the epochs, but at least 20
# Errors this much apart are alike: then the simpler way wins.
ALIKE = 1.1


@dataclass(frozen=True)
class Choice:
    """One way to quantize, by the keys of model.toml."""

    per_channel: bool
    range: RangeMethod
    percentile: float
    bias_correction: bool
    qat_epochs: int = 0

    def apply(self, settings: Settings) -> Settings:
        """Settings with this choice in them."""
        return replace(
            settings,
            training=replace(settings.training, qat_epochs=self.qat_epochs),
            quantization=replace(
                settings.quantization,
                per_channel=self.per_channel,
                range=self.range,
                percentile=self.percentile,
                bias_correction=self.bias_correction,
            ),
        )

    def keys(self) -> dict[str, dict[str, Any]]:
        """The sections and keys of model.toml that say it."""
        quantization: dict[str, Any] = {"per_channel": self.per_channel, "range": self.range}
        quantization["percentile"] = self.percentile
        quantization["bias_correction"] = self.bias_correction
        return {"quantization": quantization, "training": {"qat_epochs": self.qat_epochs}}

    def __str__(self) -> str:
        """Such as "per_channel, mse, bias corrected, QAT of 25 epochs"."""
        parts = ["per_channel" if self.per_channel else "per_layer", self.range]
        if self.bias_correction:
            parts.append("bias corrected")
        if self.qat_epochs:
            parts.append(f"QAT of {self.qat_epochs} epochs")
        return ", ".join(parts)


@dataclass(frozen=True, eq=False)
class Trial:
    """What one choice came to over the calibration rows.

    Attributes:
        choice: what was tried.
        model: the int8 model.
        metrics: over the calibration rows; the float figures are those of the saved weights,
            for QAT too.
        loss: points of accuracy, or RMSE in percent of the target's standard deviation.
        proven: what of the loss is more than chance: 0 for a gain, for a regression's loss of at
            most 2 %, and for a net loss of rows of at most the square root of how many rows
            changed sides, its standard error if each was as likely to go either way (McNemar).
        error: root mean square of (int8 output - saved weights' output), in percent of the
            latter's.
    """

    choice: Choice
    model: QuantizedModel
    metrics: Metrics
    loss: float
    proven: float
    error: float


@dataclass(frozen=True, eq=False)
class Advice:
    """All trials in the order of trying, the one to take, why, and what couldn't be tried."""

    trials: tuple[Trial, ...]
    best: Trial
    reason: str
    refused: tuple[str, ...]


def advise(
    float_model: FloatModel, dataset: Dataset, split: Split, settings: Settings, progress: Progress
) -> Advice:
    """Try every way to quantize saved weights, and pick one.

    Ranges are measured on the rows that [quantization] calibration names, what comes of them
    is judged on the calibration rows; the test rows are never looked at. Of those with the least
    proven loss, and outputs within a tenth as near to the float model's as the nearest, the
    simplest wins: without QAT, without bias correction, per_channel (no row suffers from
    another's weights), and minmax before percentile, mse and kl.

    Args:
        float_model: trained.
        dataset, split: its data.
        settings: of its model.toml.
        progress: sees the epochs of quantization-aware training.

    Raises:
        ModelError: no way works; the first reason.
    """
    judge = _Judge(float_model, dataset, split, settings)
    trials: list[Trial] = []
    refused: list[str] = []
    for choice in _choices(settings):
        _attempt(judge, choice, float_model, trials, refused)
    if not trials:
        raise ModelError(refused[0])
    most = MOST_DEVIATION if settings.model.task == "regression" else MOST_POINTS
    for granular in (False, True):
        tried = [trial for trial in trials if trial.choice.per_channel is granular]
        if tried and not settings.training.qat_epochs and best_of(tried).loss > most:
            epochs = max(settings.training.epochs // QAT_SHARE, QAT_LEAST)
            choice = replace(best_of(tried).choice, bias_correction=False, qat_epochs=epochs)
            tuned = tune_for_int8(float_model, dataset, split, choice.apply(settings), progress)
            _attempt(judge, choice, tuned, trials, refused)
    best = best_of(trials)
    return Advice(tuple(trials), best, _reason(best, trials, settings), tuple(refused))


def _choices(settings: Settings) -> Iterator[Choice]:
    percent = settings.quantization.percentile
    for granular, method, corrected in itertools.product((False, True), METHODS, (False, True)):
        yield Choice(
            per_channel=granular,
            range=method,
            percentile=(percent if percent < 100.0 else PERCENTILE)
            if method == "percentile"
            else 100.0,
            bias_correction=corrected,
            qat_epochs=settings.training.qat_epochs,
        )


class _Judge:
    """The rows that choices are measured and judged on."""

    def __init__(
        self, float_model: FloatModel, dataset: Dataset, split: Split, settings: Settings
    ) -> None:
        self._ranges: dict[tuple[int, str, float], tuple[FloatModel, Calibration]] = {}
        self.float_model = float_model
        self.dataset = dataset
        self.rows = split.calibration
        self.settings = settings
        self.measured = dataset.features[calibration_rows(split, settings)]
        self.wanted = float_model.run_layers(dataset.features[self.rows])[-1]
        self.right = self._right(float_model.predict_classes(dataset.features[self.rows]))
        self.size = _root_mean_square(self.wanted)
        targets = dataset.targets[split.train]
        self.deviation = _root_mean_square(targets - targets.mean(axis=0)) if targets.size else 0.0

    def ranges(self, choice: Choice, floats: FloatModel) -> Calibration:
        """Of the rule that a choice names; measured once for all choices that do."""
        key = (id(floats), choice.range, choice.percentile)
        if key not in self._ranges:
            settings = choice.apply(self.settings)
            found = measure(list(observe(floats, self.measured, settings)), settings)
            # The model is kept too, so that its id stays its own.
            self._ranges[key] = (floats, found)
        return self._ranges[key][1]

    def try_out(self, choice: Choice, floats: FloatModel) -> Trial:
        settings = choice.apply(self.settings)
        ranges = self.ranges(choice, floats)
        model = quantize_trained(floats, self.measured, settings, ranges)
        metrics = evaluate(self.float_model, model, self.dataset, self.rows)
        features = self.dataset.features[self.rows].astype(np.float32)
        outputs = reference.run_layers(model, reference.quantize_inputs(model, features))[-1]
        last = model.layers[-1]
        got = outputs * (1.0 / 127.0 if last.table is not None else last.output_scale)
        error = _root_mean_square(got - self.wanted)
        if metrics.int8_rmse is not None and metrics.float_rmse is not None:
            worse = metrics.int8_rmse - metrics.float_rmse
            loss = 100.0 * worse / self.deviation if self.deviation else 0.0
            proven = loss if loss > MOST_DEVIATION else 0.0
        else:
            loss = metrics.accuracy_loss or 0.0
            changed = int(
                (self._right(reference.predict_classes(model, outputs)) != self.right).sum()
            )
            proven = max(loss - 100.0 * math.sqrt(changed) / len(self.rows), 0.0)
        relative = 100.0 * error / self.size if self.size else 0.0
        return Trial(choice, model, metrics, loss, proven, relative)

    def _right(self, classes: Int64Array) -> NDArray[np.bool_]:
        indices = self.dataset.class_indices
        return np.asarray(classes == (indices[self.rows] if indices.size else 0), dtype=np.bool_)


def _attempt(
    judge: _Judge, choice: Choice, floats: FloatModel, trials: list[Trial], refused: list[str]
) -> None:
    try:
        trials.append(judge.try_out(choice, floats))
    except ModelError as error:
        refused.append(f"{choice}: {error}")


def best_of(trials: list[Trial]) -> Trial:
    """The one of these to take; see `advise`."""
    least = min(trial.proven for trial in trials)
    unproven = [trial for trial in trials if trial.proven == least]
    nearest = min(trial.error for trial in unproven)
    return min(
        (trial for trial in unproven if trial.error <= ALIKE * nearest),
        key=lambda trial: (
            trial.choice.qat_epochs,
            trial.choice.bias_correction,
            not trial.choice.per_channel,
            METHODS.index(trial.choice.range),
        ),
    )


def _reason(best: Trial, trials: list[Trial], settings: Settings) -> str:
    unit = "points" if settings.model.task == "classification" else "% of the target's deviation"
    small = best.loss > 0.0 and best.proven == 0.0 and settings.model.task == "classification"
    chance = ", no more than chance explains" if small else ""
    reason = (
        f"loses {max(best.loss, 0.0):.2f} {unit} on {best.metrics.rows} calibration rows{chance}, "
        f"its outputs are {best.error:.2f} % off the float model's"
    )
    others = [t for t in trials if t.choice.per_channel is not best.choice.per_channel]
    if others:
        other = best_of(others)
        name = "per_channel" if other.choice.per_channel else "per_layer"
        reason += (
            f"; {name} at best {max(other.loss, 0.0):.2f} {unit}, {other.error:.2f} % off "
            f"({other.choice})"
        )
    if best.choice.qat_epochs and not settings.training.qat_epochs:
        reason += "; every way without training again loses more"
    return reason


def _root_mean_square(values: Float64Array) -> float:
    flat = values.ravel().tolist()
    return math.sqrt(math.fsum(value * value for value in flat) / len(flat)) if flat else 0.0
