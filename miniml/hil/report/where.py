"""What a board of a report is called: simulated ones are never called anything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from miniml.errors import NoBoardError


def is_there(board: Mapping[str, Any]) -> bool:
    """Whether a board was found at all."""
    return not (board["error"] and board["error"]["name"] == NoBoardError.__name__)


def where(board: Mapping[str, Any]) -> str:
    """ "simulated", "real", "no board", or "unknown" where nothing tells."""
    if board["simulated"] is not None:
        return "simulated" if board["simulated"] else "real"
    return "unknown" if is_there(board) else "no board"


def title(board: Mapping[str, Any]) -> str:
    """Such as "uno (simulated)"."""
    return f"{board['name']} ({where(board)})"
