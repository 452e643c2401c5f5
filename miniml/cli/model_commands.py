"""miniml train, evaluate: from the CSV to a QuantizedModel, and how good it is."""

from __future__ import annotations

import argparse
import dataclasses
import statistics
from pathlib import Path
from typing import Any

from miniml.calibration_report import report_ranges
from miniml.cli.output import confusion, figures, figures_of, load, show, show_notes, summary, title
from miniml.evaluation import Metrics, evaluate
from miniml.pipeline import make_lock, prepare, progress_line
from miniml.training import train

Subparsers = Any  # argparse has no public name for what add_subparsers returns


def register(subparsers: Subparsers) -> None:
    """Add the two commands to the `miniml` parser."""
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
    show_notes(prepared)
    deed = "trained" if prepared.trained else "up to date"
    show(
        arguments,
        summary(prepared) | {"trained": prepared.trained, "lock": str(prepared.lock_path)},
        [title(prepared.model) + f", {deed}", *figures(prepared.metrics)],
    )
    return 0


def _measure_seeds(arguments: argparse.Namespace) -> int:
    """Train with several seeds on the same split, and say how good they are."""
    settings, dataset, split = load(arguments.model_dir)
    runs = []
    for seed in range(1, arguments.seeds + 1):
        seeded = dataclasses.replace(
            settings, training=dataclasses.replace(settings.training, seed=seed)
        )
        told = progress_line(f"seed {seed}")
        lock = make_lock(seeded, "", dataset, split, train(dataset, split, seeded, told))
        runs.append((seed, Metrics(**lock.metrics)))
        if not arguments.json:
            print(f"seed {seed}: {', '.join(figures(runs[-1][1]))}", flush=True)
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
    show(arguments, content, [f"mean of {len(runs)}: " + ", ".join(figures_of(mean))])
    return 0


def run_evaluate(arguments: argparse.Namespace) -> int:
    """`miniml evaluate`."""
    prepared = prepare(
        arguments.model_dir, train=arguments.train, cache=arguments.cache, progress=True
    )
    show_notes(prepared)
    rows = getattr(prepared.split, arguments.rows)
    metrics = evaluate(prepared.float_model, prepared.model, prepared.dataset, rows)
    lines = [f"{title(prepared.model)}, {metrics.rows} {arguments.rows} rows", *figures(metrics)]
    if metrics.confusion is not None:
        lines += confusion(metrics.confusion, prepared.model.labels)
    reports = report_ranges(
        prepared.float_model, prepared.dataset, prepared.split, prepared.settings
    )
    lines += [report.line() for report in reports]
    content = summary(prepared) | {
        "part": arguments.rows,
        "metrics": metrics.to_dict(),
        "ranges": [report.to_dict() for report in reports],
    }
    show(arguments, content, lines)
    return 0
