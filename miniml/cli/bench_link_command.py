"""miniml bench link: rows a second over a board's line."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from miniml.atomic_file import write_atomically
from miniml.cli.project_command import Subparsers, project_command
from miniml.hil.project import find_project
from miniml.hil.run_options import SIMULATED, RunOptions


def register(benches: Subparsers) -> None:
    """Add `link` to the group `bench`."""
    link = project_command(
        benches,
        "link",
        "rows a second over a board's line",
        "Flashes what `pio run` built, runs the test split over the board's line, two "
        "requests under way, compares every output, and prints the rows a second against what "
        "the payload's bytes alone would take at the line's rate.",
    )
    link.add_argument("--board", action="append", help="may be repeated (default: uno)")
    link.add_argument("--port", default="", help="serial port or pyserial URL of the one board")
    link.add_argument("--simulated", choices=SIMULATED, default="auto")
    link.add_argument(
        "--pace", choices=["realtime", "free"], default="realtime", help="of simulated boards"
    )
    link.add_argument("--samples", type=int, help="only so many rows of the test split")
    link.add_argument("--passes", type=int, default=3, help="over all rows (default: 3)")
    link.add_argument("--no-flash", dest="flash", action="store_false", help="run what is there")
    link.add_argument("--out", type=Path, help="write the JSON list to a file as well")
    link.set_defaults(run=run_link)


def run_link(arguments: argparse.Namespace) -> int:
    """`miniml bench link`."""
    from miniml.bench.link_speed import bench_link, table
    from miniml.errors import UsageError

    if arguments.passes < 1 or (arguments.samples is not None and arguments.samples < 1):
        raise UsageError("--passes and --samples must be at least 1: nothing would be measured")
    options = RunOptions(
        find_project(arguments.project_dir),
        boards=tuple(arguments.board or ("uno",)),
        port=arguments.port,
        simulated=arguments.simulated,
        samples=arguments.samples,
        flash=arguments.flash,
        pace=arguments.pace,
    )
    speeds = bench_link(options, arguments.passes)
    text = json.dumps([speed.record() for speed in speeds], indent=1) + "\n"
    if arguments.out:
        write_atomically(arguments.out, text.encode())
    print(text if arguments.json else table(speeds))
    return 1 if any(speed.wrong for speed in speeds) else 0
