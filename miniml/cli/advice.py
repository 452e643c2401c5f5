"""miniml quantize --advise: one table of every way to quantize, and which to take."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

import numpy as np

from miniml import reference
from miniml.advisor import Advice, Trial, advise, best_of
from miniml.atomic_file import write_atomically
from miniml.boards import Board
from miniml.cli.model_arguments import project_boards
from miniml.cli.output import load, show, warn
from miniml.cost import Cost, foretell
from miniml.cost.calibration import load_calibrations
from miniml.cost.foretelling import ANY_TOOLCHAIN
from miniml.errors import BudgetError, MiniMLError
from miniml.kernels.choice import kernels_for
from miniml.lock import Lock
from miniml.model import Int8Array
from miniml.pipeline import progress_line
from miniml.settings import Settings, load_settings
from miniml.toml_edit import set_keys

# None: the model doesn't fit the board.
Costs = dict[str, Cost | None]


def run_advice(arguments: argparse.Namespace, lock: Lock) -> int:
    """Try, show, and with --take write the choice into model.toml."""
    settings, dataset, split = load(arguments.model_dir)
    boards = _different(list(project_boards(arguments).values()))
    advice = advise(lock.float_model, dataset, split, settings, progress_line("QAT"))
    features = dataset.features[split.calibration].astype(np.float32)
    costs = {
        id(trial): _costs(trial, boards, settings, features) for trial in _best_of_kinds(advice)
    }
    content = {
        "choice": str(advice.best.choice),
        "keys": advice.best.choice.keys(),
        "reason": advice.reason,
        "rows": advice.best.metrics.rows,
        "trials": [_json(trial, costs.get(id(trial))) for trial in advice.trials],
        "refused": list(advice.refused),
    }
    for line in advice.refused:
        warn(line)
    show(arguments, content, [*_table(advice, boards, costs), *_verdict(advice)])
    if arguments.take:
        _take(settings, advice)
    return 0


def _different(boards: list[Board]) -> dict[str, Board]:
    """A board of each core and mode, under the names of all that share them."""
    groups: dict[tuple[str, str], list[Board]] = {}
    for board in boards:
        groups.setdefault((board.core, board.mode), []).append(board)
    return {", ".join(board.name for board in group): group[0] for group in groups.values()}


def _best_of_kinds(advice: Advice) -> list[Trial]:
    """The choice, and the best of per_layer, per_channel, and QAT of each: what is costed."""
    kinds: dict[tuple[bool, bool], list[Trial]] = {}
    for trial in advice.trials:
        kind = (trial.choice.per_channel, bool(trial.choice.qat_epochs))
        kinds.setdefault(kind, []).append(trial)
    return [best_of(trials) for trials in kinds.values()]


def _costs(trial: Trial, boards: dict[str, Board], settings: Settings, features: Any) -> Costs:
    inputs: Int8Array = reference.quantize_inputs(trial.model, features)
    found: Costs = {}
    for name, board in boards.items():
        try:
            kernels = kernels_for(trial.model, board, settings.code)
        except BudgetError:
            found[name] = None
            continue
        records = load_calibrations().records
        known = sorted(toolchain for core, toolchain in records if core == board.core)
        toolchain = ANY_TOOLCHAIN if kernels else next(iter(known), None)
        found[name] = foretell(trial.model, board, toolchain, inputs, kernels)
    return found


def _json(trial: Trial, costs: Costs | None) -> dict[str, Any]:
    boards = {
        name: cost and {key: getattr(cost, key) for key in ("flash", "sram", "cycles", "toolchain")}
        for name, cost in (costs or {}).items()
    }
    return {
        "choice": dataclasses.asdict(trial.choice),
        "metrics": trial.metrics.to_dict(),
        "loss": trial.loss,
        "proven_loss": trial.proven,
        "error": trial.error,
        "boards": boards,
    }


def _table(advice: Advice, boards: dict[str, Board], costs: dict[int, Costs]) -> list[str]:
    metrics = advice.best.metrics
    regression = metrics.float_rmse is not None
    figure, unit = ("RMSE", "%") if regression else ("int8 %", "points")
    floats = metrics.float_rmse if regression else metrics.float_accuracy
    widths = [max(len(name) + 2, 30) for name in boards]
    head = f"{'':2}{'':44}{figure:>9}{'loss':>7}{'off':>7}"
    for name, width in zip(boards, widths, strict=True):
        head += f"  {name:>{width}}"
    units = f"{'':2}{'way':44}{'':>9}{unit:>7}{'%':>7}"
    for width in widths:
        units += f"  {'flash B   SRAM B      cycles':>{width}}"
    lines = [f"{metrics.rows} calibration rows, float {floats:.6g}", head, units]
    for trial in advice.trials:
        value = trial.metrics.int8_rmse if regression else trial.metrics.int8_accuracy
        mark = "* " if trial is advice.best else "  "
        line = f"{mark}{trial.choice!s:44}{value:>9.4g}{trial.loss:>7.2f}{trial.error:>7.2f}"
        for name, width in zip(boards, widths, strict=True):
            found = costs.get(id(trial))
            line += f"  {'' if found is None else _cells(found[name]):>{width}}"
        lines.append(line.rstrip())
    return lines


def _cells(cost: Cost | None) -> str:
    if cost is None:
        return "too large"
    cycles = "?" if cost.cycles is None else f"{cost.cycles:,}"
    return f"{cost.flash:,} {cost.sram:>8,} {cycles:>11}"


def _verdict(advice: Advice) -> list[str]:
    lines = [
        "off: int8 outputs from the float model's, root mean square; costs: of each kind's best",
        f"take {advice.best.choice}: {advice.reason}",
    ]
    for section, keys in advice.best.choice.keys().items():
        lines.append(f"[{section}] " + ", ".join(f"{k} = {_toml(v)}" for k, v in keys.items()))
    return lines


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')


def _take(settings: Settings, advice: Advice) -> None:
    path = settings.path
    text = path.read_bytes().decode("utf-8-sig")
    for section, keys in advice.best.choice.keys().items():
        if section != "training" or settings.training.qat_epochs != keys["qat_epochs"]:
            text = set_keys(text, section, keys)
    try:
        write_atomically(path, text.encode("utf-8"))
    except OSError as error:
        raise MiniMLError(
            f"{path}: can't be written ({error.strerror}): check rights and room"
        ) from error
    load_settings(settings.model_dir)
    warn(f"{path}: choice written; `miniml train {settings.model_dir}` makes its model")
