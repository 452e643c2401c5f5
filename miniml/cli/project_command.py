"""What the commands in a project share: --project-dir and --json."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from miniml.boards import Board, load_boards
from miniml.hil.run_arguments import project_of

Subparsers = Any  # argparse has no public name for what add_subparsers returns
# A person who asks who is there doesn't wait for a whole run to end.
PROBE_WAIT_S = 10.0


def project_command(
    subparsers: Subparsers, name: str, summary: str, description: str, *, inner: bool = False
) -> argparse.ArgumentParser:
    """A command with the two options; `inner`: its group has them too, and may have set them."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name, help=summary, description=description
    )
    parser.add_argument(
        "--project-dir",
        type=Path,
        default=argparse.SUPPRESS if inner else Path(),
        metavar="DIR",
        help="where platformio.ini is, here or above (default: the working directory)",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        default=argparse.SUPPRESS if inner else False,
        help="print one JSON object on stdout",
    )
    return parser


def known_boards(arguments: argparse.Namespace) -> tuple[Path, Mapping[str, Board]]:
    """`project_of`, and the boards of the project or the bundle as this bench has them.

    Raises:
        UsageError: there is no project, or boards.ini or the bundle is wrong.
    """
    project = project_of(arguments.project_dir, arguments.bundle)
    if arguments.bundle is None:
        return project, load_boards(project)
    from miniml.hil.run_options import RunOptions
    from miniml.hil.source import open_source

    with open_source(RunOptions(project, bundle=arguments.bundle)) as source:
        return project, source.boards
