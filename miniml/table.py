"""Rows in memory to a Dataset: what `load_dataset` does for a CSV.

A row is n_inputs features followed by its label: one column, or n_outputs columns. Which task that
is, where the caller doesn't say:

| label columns | labels | task |
| --- | --- | --- |
| 1, n_outputs 1 | only 0 and 1 | classification, two classes |
| 1, n_outputs 1 | anything else | regression |
| 1, n_outputs k | whole numbers from 0 to k - 1 | classification, k classes |
| k, n_outputs k | one 1 and else 0 in each row | classification, k classes |
| k, n_outputs k | anything else | regression, k targets |
"""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from miniml.dataset import FLOAT32_MAX, Dataset, Float64Array, Int64Array
from miniml.errors import DataError, EmptyDataError, LabelError, OneClassError, ShapeError

Task = Literal["classification", "regression"]
Rows = Sequence[Sequence[float]] | ArrayLike
PATH = Path("dataset")


def read_rows(
    rows: Rows,
    n_inputs: int,
    n_outputs: int,
    task: Task | Literal["auto"] = "auto",
    *,
    any_class: bool = False,
) -> Dataset:
    """Check labelled rows; the caller's rows are copied, never written to.

    Args:
        rows: (n, n_inputs + 1) or (n, n_inputs + n_outputs) numbers.
        n_inputs, n_outputs: of the network.
        task: "auto" goes by the table above.
        any_class: one class is enough, as in a test set.

    Raises:
        EmptyDataError: no rows.
        ShapeError: rows of another width.
        DataError: a value that is no finite 32-bit float.
        LabelError: a class label out of range.
        OneClassError: a classification with one class only.
    """
    table = matrix(rows)
    found = table.shape[1]
    if found not in {n_inputs + 1, n_inputs + n_outputs}:
        more = "1" if n_outputs == 1 else f"1 or {n_outputs}"
        raise ShapeError(
            f"dataset: rows have {found} columns, but n_inputs={n_inputs} and "
            f"n_outputs={n_outputs} need {n_inputs} and {more} more: correct n_inputs, n_outputs "
            "or the rows"
        )
    features, labels = table[:, :n_inputs], table[:, n_inputs:]
    if task == "auto":
        task = _task(labels, n_outputs)
    if task == "regression":
        if labels.shape[1] != n_outputs:
            raise ShapeError(
                f"dataset: a regression with n_outputs={n_outputs} needs as many label columns, "
                f"but the rows have {labels.shape[1]}: correct n_outputs or the rows"
            )
        return _dataset(features, targets=labels)
    indices = _class_indices(labels, n_outputs)
    if not any_class and len(np.unique(indices)) == 1:
        raise OneClassError(f"dataset: every row has label {indices[0]}: add rows of another class")
    return _dataset(features, classes=max(n_outputs, 2), indices=indices)


def read_features(rows: Rows, n_inputs: int, n_outputs: int | None = None) -> Dataset:
    """Check rows of features.

    Args:
        rows: (n, n_inputs); with `n_outputs` also as `read_rows` wants them, whose labels don't
            matter then.
        n_inputs, n_outputs: of the network.

    Raises:
        EmptyDataError, ShapeError, DataError: see `read_rows`.
    """
    table = matrix(rows)
    more = () if n_outputs is None else (1, n_outputs)
    if table.shape[1] not in {n_inputs, *(n_inputs + columns for columns in more)}:
        raise ShapeError(
            f"dataset: rows have {table.shape[1]} columns, but n_inputs is {n_inputs}: "
            "correct n_inputs or the rows"
        )
    return _dataset(table[:, :n_inputs])


def infer_shape(
    table: Float64Array, n_inputs: int | None, n_outputs: int | None
) -> tuple[int, int]:
    """n_inputs and n_outputs where the caller leaves out one or both.

    With neither, the last column is the label. One label column of whole numbers from 0 to
    k - 1, each at least twice, is k classes: one output for two, k for more; every other
    column is one number to predict. n_outputs = k > 1 alone: the last column holds the class if
    it has whole numbers from 0 to k - 1 and the last k columns are not one-hot; else the last k
    columns are the labels.

    Args:
        table: from `matrix`.
        n_inputs, n_outputs: as given; None is left out.

    Raises:
        ShapeError: no column is left for the features or the labels.
    """
    columns = table.shape[1]
    if not isinstance(n_inputs, int) and n_inputs is not None:
        return n_inputs, n_outputs or 1  # refused by the network, which knows the rule
    if n_inputs is not None and n_outputs is not None:
        return n_inputs, n_outputs
    if n_inputs is None:
        n_inputs = columns - _label_columns(table, n_outputs)
    if not 0 < n_inputs < columns:
        raise ShapeError(
            f"dataset: rows have {columns} columns, which leaves none for "
            f"{'the labels' if n_inputs > 0 else 'the features'}: correct n_inputs or the rows"
        )
    labels = table[:, n_inputs:]
    return n_inputs, n_outputs or (labels.shape[1] if labels.shape[1] > 1 else _outputs(labels))


def _label_columns(table: Float64Array, n_outputs: Any) -> int:
    if not isinstance(n_outputs, int) or n_outputs <= 1:
        return 1
    classes = np.isin(table[:, -1], np.arange(n_outputs)).all()
    one_hot = table.shape[1] > n_outputs and _one_hot(table[:, -n_outputs:])
    return 1 if classes and not one_hot else n_outputs


def _outputs(labels: Float64Array) -> int:
    values, counts = np.unique(labels, return_counts=True)
    if len(values) > 2 and np.array_equal(values, np.arange(len(values))) and counts.min() > 1:
        return len(values)
    return 1


def matrix(rows: Rows) -> Float64Array:
    """The rows as a checked float64 (n, columns) copy.

    Raises:
        EmptyDataError, ShapeError, DataError: see `read_rows`.
    """
    try:
        array = np.array(rows)
    except ValueError:  # ragged: said below, with the row
        array = np.empty(0, object)
    if array.dtype.kind in "iufb" and array.ndim == 2 and array.size:
        with np.errstate(invalid="ignore"):
            fits = np.abs(array.astype(np.float64)) <= FLOAT32_MAX
        if fits.all():
            return array.astype(np.float64)
    return _row_by_row(rows)


def _row_by_row(rows: Any) -> Float64Array:
    """What `matrix` falls back to, to say which value is wrong."""
    try:
        widths = [len(row) for row in rows]
    except TypeError:
        raise ShapeError(
            "dataset: it is no list of rows: for one row write [[...]], with two brackets"
        ) from None
    if not widths:
        raise EmptyDataError("dataset: no rows: give it some of each class")
    for number, width in enumerate(widths):
        if width != widths[0]:
            raise ShapeError(
                f"dataset, row {number}: {width} columns, but row 0 has {widths[0]}: "
                "give every row as many"
            )
    table = np.empty((len(widths), widths[0]))
    for number, row in enumerate(rows):
        for column, value in enumerate(row):
            table[number, column] = _number(value, number, column)
    return table


def _number(value: Any, row: int, column: int) -> float:
    try:
        # float() would also take a text, or an array of one value.
        foreign = isinstance(value, str | bytes | np.ndarray)
        number = float("nan") if foreign else float(value)
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if abs(number) <= FLOAT32_MAX:
        return number
    raise DataError(
        f"dataset, row {row}, column {column}: {_shown(value)} is not a finite 32-bit float: "
        "correct it or leave the row out"
    )


def _shown(value: Any) -> str:
    try:
        return reprlib.repr(value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "a number of thousands of digits"


def _task(labels: Float64Array, n_outputs: int) -> Task:
    if labels.shape[1] > 1:
        return "classification" if _one_hot(labels) else "regression"
    if n_outputs > 1:
        return "classification"
    return "classification" if bool(np.isin(labels, (0.0, 1.0)).all()) else "regression"


def _one_hot(labels: Float64Array) -> bool:
    return bool(np.isin(labels, (0.0, 1.0)).all() and (labels.sum(axis=1) == 1.0).all())


def _class_indices(labels: Float64Array, n_outputs: int) -> Int64Array:
    classes = max(n_outputs, 2)
    if labels.shape[1] > 1:
        if not _one_hot(labels):
            raise LabelError(
                "dataset: label columns of a classification must hold one 1 and else 0 in each "
                'row: correct them, or ask for task="regression"'
            )
        indices = np.argmax(labels, axis=1)
    else:
        column = labels[:, 0]
        wrong = ~np.isin(column, np.arange(classes))
        if wrong.any():
            row = int(np.argmax(wrong))
            raise LabelError(
                f"dataset, row {row}: label {column[row]:g} is no whole number from 0 to "
                f"{classes - 1}: correct it or n_outputs (it is {n_outputs})"
            )
        indices = column.astype(np.int64)
    return np.asarray(indices, np.int64)


def _dataset(
    features: Float64Array,
    *,
    classes: int = 0,
    indices: Int64Array | None = None,
    targets: Float64Array | None = None,
) -> Dataset:
    rows, width = features.shape
    return Dataset(
        path=PATH,
        feature_names=tuple(f"x{column}" for column in range(width)),
        features=features,
        label_names=("label",),
        classes=tuple(str(index) for index in range(classes)),
        class_indices=np.zeros(0, np.int64) if indices is None else indices,
        targets=np.zeros((rows, 0)) if targets is None else targets,
        warnings=(),
    )
