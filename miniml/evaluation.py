"""How good the float and the int8 model are: the same figures on every machine."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from miniml import reference
from miniml.dataset import Dataset
from miniml.errors import AccuracyLossError, BudgetError
from miniml.float_model import FloatModel
from miniml.model import QuantizedModel
from miniml.settings import Settings

Float64Array = NDArray[np.float64]
Int64Array = NDArray[np.int64]


@dataclass(frozen=True)
class Metrics:
    """Figures over some rows; what the task doesn't have is None.

    Attributes:
        rows: how many.
        float_accuracy, int8_accuracy: right answers, in percent.
        accuracy_loss: float minus int8, in points (negative: int8 is better).
        agreement: rows where both say the same class, in percent.
        confusion: of int8; confusion[true class][predicted class] is a number of rows.
        float_rmse, int8_rmse: root mean square error over all targets, in their units.
    """

    rows: int
    float_accuracy: float | None = None
    int8_accuracy: float | None = None
    accuracy_loss: float | None = None
    agreement: float | None = None
    confusion: list[list[int]] | None = None
    float_rmse: float | None = None
    int8_rmse: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


def evaluate(
    float_model: FloatModel, model: QuantizedModel, dataset: Dataset, rows: Int64Array
) -> Metrics:
    """Run both models over some rows of the data.

    Args:
        float_model: run in binary64.
        model: run by the reference.
        dataset: features and labels.
        rows: indices, at least one.
    """
    raw = dataset.features[rows]
    inputs = reference.quantize_inputs(model, raw.astype(np.float32))
    outputs = reference.run_layers(model, inputs)[-1]
    if model.task == "regression":
        wanted = dataset.targets[rows]
        values = reference.dequantize(model, outputs).astype(np.float64)
        return Metrics(
            rows=len(rows),
            float_rmse=_rmse(float_model.predict_values(raw), wanted),
            int8_rmse=_rmse(values, wanted),
        )
    truth = dataset.class_indices[rows]
    by_float = float_model.predict_classes(raw)
    by_int8 = reference.predict_classes(model, outputs)
    right_float = int((by_float == truth).sum())
    right_int8 = int((by_int8 == truth).sum())
    confusion = np.zeros((len(dataset.classes), len(dataset.classes)), np.int64)
    np.add.at(confusion, (truth, by_int8), 1)
    return Metrics(
        rows=len(rows),
        float_accuracy=_percent(right_float, len(rows)),
        int8_accuracy=_percent(right_int8, len(rows)),
        accuracy_loss=_percent(right_float - right_int8, len(rows)),
        agreement=_percent(int((by_float == by_int8).sum()), len(rows)),
        confusion=confusion.tolist(),
    )


def check_gates(metrics: Metrics, settings: Settings) -> None:
    """Compare the test rows' figures with [gates].

    Raises:
        AccuracyLossError: quantization costs more than max_accuracy_loss.
        BudgetError: another one is missed; names the figure, the gate and the key.
    """
    gates, path = settings.gates, settings.path
    if gates.min_accuracy is not None and (metrics.int8_accuracy or 0.0) < gates.min_accuracy:
        raise BudgetError(
            f"{path}: the int8 model is right in {metrics.int8_accuracy:.2f} % of the test rows, "
            f"[gates] min_accuracy asks for {gates.min_accuracy:g} %: "
            "widen [model] hidden or lower the gate"
        )
    if gates.max_accuracy_loss is not None and (
        (metrics.accuracy_loss or 0.0) > gates.max_accuracy_loss
    ):
        raise AccuracyLossError(
            f"{path}: quantization costs {metrics.accuracy_loss:.2f} points of accuracy, "
            f"[gates] max_accuracy_loss allows {gates.max_accuracy_loss:g}: "
            f"`miniml quantize --advise {settings.model_dir}` tries every way to quantize"
        )
    if gates.max_rmse is not None and (metrics.int8_rmse or 0.0) > gates.max_rmse:
        raise BudgetError(
            f"{path}: the int8 model's RMSE over the test rows is {metrics.int8_rmse:.6g}, "
            f"[gates] max_rmse allows {gates.max_rmse:g}: widen [model] hidden or raise the gate"
        )


def _percent(count: int, rows: int) -> float:
    return 100.0 * count / rows


def _rmse(values: Float64Array, wanted: Float64Array) -> float:
    squares = ((values - wanted) ** 2).ravel().tolist()
    return math.sqrt(math.fsum(squares) / len(squares))
