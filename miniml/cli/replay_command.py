"""miniml replay: a row that a board computed wrongly, run again on a simulated one."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from miniml.hil.run_arguments import add_bundle_option, project_of

Subparsers = Any  # argparse has no public name for what add_subparsers returns


def register(subparsers: Subparsers) -> None:
    """Add the command to the `miniml` parser."""
    parser = subparsers.add_parser(
        "replay",
        help="run a row that a board computed wrongly again, on a simulated board",
        description="Flashes the build that the row was recorded with onto a simulated board, runs "
        "the row there, and says whether its bytes are the reference's or the recorded board's.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help=".pio/miniml/replay/BOARD.json")
    parser.add_argument(
        "--project-dir",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="where platformio.ini is, here or above (default: the working directory)",
    )
    add_bundle_option(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    parser.add_argument("--verbose", action="store_true", help="show commands and traffic")
    parser.set_defaults(run=run_replay)


def run_replay(arguments: argparse.Namespace) -> int:
    """`miniml replay`: 0 if the simulated board gives the reference's bytes, else 1."""
    from miniml.hil.replay import replay_row
    from miniml.hil.run_options import RunOptions

    options = RunOptions(
        project=project_of(arguments.project_dir, arguments.bundle),
        bundle=arguments.bundle,
        verbose=arguments.verbose,
    )
    result = replay_row(options, arguments.file)
    board = result.replay.board
    said = {
        "reference": f"the simulated {board} gives the reference's bytes: this build is right, and "
        "the board that was recorded is not: look at its flash, supply and clock",
        "found": f"the simulated {board} gives the recorded bytes: this build itself computes "
        "otherwise than the reference",
        "neither": f"the simulated {board} gives other bytes than both: {result.divergence}",
    }[result.agrees]
    if arguments.json:
        print(
            json.dumps(
                {
                    "board": board,
                    "agrees": result.agrees,
                    "recorded": asdict(result.recorded),
                    "divergence": asdict(result.divergence) if result.divergence else None,
                },
                indent=1,
            )
        )
    else:
        print(
            f"recorded on a {'simulated' if result.replay.simulated else 'real'} {board}: "
            f"{result.recorded}"
        )
        print(said)
    return 0 if result.agrees == "reference" else 1
