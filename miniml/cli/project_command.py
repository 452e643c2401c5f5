"""What the commands in a project share: --project-dir and --json."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from miniml.boards import Board, load_boards
from miniml.cli.duration import seconds
from miniml.errors import UsageError
from miniml.hil.project import find_project

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


def add_lock_timeout(parser: argparse.ArgumentParser, default_s: float) -> None:
    """--lock-timeout, for commands that wait for a board in use."""
    parser.add_argument(
        "--lock-timeout",
        type=_wait,
        default=default_s,
        metavar="TIME",
        help="how long a board that another process has is waited for; 0: not at all "
        "(default: %(default)g s)",
    )


def _wait(text: str) -> float:
    return 0.0 if text.strip() == "0" else seconds(text)


def add_bundle_option(parser: argparse.ArgumentParser) -> None:
    """--bundle; `project_of` reads it."""
    parser.add_argument(
        "--bundle",
        type=Path,
        metavar="FILE",
        help="what `miniml bundle` packed, in place of a project, a compiler and PlatformIO",
    )


def project_of(arguments: argparse.Namespace) -> Path:
    """The project's folder; with a bundle, where reports go and boards.local.ini may be.

    Raises:
        UsageError: there is no project, or no such folder.
    """
    folder: Path = arguments.project_dir
    if arguments.bundle is None:
        return find_project(folder)
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}: make it, or give another --project-dir")
    return folder.absolute()


def known_boards(arguments: argparse.Namespace) -> tuple[Path, Mapping[str, Board]]:
    """`project_of`, and the boards of the project or the bundle as this bench has them.

    Raises:
        UsageError: there is no project, or boards.ini or the bundle is wrong.
    """
    project = project_of(arguments)
    if arguments.bundle is None:
        return project, load_boards(project)
    from miniml.hil.run_options import RunOptions
    from miniml.hil.source import open_source

    with open_source(RunOptions(project, bundle=arguments.bundle)) as source:
        return project, source.boards
