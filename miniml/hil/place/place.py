"""What the harness needs of a board, wherever it is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from miniml.boards import Board
from miniml.errors import FlashError, PortError
from miniml.hil.place.simulated_board import SimulatedBoard

NOT_TOLD = (
    "nothing tells whether this board is a simulated one: say `simulated = yes` or `no` in its "
    "section (docs/BOARDS.md)"
)


@dataclass(frozen=True)
class Exporter:
    """The place of a lab that a board hangs at.

    Attributes:
        place: its name.
        host: the machine, as ssh reaches it.
        device: the serial device on that machine; empty if it doesn't tell.
    """

    place: str
    host: str
    device: str


class Place(Protocol):
    """A board that can be used, between `occupied` and its end.

    Attributes:
        simulated: whether it is a simulated board; then its results say so. None: nothing
            tells, and its results say neither. Final once `occupied`.
        ours: the simulated board that we run and control; None for any other.
        exporter: where it hangs in a lab; None for any other.
        socket: the USB socket of its port; empty where there is none, or nothing tells.
        doubt: why a silent board there isn't flashed; empty: it is the board's for sure.
        note: what the user should know about the choice; may be empty.
    """

    simulated: bool | None
    ours: SimulatedBoard | None
    exporter: Exporter | None
    socket: str
    doubt: str
    note: str

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """Holds the board, alone and powered."""

    def port(self) -> str | None:
        """The port it is on right now; None while it has none."""

    def check(self) -> None:
        """Raises a BoardError once the board is known to be gone for good."""

    def cause(self) -> str:
        """What is known of its end, for a message; empty if nothing is."""

    def interrupt(self) -> None:
        """Ends at once what waits here; called from another thread."""


def told(*said: str, world: str) -> bool | None:
    """Whether a board that can't be seen is a simulated one, by what was said of it.

    Args:
        said: "yes", "no" or "", by the board's section and by its lab.
        world: the build's; the offline kit's runs on simulated boards only.

    Returns:
        None where nobody said anything.
    """
    if "no" in said and "yes" not in said:
        return False
    return True if "yes" in said or world == "kit" else None


def refuse_kit(board: Board, world: str, simulated: bool | None, where: str) -> None:
    """Keeps the offline kit's firmware from real boards.

    Raises:
        FlashError: it would run on one.
    """
    if world == "kit" and not simulated:
        raise FlashError(
            f"the offline kit built this for simulated boards only: for the {board.name} on "
            f"{where} build with the official platforms (docs/PLATFORMIO.md)"
        )


def await_port(place: Place, timeout_s: float) -> str:
    """The board's port, waited for while it has none.

    Raises:
        PortError: it did not come (back).
    """
    deadline = time.monotonic() + timeout_s
    while (port := place.port()) is None:
        place.check()
        if time.monotonic() > deadline:
            raise PortError(
                f"the board's port did not come back within {timeout_s:g} s: replug it"
            ).of_the_board()
        time.sleep(0.05)
    return port
