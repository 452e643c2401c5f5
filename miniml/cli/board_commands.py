"""miniml run, flash: everything that changes or judges a board."""

from __future__ import annotations

import argparse
import json
import sys

from miniml.cli.project_command import Subparsers, project_command
from miniml.hil.run_arguments import add_board_options, add_run_options, options_of


def register(subparsers: Subparsers) -> None:
    """Add the two commands to the `miniml` parser."""
    running = project_command(
        subparsers,
        "run",
        "flash what `pio run` built, run the test split on the board, compare, report",
        "Flashes each board, asks who it is, runs every row of the test split, compares every "
        "layer's bytes and the cycles with Python's, and writes the report to .pio/miniml/report.",
    )
    add_board_options(running)
    add_run_options(running)
    running.set_defaults(run=run_run)
    flashing = project_command(
        subparsers, "flash", "flash what `pio run` built", "Flashes each board and stops there."
    )
    add_board_options(flashing)
    flashing.set_defaults(run=run_flash)


def run_run(arguments: argparse.Namespace) -> int:
    """`miniml run`."""
    from miniml.hil.harness import run_and_report
    from miniml.hil.report import table

    report, page = run_and_report(options_of(vars(arguments), arguments.project_dir))
    if arguments.json:
        json.dump(report, sys.stdout, indent=1)
        print()
    else:
        print(table(report))
        print(f"report: {page}")
    return int(report["exit_code"])


def run_flash(arguments: argparse.Namespace) -> int:
    """`miniml flash`."""
    from miniml.hil.run import flash_boards

    said: list[str] = []
    flash_boards(
        options_of(vars(arguments), arguments.project_dir), said.append if arguments.json else print
    )
    if arguments.json:
        print(json.dumps({"flashed": said}))
    return 0
