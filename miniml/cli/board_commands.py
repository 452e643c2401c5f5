"""miniml run, flash: everything that changes or judges a board."""

from __future__ import annotations

import argparse
import json
import sys

from miniml.cli.duration import seconds
from miniml.cli.project_command import (
    Subparsers,
    add_bundle_option,
    add_lock_timeout,
    project_command,
    project_of,
)
from miniml.errors import UsageError
from miniml.hil.run_options import (
    DEFAULT_FLOATS,
    DEFAULT_RANDOM,
    DEFAULT_WAIT_S,
    SIMULATED,
    RunOptions,
)


def register(subparsers: Subparsers) -> None:
    """Add the two commands to the `miniml` parser."""
    running = project_command(
        subparsers,
        "run",
        "flash what `pio run` built, run the test split on the board, compare, report",
        "Flashes each board, asks who it is, runs every row of the test split, compares every "
        "layer's bytes and the cycles with Python's, and writes the report to .pio/miniml/report.",
    )
    _add_board_options(running)
    running.add_argument("--samples", type=_count, metavar="N", help="only N rows of the split")
    running.add_argument(
        "--random",
        type=_count,
        metavar="N",
        help=f"random int8 inputs besides (default: {DEFAULT_RANDOM}, at most --samples)",
    )
    running.add_argument(
        "--floats",
        type=_count,
        metavar="N",
        help="rows through the device's own quantizer besides "
        f"(default: {DEFAULT_FLOATS}, at most --samples)",
    )
    running.add_argument(
        "--repeat",
        type=_count,
        default=1,
        metavar="N",
        help="run the test rows N times in all (default: %(default)s)",
    )
    running.add_argument(
        "--soak",
        type=seconds,
        default=0.0,
        metavar="TIME",
        help="run the test rows again and again, for 90s, 30m or 8h",
    )
    running.add_argument("--no-flash", action="store_true", help="run what the board already has")
    running.add_argument(
        "--optional", action="store_true", help="no board is a SKIP, not exit code 3"
    )
    running.add_argument(
        "--append", action="store_true", help="add to the report instead of replacing it"
    )
    running.set_defaults(run=run_run)
    flashing = project_command(
        subparsers, "flash", "flash what `pio run` built", "Flashes each board and stops there."
    )
    _add_board_options(flashing)
    flashing.set_defaults(run=run_flash)


def _add_board_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--board",
        action="append",
        default=[],
        metavar="NAME",
        help="a section of boards.ini; may be repeated (default: every board that was built)",
    )
    add_bundle_option(parser)
    parser.add_argument("--port", default="", help="the board's serial port or pyserial URL")
    parser.add_argument(
        "--simulated",
        choices=SIMULATED,
        default="auto",
        help="whether a simulated board may stand in (default: %(default)s)",
    )
    parser.add_argument(
        "--adopt", action="store_true", help="flash even a port where another board answers"
    )
    parser.add_argument(
        "--pace",
        choices=("free", "realtime"),
        default="free",
        help="of simulated boards (default: %(default)s)",
    )
    add_lock_timeout(parser, DEFAULT_WAIT_S)
    parser.add_argument(
        "--unpoison", action="store_true", help="touch boards again that did not come back"
    )
    parser.add_argument("--verbose", action="store_true", help="show commands and traffic")


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError
    return value


def _options(arguments: argparse.Namespace) -> RunOptions:
    names = tuple(name for part in arguments.board for name in part.split(",") if name)
    if arguments.port and len(names) != 1:
        raise UsageError("--port names one port: give exactly one --board with it")
    return RunOptions(
        project=project_of(arguments),
        bundle=arguments.bundle,
        boards=names,
        port=arguments.port,
        wait_s=arguments.lock_timeout,
        unpoison=arguments.unpoison,
        simulated=arguments.simulated,
        samples=getattr(arguments, "samples", None),
        random=getattr(arguments, "random", None),
        floats=getattr(arguments, "floats", None),
        repeat=getattr(arguments, "repeat", 1),
        soak_s=getattr(arguments, "soak", 0.0),
        flash=not getattr(arguments, "no_flash", False),
        adopt=arguments.adopt,
        pace=arguments.pace,
        verbose=arguments.verbose,
    )


def run_run(arguments: argparse.Namespace) -> int:
    """`miniml run`."""
    from miniml.hil.harness import run_and_report
    from miniml.hil.report import table

    options = _options(arguments)
    report, page = run_and_report(options, optional=arguments.optional, append=arguments.append)
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
    flash_boards(_options(arguments), said.append if arguments.json else print)
    if arguments.json:
        print(json.dumps({"flashed": said}))
    return 0
