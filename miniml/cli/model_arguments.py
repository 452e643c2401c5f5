"""What commands over one model folder have in common: their arguments, and what they mean."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from miniml.boards import Board, load_boards, pick_board
from miniml.pipeline import Prepared, prepare

Subparsers = Any  # argparse has no public name for what add_subparsers returns


def add_model_command(
    subparsers: Subparsers, name: str, summary: str, description: str
) -> argparse.ArgumentParser:
    """A subcommand that takes MODEL_DIR, and what finds boards, lock and cache."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name, help=summary, description=description
    )
    parser.add_argument("model_dir", type=Path, metavar="MODEL_DIR", help="holds model.toml")
    parser.add_argument(
        "--project-dir", type=Path, default=Path(), help="holds boards.ini (default: here)"
    )
    parser.add_argument("--train", choices=("auto", "frozen"), help="over model.toml's setting")
    parser.add_argument("--cache", type=Path, help="where training results are kept")
    return parser


def prepare_model(arguments: argparse.Namespace) -> Prepared:
    """The model of MODEL_DIR, trained if it has to be; notes go to stderr."""
    prepared = prepare(
        arguments.model_dir, train=arguments.train, cache=arguments.cache, progress=True
    )
    for note in prepared.notes:
        print(f"miniml: {note}", file=sys.stderr)
    return prepared


def chosen_boards(arguments: argparse.Namespace) -> list[Board]:
    """The board of --board, else all of boards.ini."""
    boards = load_boards(arguments.project_dir)
    return [pick_board(boards, arguments.board)] if arguments.board else list(boards.values())
