"""miniml train, quantize, evaluate: everything between the CSV and the QuantizedModel."""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from miniml import fixed_point
from miniml.dataset import fingerprint, load_dataset, read_bytes, split_rows
from miniml.errors import LockError, MiniMLError
from miniml.evaluation import Metrics, evaluate
from miniml.lock import LOCK_FILE, read_lock
from miniml.model import QuantizedModel
from miniml.pipeline import Prepared, make_lock, prepare, progress_line, save_lock
from miniml.settings import Settings, load_settings
from miniml.training import train

Subparsers = Any  # argparse has no public name for what add_subparsers returns


def register(subparsers: Subparsers) -> None:
    """Add the three commands to the `miniml` parser."""
    training = _command(
        subparsers,
        "train",
        "train the model if its data or settings changed, quantize it, rewrite the lock",
        "Reads MODEL_DIR/model.toml and the CSV it names, and writes MODEL_DIR/model.lock.json. "
        "Nothing is trained if neither data nor settings changed.",
    )
    training.add_argument("--force", action="store_true", help="train even if nothing changed")
    training.add_argument(
        "--seeds",
        type=_positive,
        metavar="N",
        help="measure instead: train with seeds 1 to N, print the accuracies, write nothing",
    )
    training.add_argument("--train", choices=("auto", "frozen"), help="over model.toml's setting")
    training.add_argument("--cache", type=Path, help="where training results are kept")
    training.set_defaults(run=run_train)
    quantizing = _command(
        subparsers,
        "quantize",
        "quantize the float weights of the lock again, and show each layer's scales",
        "Takes the float32 weights of MODEL_DIR/model.lock.json, calibrates, quantizes, and "
        "rewrites the lock if a byte changed. Never trains.",
    )
    quantizing.set_defaults(run=run_quantize)
    evaluating = _command(
        subparsers,
        "evaluate",
        "compare the float and the int8 model on the data",
        "Runs both models over one part of the data; int8 by the bit-exact reference. Trains "
        "first if the lock is not current (unless train is frozen).",
    )
    evaluating.add_argument(
        "--rows",
        choices=("test", "calibration", "train"),
        default="test",
        help="which part of the data (default: %(default)s)",
    )
    evaluating.add_argument("--train", choices=("auto", "frozen"), help="over model.toml's setting")
    evaluating.add_argument("--cache", type=Path, help="where training results are kept")
    evaluating.set_defaults(run=run_evaluate)


def _command(
    subparsers: Subparsers, name: str, summary: str, description: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name, help=summary, description=description
    )
    parser.add_argument("model_dir", type=Path, metavar="MODEL_DIR", help="holds model.toml")
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def run_train(arguments: argparse.Namespace) -> int:
    """`miniml train`."""
    if arguments.seeds:
        return _measure_seeds(arguments)
    prepared = prepare(
        arguments.model_dir,
        train=arguments.train,
        cache=arguments.cache,
        progress=True,
        force=arguments.force,
    )
    _show_notes(prepared)
    deed = "trained" if prepared.trained else "up to date"
    _print(
        arguments,
        _summary(prepared) | {"trained": prepared.trained, "lock": str(prepared.lock_path)},
        [_title(prepared.model) + f", {deed}", *_figures(prepared.metrics)],
    )
    return 0


def _measure_seeds(arguments: argparse.Namespace) -> int:
    """Train with several seeds on the same split, and say how good they are."""
    settings, dataset, split = _load(arguments.model_dir)
    runs = []
    for seed in range(1, arguments.seeds + 1):
        seeded = dataclasses.replace(
            settings, training=dataclasses.replace(settings.training, seed=seed)
        )
        show = progress_line(f"seed {seed}")
        lock = make_lock(seeded, "", dataset, split, train(dataset, split, seeded, show))
        runs.append((seed, Metrics(**lock.metrics)))
        if not arguments.json:
            print(f"seed {seed}: {', '.join(_figures(runs[-1][1]))}", flush=True)
    names = [
        field.name
        for field in dataclasses.fields(Metrics)
        if isinstance(getattr(runs[0][1], field.name), float)
    ]
    mean = {name: statistics.fmean(getattr(m, name) for _, m in runs) for name in names}
    content = {
        "seeds": [{"seed": seed} | metrics.to_dict() for seed, metrics in runs],
        "mean": mean,
    }
    _print(arguments, content, [f"mean of {len(runs)}: " + ", ".join(_figures_of(mean))])
    return 0


def run_quantize(arguments: argparse.Namespace) -> int:
    """`miniml quantize`."""
    settings, dataset, split = _load(arguments.model_dir)
    path = settings.model_dir / LOCK_FILE
    old = read_lock(path)
    sha256 = fingerprint(read_bytes(settings.data_path))
    if old is None or old.data_sha256 != sha256 or old.training != settings.training_content():
        state = "missing" if old is None else "made from other data or training settings"
        raise LockError(f"{path}: {state}: run `miniml train {arguments.model_dir}` first")
    lock = make_lock(settings, sha256, dataset, split, old.float_model)
    try:
        written = save_lock(path, lock)
    except OSError as error:
        raise MiniMLError(
            f"{path}: can't be written ({error.strerror}): check rights and room"
        ) from error
    layers = [_layer(lock.model, index) for index in range(len(lock.model.layers))]
    content = {
        "name": lock.model.name,
        "model_id": lock.model.model_id,
        "written": written,
        "layers": layers,
        "metrics": lock.metrics,
    }
    lines = [_title(lock.model) + (", lock rewritten" if written else ", lock unchanged")]
    for number, layer in enumerate(layers, start=1):
        lines.append(
            f"layer {number}: {layer['inputs']} -> {layer['outputs']} {layer['activation']}, "
            f"input scale {layer['input_scale']:.6g}, output scale {layer['output_scale']:.6g}, "
            f"shifts {layer['shift_min']} to {layer['shift_max']}, "
            f"|acc| <= {layer['accumulator_bound']:,}"
        )
    _print(arguments, content, [*lines, *_figures(Metrics(**lock.metrics))])
    return 0


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


def run_evaluate(arguments: argparse.Namespace) -> int:
    """`miniml evaluate`."""
    prepared = prepare(
        arguments.model_dir, train=arguments.train, cache=arguments.cache, progress=True
    )
    _show_notes(prepared)
    rows = getattr(prepared.split, arguments.rows)
    metrics = evaluate(prepared.float_model, prepared.model, prepared.dataset, rows)
    lines = [f"{_title(prepared.model)}, {metrics.rows} {arguments.rows} rows", *_figures(metrics)]
    if metrics.confusion is not None:
        lines += _confusion(metrics.confusion, prepared.model.labels)
    content = _summary(prepared) | {"part": arguments.rows, "metrics": metrics.to_dict()}
    _print(arguments, content, lines)
    return 0


def _load(model_dir: Path) -> tuple[Settings, Any, Any]:
    settings = load_settings(model_dir)
    dataset = load_dataset(settings.data_path, settings.data, settings.model.task)
    for warning in dataset.warnings:
        _warn(warning)
    return settings, dataset, split_rows(dataset, settings.data)


def _summary(prepared: Prepared) -> dict[str, Any]:
    return {
        "name": prepared.model.name,
        "model_id": prepared.model.model_id,
        "widths": list(prepared.model.widths),
        "macs": prepared.model.macs,
        "metrics": prepared.metrics.to_dict(),
    }


def _title(model: QuantizedModel) -> str:
    shape = "-".join(map(str, model.widths))
    return f"{model.name} {model.model_id[:16]}: {shape}, {model.macs:,} MACs"


def _figures(metrics: Metrics) -> list[str]:
    return _figures_of(metrics.to_dict())


def _figures_of(values: dict[str, Any]) -> list[str]:
    if values.get("float_accuracy") is not None:
        return [
            f"float {values['float_accuracy']:.2f} %",
            f"int8 {values['int8_accuracy']:.2f} % (loss {values['accuracy_loss']:.2f} points)",
            f"same answer in {values['agreement']:.2f} %",
        ]
    return [f"float RMSE {values['float_rmse']:.6g}", f"int8 RMSE {values['int8_rmse']:.6g}"]


def _confusion(table: list[list[int]], labels: tuple[str, ...]) -> list[str]:
    width = max(5, *(len(label) + 1 for label in labels))
    lines = ["int8, true class down, predicted class across:"]
    lines.append(" " * width + "".join(label.rjust(width) for label in labels))
    for label, row in zip(labels, table, strict=True):
        cells = "".join((str(count) if count else ".").rjust(width) for count in row)
        lines.append(label.rjust(width) + cells)
    return lines


def _show_notes(prepared: Prepared) -> None:
    for note in prepared.notes:
        _warn(note)


def _warn(text: str) -> None:
    print(f"miniml: warning: {text}", file=sys.stderr)


def _print(arguments: argparse.Namespace, content: dict[str, Any], lines: list[str]) -> None:
    print(json.dumps(content, indent=2) if arguments.json else "\n".join(lines))
