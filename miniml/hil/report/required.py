"""Boards that must have run and passed (--require): what of that a report doesn't show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from miniml.errors import NoBoardError
from miniml.hil.proof.verdict import worst_code
from miniml.hil.report.where import is_there


def unmet(report: Mapping[str, Any], required: Sequence[str], *, simulated: bool) -> dict[str, Any]:
    """The report with `unmet`: a line for every required board that did not run and pass.

    Its exit code is then at least 3 where one did not run, and where one ran and is no PASS that
    board's own, or 1.

    Args:
        report: as `content` makes it.
        required: names of boards.
        simulated: whether a simulated board is enough.
    """
    boards = {board["name"]: board for board in report["boards"]}
    codes, lines = [int(report["exit_code"])], []
    for name in dict.fromkeys(required):
        if (line := shortcoming(name, boards.get(name), simulated=simulated)) is None:
            continue
        lines.append(line)
        ran = name in boards and is_there(boards[name])
        codes.append(int(boards[name]["exit_code"]) or 1 if ran else NoBoardError.exit_code)
    code = worst_code(codes) if lines else codes[0]
    return {**report, "exit_code": code, "unmet": lines}


def shortcoming(name: str, board: Mapping[str, Any] | None, *, simulated: bool) -> str | None:
    """Why a required board is missing, in one line; None: it ran and passed."""
    if board is None:
        return f"required board {name} did not run"
    if not is_there(board):
        return f"required board {name} did not run: {board['reasons'][0]}"
    if board["simulated"] and not simulated:
        return f"required board {name} is simulated, and --simulated is never"
    if board["simulated"] is None and not simulated:
        return f"nothing tells that required board {name} is real: say `simulated = no` of it"
    if board["verdict"] != "PASS":
        return f"required board {name} did not pass: {board['verdict']}"
    return None
