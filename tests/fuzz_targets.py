"""What is fuzzed: the readers of a user's files, and mutations that know their formats.

A reader must return a value that holds what it promises, or raise a MiniMLError of one line.
"""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from miniml import network_file, reference
from miniml.adapters import int8
from miniml.dataset import load_dataset, normalised, split_rows
from miniml.errors import MiniMLError
from miniml.lock import dump_lock, parse_lock
from miniml.ml_runtime import MiniNeuralNetwork
from miniml.model import QuantizedModel, canonical_json
from miniml.network_file import dump_network, parse_network
from miniml.settings import DataSettings, parse_toml

MODELS = Path(__file__).parents[1] / "firmware" / "models"
PLACE = Path("file")
MAX_BYTES = 20_000
DATA = DataSettings(label=("label",))
Target = Callable[[bytes], object]
Mutation = Callable[[bytes, random.Random], bytes]


def read(target: str, content: bytes) -> str:
    """How a reader took some bytes: "ok", or the error's class.

    Raises:
        Whatever else the reader raised; AssertionError: a promise that it broke.
    """
    try:
        READERS[target](content)
    except MiniMLError as error:
        refusal = error
    else:
        return "ok"
    message = str(refusal)
    assert message, f"{refusal!r} says nothing"
    assert "\n" not in message, f"more than one line: {message!r}"
    return type(refusal).__name__


def _network(content: bytes) -> None:
    state = parse_network(content, PLACE)
    again = dump_network(state)
    assert dump_network(parse_network(again, PLACE)) == again
    network = MiniNeuralNetwork.from_state(state)
    if state.quantized is not None:
        _runs(state.quantized)
    assert len(network.act_scales) == len(network.float_model.layers) + 1


def _lock(content: bytes) -> None:
    lock = parse_lock(content, PLACE)
    if lock is not None:
        again = dump_lock(lock)
        other = parse_lock(again, PLACE)
        assert other is not None
        assert dump_lock(other) == again
        _runs(lock.model)


def _runs(model: QuantizedModel) -> None:
    """A model that was read can be run and generated."""
    inputs = np.array([[-128], [0], [127]], np.int8).repeat(model.n_inputs, axis=1)
    outputs = reference.run_layers(model, inputs)[-1]
    assert outputs.shape == (3, model.n_outputs)
    assert int8.generate(model, "a file").endswith("#endif\n")


def _settings(content: bytes) -> None:
    settings = parse_toml(content, PLACE)
    json.dumps([settings.training_content(), settings.quantization_content()], allow_nan=False)
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,31}", settings.model.name)


def _csv(content: bytes) -> None:
    text = normalised(content, PLACE)
    for task in ("classification", "regression"):
        _table(text, task)


def _table(text: bytes, task: Any) -> None:
    try:
        table = load_dataset(PLACE, DATA, task, text)
    except MiniMLError:
        if task == "regression":  # what both refuse is told; one of them is enough to go on
            raise
        return
    assert table.features.shape == (table.rows, len(table.feature_names))
    assert np.isfinite(table.features.astype(np.float32)).all()
    labels = table.class_indices if task == "classification" else table.targets
    assert len(labels) == table.rows
    split = split_rows(table, DATA)
    parts = np.concatenate([split.train, split.calibration, split.test])
    assert sorted(parts.tolist()) == list(range(table.rows))


READERS: dict[str, Target] = {
    "network": _network,
    "lock": _lock,
    "settings": _settings,
    "csv": _csv,
}

ODD: Sequence[Any] = (
    *(None, True, False, 0, 1, -1, 2, 127, 128, -128, 2**31 - 1, 2**31, -(2**31), 2**63, 10**400),
    *(0.0, -0.0, 0.5, 1e-320, 1e-38, 3.5e38, 1e308, -1e308, "", "x", "relu", "tanh", "softmax"),
    *(
        "int",
        "\u0000",
        "\ud800",
        "*/",
        "??/",
        "x" * 300,
        [],
        {},
        [[]],
        [0],
        [0.5],
        [[1, 2]],
        {"": 0},
    ),
)


def mutate_json(content: bytes, rng: random.Random) -> bytes:
    """Change some nodes; the checksum is mostly made right again."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return mutate_bytes(content, rng)
    if not isinstance(value, dict) or rng.random() < 0.05:
        return mutate_bytes(content, rng)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        _change_node(value, rng)
    if rng.random() < 0.95 and "checksum" in value:
        del value["checksum"]
        try:
            value["checksum"] = network_file._checksum(value)
        except ValueError:  # a surrogate can't be written
            value["checksum"] = ""
    return json.dumps(value).encode()


def _change_node(value: Any, rng: random.Random) -> None:
    holder = value
    while True:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        if not keys:
            return
        key = rng.choice(keys)
        if isinstance(holder[key], dict | list) and rng.random() < 0.85:
            holder = holder[key]
            continue
        break
    kind = rng.randrange(6)
    old = holder[key]
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(old))
    elif kind == 2 and isinstance(old, int | float) and not isinstance(old, bool):
        holder[key] = old + rng.choice((-1, 1, 0.5)) if abs(old) < 1e300 else 0
    elif kind == 3 and isinstance(old, list):
        holder[key] = [*old, *copy.deepcopy(old[:1])]
    elif kind == 4 and isinstance(old, str):
        holder[key] = old[: rng.randrange(len(old) + 1)] + rng.choice(("", "x", "_", "\n", "é"))
    else:
        holder[key] = copy.deepcopy(rng.choice(ODD))


WORDS = (
    *(b"[" * 3000, b"9" * 5000),
    *(b"[model]", b"[data]", b"[training]", b"[quantization]", b"[gates]", b"hidden = [4]"),
    *(b'name = "x"', b'task = "regression"', b'label = "label"', b"split = [0.7, 0.1, 0.2]"),
    *(b"epochs = 3", b"1e400", b"nan", b"-inf", b"0x10", b"1979-05-27", b'"""', b"[[", b"]", b"="),
    *(
        b"label",
        b"\xef\xbb\xbf",
        b"\r\n",
        b"\n",
        b",",
        b";",
        b"\t",
        b'"',
        b'""',
        b" ",
        b"\0",
        b"\xff",
    ),
    *(
        b"1_000",
        b"1,5",
        b"-0",
        b"1e39",
        b"",
        b"\xc2\xa0",
        b"\xe2\x80\xa8",
        b"true",
        b"[]",
        b"{a = 1}",
    ),
)


def mutate_lines(content: bytes, rng: random.Random) -> bytes:
    """Lines doubled, dropped, swapped; pieces between separators replaced by odd words."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        kind = rng.randrange(6)
        lines = content.split(b"\n")
        at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(other, lines[at])
        elif kind == 2:
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == 3:
            lines.insert(at, rng.choice(WORDS))
        elif kind == 4:
            return mutate_bytes(content, rng)
        else:
            pieces = re.split(rb"([,;\t=\[\] ])", lines[at])
            pieces[rng.randrange(len(pieces))] = rng.choice(WORDS)
            lines[at] = b"".join(pieces)
        content = b"\n".join(lines)
    return content


def mutate_bytes(content: bytes, rng: random.Random) -> bytes:
    """A bit, a byte, a cut, a doubled piece, or an odd word anywhere."""
    data = bytearray(content)
    at = rng.randrange(len(data) + 1)
    end = min(len(data), at + rng.randrange(1, 20))
    kind = rng.randrange(5)
    if kind == 0 and at < len(data):
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del data[at:end]
    elif kind == 2:
        data[at:at] = data[at:end]
    elif kind == 3 and at < len(data):
        data[at] = rng.randrange(256)
    else:
        data[at:at] = rng.choice(WORDS)
    return bytes(data)


MUTATIONS: dict[str, Mutation] = {
    "network": mutate_json,
    "lock": mutate_json,
    "settings": mutate_lines,
    "csv": mutate_lines,
}


def seeds(target: str) -> list[bytes]:
    """Whole and right files to begin with."""
    if target == "network":
        return _networks()
    if target == "lock":
        return [(MODELS / name / "model.lock.json").read_bytes() for name in ("xor", "sine")]
    if target == "settings":
        return [file.read_bytes() for file in sorted(MODELS.glob("*/model.toml"))]
    table = b"a,b,label\n" + b"".join(b"%d,%d.5,%d\n" % (i, 30 - i, i % 3) for i in range(30))
    quoted = b'"a"\t"label"\n' + b"".join(b"%de3\t%d\n" % (i, i % 2) for i in range(12))
    return [table, table.replace(b",", b";").replace(b"\n", b"\r\n"), quoted]


def _networks() -> list[bytes]:
    rows = [[0.0, 0.0, 0], [0.0, 1.0, 1], [1.0, 0.0, 1], [1.0, 1.0, 0]]
    quick: dict[str, Any] = {"epochs": 2, "restarts": 0}
    network = MiniNeuralNetwork(2, 3, 1, scaling="minmax", **quick).fit(rows)
    found = [dump_network(network.state), dump_network(network.quantize().state)]
    deep = MiniNeuralNetwork(1, [2, 2], 2, task="regression", activation="tanh", **quick)
    found.append(dump_network(deep.fit(rows).quantize(per_channel=False).state))
    content = json.loads(found[1])
    del content["checksum"]
    content["generator"] -= 1  # quantized again when it is read
    content["checksum"] = network_file._checksum(content)
    return [*found, canonical_json(content)]
