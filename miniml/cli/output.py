"""What the commands about a model share: loading its folder, and saying what came out."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from miniml.dataset import Dataset, Split, load_dataset, split_rows
from miniml.evaluation import Metrics
from miniml.model import QuantizedModel
from miniml.pipeline import Prepared
from miniml.settings import Settings, load_settings


def load(model_dir: Path) -> tuple[Settings, Dataset, Split]:
    """Settings, dataset and split of a model folder; the data's warnings go to stderr."""
    settings = load_settings(model_dir)
    dataset = load_dataset(settings.data_path, settings.data, settings.model.task)
    for warning in dataset.warnings:
        warn(warning)
    return settings, dataset, split_rows(dataset, settings.data)


def summary(prepared: Prepared) -> dict[str, Any]:
    """What every command says about a model with --json."""
    return {
        "name": prepared.model.name,
        "model_id": prepared.model.model_id,
        "widths": list(prepared.model.widths),
        "macs": prepared.model.macs,
        "metrics": prepared.metrics.to_dict(),
    }


def title(model: QuantizedModel) -> str:
    """One line: name, ModelId, shape."""
    shape = "-".join(map(str, model.widths))
    return f"{model.name} {model.model_id[:16]}: {shape}, {model.macs:,} MACs"


def figures(metrics: Metrics) -> list[str]:
    """Accuracies or errors in words."""
    return figures_of(metrics.to_dict())


def figures_of(values: dict[str, Any]) -> list[str]:
    """`figures` of `Metrics.to_dict()`."""
    if values.get("float_accuracy") is not None:
        return [
            f"float {values['float_accuracy']:.2f} %",
            f"int8 {values['int8_accuracy']:.2f} % (loss {values['accuracy_loss']:.2f} points)",
            f"same answer in {values['agreement']:.2f} %",
        ]
    return [f"float RMSE {values['float_rmse']:.6g}", f"int8 RMSE {values['int8_rmse']:.6g}"]


def confusion(table: list[list[int]], labels: tuple[str, ...]) -> list[str]:
    """The confusion matrix, a line a class."""
    width = max(5, *(len(label) + 1 for label in labels))
    lines = ["int8, true class down, predicted class across:"]
    lines.append(" " * width + "".join(label.rjust(width) for label in labels))
    for label, row in zip(labels, table, strict=True):
        cells = "".join((str(count) if count else ".").rjust(width) for count in row)
        lines.append(label.rjust(width) + cells)
    return lines


def show_notes(prepared: Prepared) -> None:
    """Warnings of `prepare` on stderr."""
    for note in prepared.notes:
        warn(note)


def warn(text: str) -> None:
    """One line on stderr."""
    print(f"miniml: warning: {text}", file=sys.stderr)


def show(arguments: argparse.Namespace, content: dict[str, Any], lines: list[str]) -> None:
    """Print lines, or with --json one object."""
    print(json.dumps(content, indent=2) if arguments.json else "\n".join(lines))
