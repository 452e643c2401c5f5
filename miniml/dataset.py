"""The CSV: load, check, fingerprint, split.

Accepted: UTF-8 with or without a byte order mark; LF or CRLF; a header line; comma,
semicolon or tab between cells (whichever the header has most of); cells in double
quotes; a decimal point; blank lines. Everything else is an error that names the row (the
line of the file, the header being 1) and the column.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from miniml.errors import DataError, EmptyDataError, OneClassError
from miniml.settings import DataSettings

Float64Array = NDArray[np.float64]
Int64Array = NDArray[np.int64]

DELIMITERS = (",", ";", "\t")
FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A checked table.

    Attributes:
        path: the CSV.
        feature_names: one a column of `features`.
        features: float64, (rows, n_inputs), as in the file.
        label_names: the label column(s).
        classes: class names by index; empty for regression.
        class_indices: int64, (rows,); empty for regression.
        targets: float64, (rows, n_targets); no columns for classification.
        warnings: what is allowed but suspicious, a line each.
        lines: line of the file of each row; empty where there is no file.
    """

    path: Path
    feature_names: tuple[str, ...]
    features: Float64Array
    label_names: tuple[str, ...]
    classes: tuple[str, ...]
    class_indices: Int64Array
    targets: Float64Array
    warnings: tuple[str, ...]
    lines: tuple[int, ...] = ()

    @property
    def rows(self) -> int:
        """Number of rows, the header not counted."""
        return len(self.features)

    def line_of(self, row: int) -> int:
        """Line of the file that a row index stands for; without a file the index from 1."""
        return self.lines[row] if self.lines else row + 1


@dataclass(frozen=True, eq=False)
class Split:
    """Row indices (int64, ascending) of each part."""

    train: Int64Array
    calibration: Int64Array
    test: Int64Array


def read_bytes(path: Path) -> bytes:
    """The CSV's bytes without a byte order mark and with LF line ends.

    Raises:
        DataError: missing, unreadable, empty or binary.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: not found: put it there or correct [data] file") from None
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror}): check its rights") from None
    return normalised(content, path)


def normalised(content: bytes, path: Path) -> bytes:
    """What `read_bytes` makes of a file's content; `path` is where it came from.

    Raises:
        DataError: empty or binary.
    """
    if b"\0" in content:
        raise DataError(f"{path}: binary, not a CSV: export the table as UTF-8 text")
    content = content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if not content.strip():
        raise EmptyDataError(f"{path}: empty: give it a header line and rows")
    return content


def fingerprint(content: bytes) -> str:
    """SHA-256 of what `read_bytes` returns: other line ends don't train again."""
    return hashlib.sha256(content).hexdigest()


def load_dataset(
    path: Path,
    data: DataSettings,
    task: Literal["classification", "regression"],
    content: bytes | None = None,
) -> Dataset:
    """Parse and check the whole table.

    Args:
        path: the CSV, for messages (and to read, unless `content` is given).
        data: label and ignored columns.
        task: decides whether labels are names or numbers.
        content: what `read_bytes` returned.

    Raises:
        DataError: anything that can't be used.
    """
    (line, header), *rows = _parse(path, read_bytes(path) if content is None else content)
    where = f"{path}, row {line}"
    label_columns = [_column(where, header, name, "label") for name in data.label]
    left_out = {_column(where, header, name, "ignore") for name in data.ignore}
    feature_columns = [
        column for column in range(len(header)) if column not in {*label_columns, *left_out}
    ]
    if not feature_columns:
        raise DataError(f"{where}: no column left as a feature: add one")
    features = _numbers(path, header, rows, feature_columns)
    classes: tuple[str, ...] = ()
    indices = np.zeros(0, np.int64)
    targets = np.zeros((len(rows), 0))
    if task == "classification":
        classes, indices = _classes(path, header, rows, label_columns[0])
    else:
        targets = _numbers(path, header, rows, label_columns)
    names = tuple(header[column] for column in feature_columns)
    return Dataset(
        path=path,
        feature_names=names,
        features=features,
        label_names=tuple(header[column] for column in label_columns),
        classes=classes,
        class_indices=indices,
        targets=targets,
        warnings=_suspicious(path, names, features),
        lines=tuple(line for line, _ in rows),
    )


def _parse(path: Path, content: bytes) -> list[tuple[int, list[str]]]:
    """Header, then each row, with their line numbers."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}, row {line}: not UTF-8 text: save the file as UTF-8") from None
    # What stands in quotes is a name, such as "Temperature, degrees".
    first = re.sub(r'"[^"\n]*"', "", text.lstrip("\n").split("\n", 1)[0])
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    lines: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                lines.append((reader.line_num, [cell.strip() for cell in cells]))
    except csv.Error as error:
        raise DataError(
            f"{path}, row {reader.line_num}: {error}: correct its quotation marks"
        ) from None
    if not lines:
        raise EmptyDataError(f"{path}: only separators: give it a header line and rows")
    (first_line, header), *rows = lines
    _check_header(path, header, first_line)
    for line, cells in rows:
        if len(cells) != len(header):
            raise DataError(
                f"{path}, row {line}: {len(cells)} cells, but the header has {len(header)}: "
                "add or remove cells"
            )
    if not rows:
        raise EmptyDataError(f"{path}: a header without rows: add rows")
    return lines


def _check_header(path: Path, header: list[str], line: int) -> None:
    where = f"{path}, row {line}"
    if all(_is_numeric(cell) for cell in header):
        raise DataError(f"{where}: only numbers, no header: add a line with the columns' names")
    for column, name in enumerate(header, start=1):
        if not name:
            raise DataError(f"{where}, column {column}: no name in the header: give it one")
        if name in header[: column - 1]:
            raise DataError(f"{where}, column {column}: a second column {name!r}: rename one")


def _column(where: str, header: list[str], name: str, key: str) -> int:
    if name in header:
        return header.index(name)
    near = difflib.get_close_matches(name, header, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"the columns are {_listing(header)}"
    raise DataError(f"{where}: no column {name!r}: {hint} (set [data] {key})")


def _listing(names: list[str]) -> str:
    shown = ", ".join(names[:8])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > 8 else shown


def _is_numeric(cell: str) -> bool:
    try:
        return "_" not in cell and math.isfinite(float(cell))
    except ValueError:
        return False


def _numbers(
    path: Path, header: list[str], rows: list[tuple[int, list[str]]], columns: list[int]
) -> Float64Array:
    table = np.empty((len(rows), len(columns)))
    for index, (line, cells) in enumerate(rows):
        for position, column in enumerate(columns):
            cell = cells[column]
            try:
                value = float(cell)
            except ValueError:
                value = math.nan
            if not abs(value) <= FLOAT32_MAX or "_" in cell:
                raise DataError(
                    f"{path}, row {line}, column {header[column]!r}: {_complaint(cell)}"
                )
            table[index, position] = value
    return table


def _complaint(cell: str) -> str:
    if not cell:
        return "an empty cell: fill it in or delete the row"
    if cell.replace(",", ".", 1) != cell and _is_numeric(cell.replace(",", ".", 1)):
        return f"{cell!r} has a decimal comma: write a decimal point"
    try:
        value = float(cell)
    except ValueError:
        value = None
    if value is None or "_" in cell:
        return f"{cell!r} is not a number: correct it, or name the column in [data] ignore"
    if math.isfinite(value):
        return f"{cell!r} is beyond the range of a 32-bit float: rescale the column"
    return f"{cell!r} is not a finite number: correct it or delete the row"


def _classes(
    path: Path, header: list[str], rows: list[tuple[int, list[str]]], column: int
) -> tuple[tuple[str, ...], Int64Array]:
    """Class names in order (by value where all are numbers, else by text), and indices."""
    for line, cells in rows:
        if not cells[column]:
            raise DataError(
                f"{path}, row {line}, column {header[column]!r}: "
                "an empty label: fill it in or delete the row"
            )
    names = [cells[column] for _, cells in rows]
    if all(_is_numeric(name) for name in names):
        values = [float(name) for name in names]
        ordered = sorted(set(values))
        index_of_value = {value: index for index, value in enumerate(ordered)}
        indices = [index_of_value[value] for value in values]
        classes = tuple(str(int(v)) if v.is_integer() else repr(v) for v in ordered)
    else:
        classes = tuple(sorted(set(names)))
        index_of_name = {name: index for index, name in enumerate(classes)}
        indices = [index_of_name[name] for name in names]
    if len(classes) == 1:
        raise OneClassError(
            f"{path}, column {header[column]!r}: one class only ({classes[0]!r}): "
            "add rows of another class or correct [data] label"
        )
    return classes, np.array(indices, np.int64)


def _suspicious(path: Path, names: tuple[str, ...], features: Float64Array) -> tuple[str, ...]:
    same = (features == features[0]).all(axis=0)
    constant = [name for name, is_same in zip(names, same, strict=True) if is_same]
    if len(constant) == len(names):
        raise DataError(
            f"{path}: every column but the label is constant: add one that tells rows apart"
        )
    if not constant:
        return ()
    what = f"column {constant[0]!r} is constant"
    if len(constant) > 1:
        what = f"{len(constant)} columns are constant ({_listing(constant)})"
    return (f"{path}: {what}: no information there, [data] ignore drops it",)


def split_rows(dataset: Dataset, data: DataSettings) -> Split:
    """Divide the rows, stratified by class, the same on every machine.

    Part sizes are round(rows * fraction), half to even; each is apportioned over the
    classes by largest remainder (test first, then calibration; train keeps the rest). The
    order within a class is that of SHA-256("seed:row"), so no generator's version matters.
    `split = "all"` uses every row for every part.

    Raises:
        DataError: a part, or a class's share of train, would be empty.
    """
    every = np.arange(dataset.rows, dtype=np.int64)
    if data.split == "all":
        return Split(train=every, calibration=every, test=every)
    n_test = round(dataset.rows * data.split[2])
    n_calibration = round(dataset.rows * data.split[1])
    if dataset.classes:
        groups = [np.flatnonzero(dataset.class_indices == c) for c in range(len(dataset.classes))]
    else:
        groups = [every]
    sizes = [len(group) for group in groups]
    test_shares = _apportion(n_test, sizes)
    rest = [size - share for size, share in zip(sizes, test_shares, strict=True)]
    calibration_shares = _apportion(n_calibration, rest)
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for group, n_t, n_c in zip(groups, test_shares, calibration_shares, strict=True):
        ordered = sorted(group.tolist(), key=lambda row: _shuffle_key(data.seed, row))
        parts[0].extend(ordered[n_t + n_c :])
        parts[1].extend(ordered[n_t : n_t + n_c])
        parts[2].extend(ordered[:n_t])
        if len(group) == n_t + n_c:
            _refuse_small(dataset)
    if not n_test or not n_calibration:
        _refuse_small(dataset)
    train, calibration, test = (np.array(sorted(part), np.int64) for part in parts)
    return Split(train=train, calibration=calibration, test=test)


def _refuse_small(dataset: Dataset) -> None:
    classes = f" for {len(dataset.classes)} classes" if dataset.classes else ""
    raise DataError(
        f"{dataset.path}: {dataset.rows} rows{classes} are too few to split: "
        'add rows, or set [data] split = "all"'
    )


def _shuffle_key(seed: int, row: int) -> bytes:
    return hashlib.sha256(f"{seed}:{row}".encode()).digest()


def _apportion(total: int, sizes: list[int]) -> list[int]:
    """Divide `total` in proportion to `sizes` by largest remainder; the first wins a tie."""
    whole = sum(sizes)
    shares = [total * size // whole for size in sizes]
    remainders = [total * size % whole for size in sizes]
    by_remainder = sorted(range(len(sizes)), key=lambda i: (-remainders[i], i))
    for index in by_remainder[: total - sum(shares)]:
        shares[index] += 1
    return shares
