"""The options of a run, the same for `miniml run` and, with --hil- before them, for pytest.

Imported by every pytest run where MiniML is installed: only what is cheap is imported here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from miniml.errors import UsageError
from miniml.hil.duration import seconds
from miniml.hil.project import find_project
from miniml.hil.run_options import (
    DEFAULT_FLOATS,
    DEFAULT_RANDOM,
    DEFAULT_WAIT_S,
    SIMULATED,
    RunOptions,
)


class Parser(Protocol):
    """An argparse parser, or pytest's."""

    def add_argument(self, name: str, /, **settings: Any) -> Any:
        """As argparse has it."""


def add_bundle_option(parser: Parser) -> None:
    """--bundle; `project_of` reads it."""
    parser.add_argument(
        "--bundle",
        type=Path,
        metavar="FILE",
        help="what `miniml bundle` packed, in place of a project, a compiler and PlatformIO",
    )


def add_lock_timeout(parser: Parser, default_s: float) -> None:
    """--lock-timeout, for whatever waits for a board in use."""
    parser.add_argument(
        "--lock-timeout",
        type=wait,
        default=default_s,
        metavar="TIME",
        help="how long a board that another process has is waited for; 0: not at all "
        "(default: %(default)g s)",
    )


def add_board_options(parser: Parser) -> None:
    """What flashing and running share."""
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
        "--adopt",
        action="store_true",
        help="flash even a port where another board answers, or the only one in a loader",
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


def add_run_options(parser: Parser) -> None:
    """What a run has besides."""
    parser.add_argument("--samples", type=count, metavar="N", help="only N rows of the split")
    parser.add_argument(
        "--random",
        type=count,
        metavar="N",
        help=f"random int8 inputs besides (default: {DEFAULT_RANDOM}, at most --samples)",
    )
    parser.add_argument(
        "--floats",
        type=count,
        metavar="N",
        help="rows through the device's own quantizer besides "
        f"(default: {DEFAULT_FLOATS}, at most --samples)",
    )
    parser.add_argument(
        "--repeat",
        type=count,
        default=1,
        metavar="N",
        help="run the test rows N times in all (default: %(default)s)",
    )
    parser.add_argument(
        "--soak",
        type=seconds,
        default=0.0,
        metavar="TIME",
        help="run the test rows again and again, for 90s, 30m or 8h",
    )
    parser.add_argument("--no-flash", action="store_true", help="run what the board already has")
    parser.add_argument(
        "--optional", action="store_true", help="no board is a SKIP, not exit code 3"
    )
    parser.add_argument(
        "--require",
        action="append",
        default=[],
        metavar="NAMES",
        help="boards that must have run and passed, such as uno,pico; a simulated one counts "
        "unless --simulated is never",
    )
    parser.add_argument(
        "--append", action="store_true", help="add to the report instead of replacing it"
    )


def count(text: str) -> int:
    """A whole number, 0 or more."""
    value = int(text)
    if value < 0:
        raise ValueError
    return value


def wait(text: str) -> float:
    """A time such as 90s or 30m, or 0."""
    return 0.0 if text.strip() == "0" else seconds(text)


def names(parts: Iterable[str]) -> tuple[str, ...]:
    """The names in options that may be repeated and take several at once; each once."""
    return tuple(dict.fromkeys(name for part in parts for name in part.split(",") if name))


def project_of(project_dir: Path, bundle: Path | None) -> Path:
    """The project's folder; with a bundle, where reports go and boards.local.ini may be.

    Raises:
        UsageError: there is no project, or no such folder.
    """
    if bundle is None:
        return find_project(project_dir)
    if not project_dir.is_dir():
        raise UsageError(
            f"there is no folder {project_dir}: make it, or give another --project-dir"
        )
    return project_dir.absolute()


def options_of(values: Mapping[str, Any], project_dir: Path) -> RunOptions:
    """The options by their names in argparse; what is missing has its default.

    Raises:
        UsageError: there is no project, or a port and not exactly one board.
    """
    boards = names(values["board"])
    if values["port"] and len(boards) != 1:
        raise UsageError("--port names one port: give exactly one --board with it")
    return RunOptions(
        project=project_of(project_dir, values["bundle"]),
        bundle=values["bundle"],
        boards=boards,
        port=values["port"],
        wait_s=values["lock_timeout"],
        unpoison=values["unpoison"],
        simulated=values["simulated"],
        samples=values.get("samples"),
        random=values.get("random"),
        floats=values.get("floats"),
        repeat=values.get("repeat", 1),
        soak_s=values.get("soak", 0.0),
        flash=not values.get("no_flash", False),
        adopt=values["adopt"],
        pace=values["pace"],
        verbose=values["verbose"],
        optional=values.get("optional", False),
        required=names(values.get("require", ())),
        append=values.get("append", False),
    )
