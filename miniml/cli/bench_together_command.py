"""miniml bench together: several simulated boards at once, against one."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from miniml.atomic_file import write_atomically
from miniml.cli.project_command import Subparsers, project_command
from miniml.hil.project import find_project
from miniml.hil.run_options import RunOptions


def register(benches: Subparsers) -> None:
    """Add `together` to the group `bench`."""
    together = project_command(
        benches,
        "together",
        "rows a second of several simulated boards at once",
        "Runs test rows on equal simulated boards (unpaced, flashed before by `miniml flash`), one "
        "after the other and then all at once, every layer compared, and prints the gain.",
    )
    together.add_argument("--board", default="uno", help="of boards.ini (default: uno)")
    together.add_argument("--boards", type=int, default=4, help="how many (default: 4)")
    together.add_argument("--rounds", type=int, default=5, help="pairs of figures (default: 5)")
    together.add_argument("--samples", type=int, default=60, help="rows of each (default: 60)")
    together.add_argument("--out", type=Path, help="write the JSON object to a file as well")
    together.set_defaults(run=run_together)


def run_together(arguments: argparse.Namespace) -> int:
    """`miniml bench together`."""
    from miniml.bench.together import bench_together
    from miniml.errors import UsageError

    if min(arguments.boards, arguments.rounds, arguments.samples) < 1:
        raise UsageError("--boards, --rounds and --samples must be at least 1")
    options = RunOptions(
        find_project(arguments.project_dir), boards=(arguments.board,), samples=arguments.samples
    )
    found = bench_together(options, arguments.boards, arguments.rounds)
    text = json.dumps(found.record(), indent=1) + "\n"
    if arguments.out:
        write_atomically(arguments.out, text.encode())
    print(text if arguments.json else found.text())
    return 1 if found.mismatches else 0
