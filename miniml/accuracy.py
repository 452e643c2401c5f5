"""How good a network is, as one number: the guide's evaluate, evaluate_quantized and 2 % rule."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from miniml.dataset import Dataset
from miniml.errors import AccuracyLossError
from miniml.ml_runtime import MiniNeuralNetwork
from miniml.table import Rows, read_rows

# The guide's "typical accuracy loss".
MAX_LOSS = 0.02


def evaluate(model: MiniNeuralNetwork, test_set: Rows) -> float:
    """The score of the float model.

    Args:
        model: fitted.
        test_set: rows with labels, as `fit` takes them.

    Returns:
        Share of rows with the right class, 0 to 1; for a regression the coefficient of
        determination R2 over all outputs (at most 1; 0: no better than the mean).

    Raises:
        NotFittedError: before `fit`.
        EmptyDataError, ShapeError, LabelError, DataError: the rows.
    """
    table = _labelled(model, test_set)
    return _score(model.predict(table.features), table)


def evaluate_quantized(model: MiniNeuralNetwork, test_set: Rows) -> float:
    """The score of the int8 model, which is what a device has; else as `evaluate`.

    Raises:
        NotQuantizedError: before `quantize`.
        EmptyDataError, ShapeError, LabelError, DataError: the rows.
    """
    table = _labelled(model, test_set)
    return _score(model.predict_quantized(table.features), table)


def check_accuracy_loss(
    model: MiniNeuralNetwork, test_set: Rows, max_loss: float = MAX_LOSS
) -> float:
    """The guide's rule as a gate: quantization may cost `max_loss` of the score.

    Args:
        model: quantized.
        test_set: rows with labels.
        max_loss: 0.02 is two points.

    Returns:
        What it costs, as a share; negative where int8 is better.

    Raises:
        AccuracyLossError: it costs more.
        NotQuantizedError, EmptyDataError, ShapeError, LabelError, DataError: see above.
    """
    before, after = evaluate(model, test_set), evaluate_quantized(model, test_set)
    if not before - after <= max_loss:  # NaN is no permission
        raise AccuracyLossError(
            f"{model.name}: quantization takes the score from {before:.4f} to {after:.4f}, "
            f"{max_loss:g} is allowed: calibrate on more rows, quantize(per_channel=True), or "
            "allow more"
        )
    return before - after


def _labelled(model: MiniNeuralNetwork, test_set: Rows) -> Dataset:
    return read_rows(
        test_set, model.n_inputs, model.n_outputs, model.float_model.task, any_class=True
    )


def _score(answers: NDArray[Any], table: Dataset) -> float:
    if table.classes:
        return float((answers == table.class_indices).mean())
    wanted = table.targets
    spread = float(((wanted - wanted.mean(axis=0)) ** 2).sum())
    missed = float(((answers - wanted) ** 2).sum())
    return 1.0 - missed / spread if spread > 0.0 else float(missed == 0.0)
