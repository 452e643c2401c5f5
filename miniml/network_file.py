"""A MiniNeuralNetwork as one canonical JSON: settings, float weights, scalers, ranges, int8 model.

`miniml.network/1`: sorted keys, no spaces, every float as the shortest decimal that reads back to
the same bits, under a SHA-256. What is generated from a file that was read is, to the byte, what
was generated before it was written.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from miniml import __version__
from miniml.atomic_file import write_atomically
from miniml.calibration import Calibration
from miniml.errors import MiniMLError, ModelError, ModelFileError, NotFittedError, SettingsError
from miniml.float_json import float_from_dict, float_to_dict
from miniml.lock import DAMAGE
from miniml.model import GENERATOR_VERSION, QuantizedModel, canonical_json, from_dict, to_dict
from miniml.network_settings import NetworkSettings
from miniml.network_state import Fitted, NetworkState
from miniml.quantization import activation_scales, quantize

FORMAT = "miniml.network/1"
FAMILY = "miniml.network/"


def dump_network(state: NetworkState) -> bytes:
    """The file's bytes.

    Raises:
        NotFittedError: there are no weights to save.
    """
    settings, fitted = state.settings, state.fitted
    if fitted is None:
        raise NotFittedError(f"{settings.name}: saving needs a trained network: call fit() first")
    model = state.quantized
    content: dict[str, Any] = {
        "format": FORMAT,
        "miniml": __version__,
        "generator": GENERATOR_VERSION,
        "settings": {
            "n_inputs": settings.n_inputs,
            "n_hidden": list(settings.hidden),
            "n_outputs": settings.n_outputs,
            "name": settings.name,
            "task": settings.task,
            "options": dict(settings.options),
        },
        "source": fitted.source,
        "float_model": float_to_dict(fitted.float_model),
        "calibration": asdict(fitted.calibration),
        "act_scales": list(activation_scales(fitted.float_model, fitted.calibration)),
        "per_channel": state.per_channel,
        "model_id": None if model is None else model.model_id,
        "model": None if model is None else to_dict(model),
    }
    content["checksum"] = _checksum(content)
    return canonical_json(content) + b"\n"


def parse_network(text: bytes, path: Path, name: str | None = None) -> NetworkState:
    """Read what `dump_network` wrote.

    A model that an older generator made is quantized again from its weights and ranges.

    Args:
        text: the file's bytes.
        path: for messages.
        name: replaces the saved name, the prefix of the generated C.

    Raises:
        ModelFileError: no JSON, damaged, or of a version that this one doesn't read.
        ModelNameError: `name` can't prefix C symbols.
    """
    try:
        content = json.loads(text)
        if not isinstance(content, dict) or not isinstance(content.get("format"), str):
            raise ValueError("it is no saved network")
        if content["format"] != FORMAT:
            raise _other_version(content["format"], path)
        if content.pop("checksum", None) != _checksum(content):
            raise ValueError("its checksum doesn't match")
        state = _state(content)
    except ModelFileError:
        raise
    except (*DAMAGE, ModelError, SettingsError) as error:
        reason = " ".join(str(error).split())
        raise ModelFileError(
            f"{path}: damaged ({reason}): restore it, or train and save again"
        ) from error
    return state if name is None else renamed(state, name)


def save_network(state: NetworkState, path: Path) -> None:
    """Write the file, whole or not at all.

    Raises:
        NotFittedError: see `dump_network`.
        MiniMLError: it can't be written; the old file is as it was.
    """
    content = dump_network(state)
    try:
        write_atomically(path, content)
    except OSError as error:
        raise MiniMLError(
            f"{path}: can't be written ({error.strerror}): make room or correct its rights"
        ) from error


def load_network(path: Path, name: str | None = None) -> NetworkState:
    """Read a file; see `parse_network`.

    Raises:
        ModelFileError: also missing or unreadable.
        ModelNameError: `name` can't prefix C symbols.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ModelFileError(
            f"{path}: can't be read ({error.strerror}): check its name and rights"
        ) from None
    return parse_network(text, path, name)


def renamed(state: NetworkState, name: str) -> NetworkState:
    """The same network under another name; its ModelId stays.

    Raises:
        ModelNameError: it can't prefix C symbols.
    """
    model = state.quantized
    return replace(
        state,
        settings=replace(state.settings, name=name),
        quantized=None if model is None else replace(model, name=name),
    )


def _state(content: dict[str, Any]) -> NetworkState:
    saved = content["settings"]
    settings = NetworkSettings(
        n_inputs=saved["n_inputs"],
        hidden=tuple(saved["n_hidden"]),
        n_outputs=saved["n_outputs"],
        name=saved["name"],
        task=saved["task"],
        options=dict(saved["options"]),
    )
    float_model = float_from_dict(content["float_model"])
    widths = (len(float_model.features), *(len(layer.bias) for layer in float_model.layers))
    _require(
        widths == (settings.n_inputs, *settings.hidden, settings.n_outputs),
        "settings and weights differ in shape",
    )
    fitted = Fitted(
        settings=settings.resolve(float_model.task, 0),
        source=str(content["source"]),
        float_model=float_model,
        calibration=_calibration(content["calibration"], len(float_model.layers)),
    )
    scales = list(activation_scales(float_model, fitted.calibration))
    _require(scales == content["act_scales"], "act_scales don't match the ranges")
    state = NetworkState(settings, fitted, per_channel=bool(content["per_channel"]))
    if content["model"] is None:
        return state
    if content["generator"] != GENERATOR_VERSION:
        return replace(state, quantized=_quantized_again(state, fitted))
    model = from_dict(content["model"])
    _require(content["model_id"] == model.model_id, "its ModelId doesn't match its model")
    _require(model.widths == widths, "float and int8 weights differ in shape")
    _require(model.name == settings.name, "its names differ")
    return replace(state, quantized=model)


def _quantized_again(state: NetworkState, fitted: Fitted) -> QuantizedModel:
    return quantize(
        fitted.float_model,
        fitted.calibration,
        name=state.settings.name,
        per_channel=state.per_channel,
        nonnegative_input=fitted.settings.quantization.nonnegative_input,
    )


def _calibration(content: dict[str, Any], layers: int) -> Calibration:
    ranges = Calibration(**{**content, "layers": tuple(map(float, content["layers"]))})
    _require(len(ranges.layers) == layers, "ranges and layers differ in number")
    return ranges


def _other_version(found: str, path: Path) -> ModelFileError:
    version = found.removeprefix(FAMILY)
    if found.startswith(FAMILY) and version.isdigit():
        kind = "a newer MiniML wrote it: update MiniML"
        if int(version) < int(FORMAT.removeprefix(FAMILY)):
            kind = "that version had no public release: train and save again"
        return ModelFileError(f"{path}: format {found!r}, this version reads {FORMAT!r}: {kind}")
    return ModelFileError(f"{path}: format {found!r} is no saved network: train and save one")


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(canonical_json(content)).hexdigest()


def _require(condition: bool, complaint: str) -> None:
    if not condition:
        raise ValueError(complaint)
