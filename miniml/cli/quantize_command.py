"""miniml quantize: float weights to int8 again, what its ranges rest on."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from miniml import fixed_point
from miniml.calibration_report import report_ranges
from miniml.cli.advice import run_advice
from miniml.cli.model_arguments import Subparsers, add_project_dir
from miniml.cli.output import figures, load, show, title
from miniml.dataset import fingerprint, read_bytes
from miniml.errors import LockError, MiniMLError, UsageError
from miniml.evaluation import Metrics
from miniml.lock import LOCK_FILE, Lock, read_lock
from miniml.model import QuantizedModel
from miniml.pipeline import make_lock, save_lock
from miniml.settings import Settings, load_settings


def register(subparsers: Subparsers) -> None:
    """Add the command to the `miniml` parser."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "quantize",
        help="quantize the float weights of the lock again, and show each layer's scales",
        description="Takes the float32 weights of MODEL_DIR/model.lock.json, calibrates, "
        "quantizes, and rewrites the lock if a byte changed. Shows how sure each range is and "
        "which rows of the CSV set it. Never trains.",
    )
    parser.add_argument("model_dir", type=Path, metavar="MODEL_DIR", help="holds model.toml")
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    parser.add_argument(
        "--advise",
        action="store_true",
        help="try every way on the calibration rows, and QAT where those lose too much; print a "
        "table with costs and say which to take; writes nothing",
    )
    parser.add_argument(
        "--take", action="store_true", help="with --advise: write the choice into model.toml"
    )
    add_project_dir(parser)
    parser.set_defaults(run=run_quantize)


def run_quantize(arguments: argparse.Namespace) -> int:
    """`miniml quantize`."""
    if arguments.take and not arguments.advise:
        raise UsageError("--take needs --advise, whose choice it writes")
    if arguments.advise:
        return run_advice(arguments, current_lock(load_settings(arguments.model_dir)))
    settings, dataset, split = load(arguments.model_dir)
    old = current_lock(settings)
    path = settings.model_dir / LOCK_FILE
    lock = make_lock(settings, old.data_sha256, dataset, split, old.float_model)
    try:
        written = save_lock(path, lock)
    except OSError as error:
        raise MiniMLError(
            f"{path}: can't be written ({error.strerror}): check rights and room"
        ) from error
    reports = report_ranges(lock.float_model, dataset, split, settings)
    layers = [_layer(lock.model, index) for index in range(len(lock.model.layers))]
    content = {
        "name": lock.model.name,
        "model_id": lock.model.model_id,
        "written": written,
        "layers": layers,
        "ranges": [report.to_dict() for report in reports],
        "metrics": lock.metrics,
    }
    lines = [title(lock.model) + (", lock rewritten" if written else ", lock unchanged")]
    for number, layer in enumerate(layers, start=1):
        lines.append(
            f"layer {number}: {layer['inputs']} -> {layer['outputs']} {layer['activation']}, "
            f"input scale {layer['input_scale']:.6g}, output scale {layer['output_scale']:.6g}, "
            f"shifts {layer['shift_min']} to {layer['shift_max']}, "
            f"|acc| <= {layer['accumulator_bound']:,}"
        )
    lines += [report.line() for report in reports]
    show(arguments, content, [*lines, *figures(Metrics(**lock.metrics))])
    return 0


def current_lock(settings: Settings) -> Lock:
    """The lock, whose float weights are of these data and settings.

    Raises:
        LockError: missing, damaged, or of others.
    """
    path = settings.model_dir / LOCK_FILE
    lock = read_lock(path)
    sha256 = fingerprint(read_bytes(settings.data_path))
    if lock is None or lock.data_sha256 != sha256 or lock.training != settings.training_content():
        state = "missing" if lock is None else "made from other data or training settings"
        raise LockError(f"{path}: {state}: run `miniml train {settings.model_dir}` first")
    return lock


def _layer(model: QuantizedModel, index: int) -> dict[str, Any]:
    layer = model.layers[index]
    return {
        "inputs": layer.n_inputs,
        "outputs": layer.n_outputs,
        "activation": layer.activation,
        "input_scale": layer.input_scale,
        "output_scale": layer.output_scale,
        "shift_min": int(layer.shifts.min()),
        "shift_max": int(layer.shifts.max()),
        "accumulator_bound": int(fixed_point.accumulator_bound(layer.weights, layer.bias).max()),
    }
