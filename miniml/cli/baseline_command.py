"""miniml baseline: cycles that were recorded on a board, to hold later runs to."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

from miniml.cli.project_command import Subparsers, project_command
from miniml.hil.run_arguments import add_bundle_option, names, project_of

if TYPE_CHECKING:
    from miniml.hil.proof.baselines import Baseline


def register(subparsers: Subparsers) -> None:
    """Add the command to the `miniml` parser."""
    parser = project_command(
        subparsers,
        "baseline",
        "record the cycles of the last run, to hold later ones to",
        "Keeps test_hil/baselines.json: cycles by board, clock, toolchain, mode and "
        "model, for boards whose foretold figure is only a lower bound.",
    )
    parser.add_argument("action", choices=("record", "show", "forget"), help="what to do")
    parser.add_argument(
        "--board",
        action="append",
        default=[],
        metavar="NAME",
        help="a board; may be repeated (record and show: default all; forget: required)",
    )
    add_bundle_option(parser)
    parser.set_defaults(run=run_baseline)


def run_baseline(arguments: argparse.Namespace) -> int:
    """`miniml baseline`."""
    from miniml.errors import UsageError
    from miniml.hil.baseline_book import forget, record
    from miniml.hil.proof.baselines import load_baselines

    project = project_of(arguments.project_dir, arguments.bundle)
    chosen = names(arguments.board)
    lines: list[str] = []
    if arguments.action == "record":
        baselines, refused, file = record(project, chosen)
        lines = [f"not recorded: {text}" for text in refused] + [f"recorded in {file}; commit it"]
    elif arguments.action == "forget":
        if not chosen:
            raise UsageError("say whose baselines to forget: --board NAME")
        baselines = forget(project, chosen)
        lines = ["forgotten"]
    else:
        known = load_baselines(project).values()
        baselines = [b for b in known if not chosen or b.key.board in chosen]
        lines = [] if baselines else ["no baselines: miniml run, then miniml baseline record"]
    if arguments.json:
        print(json.dumps({"baselines": [asdict(baseline) for baseline in baselines]}, indent=1))
    else:
        print("\n".join([*_lines(baselines), *lines]))
    return 0


def _lines(baselines: Iterable[Baseline]) -> list[str]:
    return [
        f"{b.key.board} ({'simulated' if b.key.simulated else 'real'}) at {b.key.clock_hz:,} Hz, "
        f"{b.key.toolchain}, {b.key.mode}, model {b.key.model_id[:16]}: median {b.median:,}, "
        f"{b.min:,} to {b.max:,} cycles over {b.rows:,} rows"
        + (f", cold {b.cold:,}" if b.cold is not None else "")
        + (f", unmasked {b.unmasked:,}" if b.unmasked is not None else "")
        for b in baselines
    ]
