"""model.lock.json: what training and quantization made of the data, to be committed.

It holds the data's hash, the settings that decided the outcome, the float32 weights, the
metrics and the quantized model with its ModelId, under a checksum. Readable: sorted keys,
a row of weights a line, no timestamp, so that the same model gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from miniml import __version__
from miniml.errors import LockError, ModelError
from miniml.float_json import float_from_dict, float_to_dict
from miniml.float_model import FloatModel
from miniml.model import (
    GENERATOR_VERSION,
    QuantizedModel,
    canonical_json,
    from_dict,
    to_dict,
)

LOCK_FILE = "model.lock.json"
LOCK_FORMAT = "miniml.lock/1"
# What reading a file raises that is no JSON, or not the JSON that was written.
DAMAGE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True, eq=False)
class Lock:
    """One model.lock.json.

    Attributes:
        data_sha256: of the CSV (`dataset.fingerprint`).
        training: `Settings.training_content()` of the run.
        quantization: `Settings.quantization_content()` of the run.
        float_model: float32 weights and float64 scalers.
        model: the quantized model.
        metrics: `Metrics.to_dict()` over the test rows.
        generator: GENERATOR_VERSION that made `model`.
    """

    data_sha256: str
    training: dict[str, Any]
    quantization: dict[str, Any]
    float_model: FloatModel
    model: QuantizedModel
    metrics: dict[str, Any]
    generator: int = GENERATOR_VERSION


def dump_lock(lock: Lock) -> bytes:
    """The file's bytes."""
    content: dict[str, Any] = {
        "format": LOCK_FORMAT,
        "miniml": __version__,
        "generator": lock.generator,
        "data_sha256": lock.data_sha256,
        "training": lock.training,
        "quantization": lock.quantization,
        "metrics": lock.metrics,
        "float_model": float_to_dict(lock.float_model),
        "model_id": lock.model.model_id,
        "model": to_dict(lock.model),
    }
    content["checksum"] = _checksum(content)
    return (_readable(content) + "\n").encode("utf-8")


def parse_lock(text: bytes, path: Path) -> Lock | None:
    """Read a lock; None if another version of MiniML wrote another format.

    Args:
        text: the file's bytes.
        path: for messages.

    Raises:
        LockError: no JSON, edited by hand, merged badly, or a model that breaks the contract.
    """
    try:
        content = json.loads(text)
        if not isinstance(content, dict) or "format" not in content:
            raise ValueError("it is no lock")
        if content["format"] != LOCK_FORMAT:
            return None
        found = content.pop("checksum", None)
        if found != _checksum(content):
            raise ValueError("its checksum doesn't match: edited by hand or merged badly")
        # Another generator gives another ModelId to the same weights: quantized again then.
        generator = int(content["generator"])
        model = from_dict(content["model"])
        if generator == GENERATOR_VERSION and content["model_id"] != model.model_id:
            raise ValueError("its ModelId doesn't match its model")
        return Lock(
            data_sha256=str(content["data_sha256"]),
            training=dict(content["training"]),
            quantization=dict(content["quantization"]),
            float_model=float_from_dict(content["float_model"]),
            model=model,
            metrics=dict(content["metrics"]),
            generator=generator,
        )
    except (*DAMAGE, ModelError) as error:
        reason = " ".join(str(error).split())
        raise LockError(
            f"{path}: damaged ({reason}): restore it from version control, or delete it to "
            "train again"
        ) from error


def read_lock(path: Path) -> Lock | None:
    """Read a file; None if there is none, or it has another format.

    Raises:
        LockError: see `parse_lock`; also unreadable.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LockError(f"{path}: can't be read ({error.strerror}): check its rights") from None
    return parse_lock(text, path)


def differences(
    lock: Lock, data_sha256: str, training: dict[str, Any], quantization: dict[str, Any]
) -> tuple[list[str], list[str]]:
    """What keeps a lock from being current: reasons to train, and reasons to quantize."""
    to_train = [] if lock.data_sha256 == data_sha256 else ["the data"]
    to_train += _changed(lock.training, training)
    to_quantize = _changed(lock.quantization, quantization)
    if lock.generator != GENERATOR_VERSION:
        to_quantize.append(f"the generator ({lock.generator}, now {GENERATOR_VERSION})")
    return to_train, to_quantize


def _changed(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    reasons = []
    for key in sorted({*old, *new}):
        before, now = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            reasons += [f"[{key}] {reason}" for reason in _changed(before, now)]
        elif before != now:
            reasons.append(f"{key} ({json.dumps(before)}, now {json.dumps(now)})")
    return reasons


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(canonical_json(content)).hexdigest()


def _readable(value: Any, indent: int = 0) -> str:
    """JSON with a line a key, and a list of plain values on one line."""
    inner = " " * (indent + 1)
    if isinstance(value, dict) and value:
        lines = [
            f"{inner}{json.dumps(key)}: {_readable(value[key], indent + 1)}"
            for key in sorted(value)
        ]
        return "{\n" + ",\n".join(lines) + "\n" + " " * indent + "}"
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        lines = [inner + _readable(item, indent + 1) for item in value]
        return "[\n" + ",\n".join(lines) + "\n" + " " * indent + "]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
