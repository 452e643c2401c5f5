"""A model's inputs and expected bytes in a bundle, as .npy files that any numpy reads."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from miniml import reference
from miniml.float_net import DeviceModel
from miniml.hil.proof.device_rows import Values, differing, expected_layers, hard_rows
from miniml.hil.proof.hard_inputs import hard_floats
from miniml.hil.proof.subject import Subject
from miniml.hil.run_options import DEFAULT_FLOATS, DEFAULT_RANDOM
from miniml.model import QuantizedModel

_TYPES = ("|i1", "<f4", "<i8", "<f8")


@dataclass(frozen=True, eq=False)
class Vectors:
    """What one model is put to.

    Attributes:
        labels: of the test rows: class indices, or targets.
        suites: inputs (n, n_inputs) of "test" and "random", int8 or float32, and of "float",
            float32; the last only where a device quantizes.
        expected: the reference's values, layer by layer; of "float" the quantized inputs alone.
    """

    labels: NDArray[Any]
    suites: Mapping[str, Values]
    expected: Mapping[str, list[Values]]


def make_vectors(subject: Subject) -> Vectors:
    """The suites of an ordinary run, and what the reference makes of them."""
    model = subject.model
    suites = {"test": subject.rows, "random": hard_rows(model, subject.features, DEFAULT_RANDOM)}
    if isinstance(model, QuantizedModel):
        suites["float"] = hard_floats(model, subject.features, DEFAULT_FLOATS)
    expected = {suite: expected_of(model, suite, rows) for suite, rows in suites.items()}
    return Vectors(subject.labels, suites, expected)


def expected_of(model: DeviceModel, suite: str, rows: Values) -> list[Values]:
    """What the reference makes of a suite's rows."""
    if suite != "float":
        return expected_layers(model, rows)
    assert isinstance(model, QuantizedModel)
    return [reference.quantize_inputs(model, rows)]


def dump_vectors(vectors: Vectors) -> dict[str, bytes]:
    """Files by name."""
    arrays: dict[str, NDArray[Any]] = {"test_labels": vectors.labels}
    for suite, rows in vectors.suites.items():
        arrays[f"{suite}_inputs"] = rows
        for number, values in enumerate(vectors.expected[suite], 1):
            arrays[f"{suite}_expected_{number}"] = values
    return {f"{name}.npy": _dump(array) for name, array in arrays.items()}


def load_vectors(model: DeviceModel, files: Mapping[str, bytes]) -> Vectors:
    """The vectors of a model, which must be this MiniML's reference's.

    Raises:
        ValueError: files are missing or spoilt, or the reference gives other bytes.
    """
    arrays = {name.removesuffix(".npy"): _load(name, data) for name, data in files.items()}
    names = ("test", "random", "float") if isinstance(model, QuantizedModel) else ("test", "random")
    try:
        suites = {suite: arrays[f"{suite}_inputs"] for suite in names}
        labels = arrays["test_labels"]
        expected = {}
        for suite, rows in suites.items():
            integers = isinstance(model, QuantizedModel) and suite != "float"
            wanted = np.dtype(np.int8) if integers else np.dtype("<f4")
            if rows.dtype != wanted or rows.ndim != 2 or rows.shape[1] != model.widths[0]:
                raise ValueError(f"{suite}_inputs.npy doesn't fit the model")
            expected[suite] = expected_of(model, suite, rows)
            for number, values in enumerate(expected[suite], 1):
                if not _same(arrays[f"{suite}_expected_{number}"], values):
                    raise ValueError(
                        f"this MiniML's reference expects other bytes of suite {suite!r}, layer "
                        f"{number}, than the one that made it"
                    )
    except KeyError as error:
        raise ValueError(f"{error.args[0]}.npy is missing") from None
    if len(labels) != len(suites["test"]):
        raise ValueError("test_labels.npy doesn't fit test_inputs.npy")
    return Vectors(labels, suites, expected)


def _same(packed: NDArray[Any], made: Values) -> bool:
    if (packed.dtype, packed.shape) != (made.dtype.newbyteorder("<"), made.shape):
        return False
    return not differing(packed.ravel(), made.ravel()).size


def _dump(array: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    np.lib.format.write_array(stream, little, version=(1, 0), allow_pickle=False)
    return stream.getvalue()


def _load(name: str, data: bytes) -> NDArray[Any]:
    stream = io.BytesIO(data)
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError("another version")
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(stream)
    except Exception as error:  # the header is a Python literal: it can go wrong in many ways
        raise ValueError(f"{name} is no array: {error}") from error
    if by_columns or dtype.str not in _TYPES:
        raise ValueError(f"{name} is an array of {dtype.str[:20]}")
    rest = data[stream.tell() :]
    if len(rest) != int(np.prod(shape, dtype=object)) * dtype.itemsize:
        raise ValueError(f"{name} has another length than its header says")
    return np.frombuffer(rest, dtype).reshape(shape)
