"""What commands over one model folder have in common: their arguments, and what they mean."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from miniml.boards import BOARDS_FILE, Board, load_boards, pick_board
from miniml.cli.output import show_notes
from miniml.pipeline import Prepared, prepare
from miniml.settings import load_settings

Subparsers = Any  # argparse has no public name for what add_subparsers returns


def add_model_command(
    subparsers: Subparsers, name: str, summary: str, description: str
) -> argparse.ArgumentParser:
    """A subcommand that takes MODEL_DIR, and what finds boards, lock and cache."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name, help=summary, description=description
    )
    parser.add_argument("model_dir", type=Path, metavar="MODEL_DIR", help="holds model.toml")
    add_project_dir(parser)
    parser.add_argument("--train", choices=("auto", "frozen"), help="over model.toml's setting")
    parser.add_argument("--cache", type=Path, help="where training results are kept")
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    return parser


def add_project_dir(parser: argparse.ArgumentParser) -> None:
    """--project-dir, for what needs the boards."""
    parser.add_argument(
        "--project-dir",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="where boards.ini is, here or above (default: the working directory)",
    )


def prepare_model(arguments: argparse.Namespace) -> Prepared:
    """The model of MODEL_DIR, trained if it has to be; notes go to stderr."""
    prepared = prepare(
        arguments.model_dir, train=arguments.train, cache=arguments.cache, progress=True
    )
    show_notes(prepared)
    return prepared


def project_boards(arguments: argparse.Namespace) -> dict[str, Board]:
    """The boards of --project-dir, or of the nearest folder above it that has a boards.ini.

    Raises:
        SettingsError: no such file, a mistake in it, or in what model.toml says of a board.
    """
    start: Path = arguments.project_dir
    above = start.resolve().parents
    found = (folder for folder in (start, *above) if (folder / BOARDS_FILE).is_file())
    boards = load_boards(next(found, start))
    load_settings(arguments.model_dir).check_boards(boards)
    return boards


def chosen_boards(arguments: argparse.Namespace) -> list[Board]:
    """The board of --board, else all of boards.ini."""
    boards = project_boards(arguments)
    return [pick_board(boards, arguments.board)] if arguments.board else list(boards.values())
