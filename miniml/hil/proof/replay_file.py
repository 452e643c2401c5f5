"""A wrong row in a file, to be run again elsewhere: schema miniml.replay/1 (docs/HARNESS.md)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from miniml.atomic_file import write_atomically
from miniml.errors import UsageError
from miniml.hil.proof.comparison import RanRow
from miniml.hil.proof.device_rows import Values

SCHEMA = "miniml.replay/1"
# Two copies of every layer of the largest network that fits a board, in hex.
MAX_FILE_BYTES = 4_000_000
MAX_LAYERS = 255
SUITES = ("test", "random", "float", "again")
_TYPES: dict[str, np.dtype[Any]] = {"int8": np.dtype(np.int8), "float32": np.dtype("<f4")}


@dataclass(frozen=True, eq=False)
class Replay:
    """A row that a board computed wrongly.

    Attributes:
        board: its section in boards.ini.
        simulated: whether a simulated board did it.
        mode: of the build.
        model_id, build_id: 64 hex digits each.
        ran: the row, what was expected, what was found.
    """

    board: str
    simulated: bool
    mode: str
    model_id: str
    build_id: str
    ran: RanRow


def save_replay(path: Path, replay: Replay) -> None:
    """Writes the file, whole or not at all; its folder is made.

    Raises:
        OSError: no rights, no room.
    """
    ran = replay.ran
    content: dict[str, Any] = {
        "schema": SCHEMA,
        **{key: value for key, value in vars(replay).items() if key != "ran"},
        "suite": ran.suite,
        "row": ran.row,
        "first_layer": ran.first_layer,
        "inputs": _saved(ran.inputs),
        "expected": [_saved(values) for values in ran.expected],
        "found": [_saved(values) for values in ran.found],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())


def load_replay(path: Path) -> Replay:
    """Reads a file that anybody may have made.

    Raises:
        UsageError: it can't be read, or isn't one; in one line.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"can't read {path}: {error.strerror}") from error
    if len(text) > MAX_FILE_BYTES:
        raise UsageError(f"{path} has more than {MAX_FILE_BYTES:,} bytes: it is no replay file")
    try:
        content = json.loads(text)
        if not isinstance(content, dict) or content.get("schema") != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA}")
        return _replay(content)
    except (ValueError, RecursionError) as error:
        what = str(error).splitlines()[0][:200]
        raise UsageError(f"{path} is no replay file: {what}: record the row again") from error


def _replay(content: dict[str, Any]) -> Replay:
    first = _integer(content, "first_layer", 1)
    expected, found = (
        tuple(_values(key, item) for item in _list(content, key)) for key in ("expected", "found")
    )
    if [values.shape for values in expected] != [values.shape for values in found]:
        raise ValueError("expected and found have other shapes")
    if [values.dtype for values in expected] != [values.dtype for values in found]:
        raise ValueError("expected and found have other types")
    if first == 0 and len(expected) != 1:
        raise ValueError("first_layer 0 has one list of values, the quantized input")
    simulated = content.get("simulated")
    if not isinstance(simulated, bool):
        raise ValueError("simulated is not true or false")
    return Replay(
        board=_text(content, "board", r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}"),
        simulated=simulated,
        mode=_text(content, "mode", r"[a-z0-9_]{1,32}"),
        model_id=_text(content, "model_id", r"[0-9a-f]{64}"),
        build_id=_text(content, "build_id", r"[0-9a-f]{64}"),
        ran=RanRow(
            suite=_text(content, "suite", "|".join(SUITES)),
            row=_integer(content, "row", 2**31),
            first_layer=first,
            inputs=_values("inputs", content.get("inputs")),
            expected=expected,
            found=found,
        ),
    )


def _saved(values: Values) -> dict[str, str]:
    name = next(name for name, dtype in _TYPES.items() if values.dtype == dtype)
    return {"type": name, "bytes": values.astype(_TYPES[name]).tobytes().hex()}


def _values(key: str, item: object) -> Values:
    if not isinstance(item, dict) or item.get("type") not in _TYPES:
        raise ValueError(f"{key} has values of no known type")
    text, dtype = item.get("bytes"), _TYPES[item["type"]]
    if not isinstance(text, str) or not re.fullmatch(r"(?:[0-9a-f]{2})+", text):
        raise ValueError(f"{key} has values that are no hex digits")
    if len(text) % (2 * dtype.itemsize):
        raise ValueError(f"{key} ends within a value")
    return np.frombuffer(bytes.fromhex(text), dtype)


def _text(content: dict[str, Any], key: str, pattern: str) -> str:
    value = content.get(key)
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise ValueError(f"{key} is missing or malformed")
    return value


def _integer(content: dict[str, Any], key: str, most: int) -> int:
    value = content.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"{key} is no whole number from 0 to {most}")
    return value


def _list(content: dict[str, Any], key: str) -> list[object]:
    value = content.get(key)
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_LAYERS:
        raise ValueError(f"{key} is no list of 1 to {MAX_LAYERS} layers")
    return value
