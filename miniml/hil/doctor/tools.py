"""The programs that the boards' sections need: on the PATH, or among PlatformIO's packages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from miniml.boards import Board
from miniml.errors import FlashError
from miniml.hil.doctor.check import Check, ok, problem
from miniml.hil.doctor.machine import Machine
from miniml.hil.project import pio_command


@dataclass(frozen=True)
class Tool:
    """A program of which one of `names` has to be there.

    Attributes:
        names: of programs that do the same.
        packages: globs of PlatformIO's packages that have it.
        debian: Debian's package.
        by_pio: whether PlatformIO installs it when it uploads for the first time.
    """

    names: tuple[str, ...]
    packages: tuple[str, ...]
    debian: str
    by_pio: bool


# By flash_method; what each runs is in docs/HARNESS.md, "Flashing".
TOOLS = {
    "avrdude": Tool(("avrdude",), ("tool-avrdude*",), "avrdude", True),
    "stlink": Tool(("openocd", "st-flash"), ("tool-openocd*",), "openocd", True),
    "dfu": Tool(("dfu-util",), ("tool-dfuutil*",), "dfu-util", True),
    "stm32flash": Tool(
        ("stm32flash",), ("tool-stm32flash*", "tool-stm32duino*"), "stm32flash", True
    ),
    "picotool": Tool(("picotool",), ("tool-picotool*", "tool-rp2040tools*"), "picotool", False),
}
UHUBCTL = Tool(("uhubctl",), (), "uhubctl", False)


def check_tools(boards: Iterable[Board], machine: Machine, *, direct: bool = False) -> list[Check]:
    """A line for each program that the boards need, and one for PlatformIO unless `direct`."""
    boards = list(boards)
    needs = {TOOLS[board.flash_method]: board for board in boards if board.flash_method in TOOLS}
    for board in boards:
        if board.power:
            needs[UHUBCTL] = board
    tools = [_check(tool, board, machine, direct) for tool, board in needs.items()]
    return tools if direct else [_check_pio(), *tools]


def _check_pio() -> Check:
    try:
        return ok("machine", f"PlatformIO is {' '.join(pio_command())}")
    except FlashError as error:
        return problem("machine", "PlatformIO is missing", str(error).partition(": ")[2])


def _check(tool: Tool, board: Board, machine: Machine, direct: bool) -> Check:
    name = " or ".join(tool.names)
    what = "power" if tool is UHUBCTL else f"flash_method = {board.flash_method}"
    if found := next(filter(None, map(machine.which, tool.names)), None):
        return ok("machine", f"{found} is there, for {what}")
    folder = machine.platformio_packages()
    if any(path.is_dir() for pattern in tool.packages for path in folder.glob(pattern)):
        return ok("machine", f"{name} is among PlatformIO's packages, for {what}")
    if tool.by_pio and not direct:
        return ok("machine", f"{name} comes with PlatformIO's first upload, for {what}")
    return problem(
        "machine",
        f"{name} is missing, for {what} of {board.name}",
        f"install it (Debian, Ubuntu: sudo apt install {tool.debian})",
    )
