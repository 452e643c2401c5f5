"""Boards that did not come back: left alone until somebody has looked after them."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

from miniml.atomic_file import write_atomically
from miniml.boards import Board
from miniml.errors import MiniMLError, PoisonedError
from miniml.hil.place.place import Place
from miniml.hil.project import miniml_dir


def check_poison(project: Path, board: Board, place: Place) -> None:
    """Keeps hands off a poisoned board.

    Raises:
        PoisonedError: it is; names the first cause.
    """
    try:
        content = json.loads(_file(project, board, place).read_text(encoding="utf-8"))
        cause, since = str(content["cause"]), str(content["since"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    raise PoisonedError(
        f"{board.name} is left alone since {since}, it did not come back after {board.retries} "
        f"retries: {cause}; repair it, then run once with --unpoison"
    )


def poison(project: Path, board: Board, place: Place, cause: MiniMLError) -> None:
    """Marks a board; a mark that can't be written costs later runs their time only."""
    file = _file(project, board, place)
    text = json.dumps(
        {
            "board": board.name,
            "cause": f"{type(cause).__name__}: {cause}",
            "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        },
        indent=1,
    )
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, (text + "\n").encode())


def lift_poison(project: Path, board: Board, place: Place) -> None:
    """The board has answered, or somebody asks for another try."""
    with contextlib.suppress(OSError):
        _file(project, board, place).unlink(missing_ok=True)


def _file(project: Path, board: Board, place: Place) -> Path:
    kind = "simulated" if place.ours is not None else "real"
    return miniml_dir(project) / "poisoned" / f"{board.name}-{kind}.json"
