"""What the harness needs of a board, wherever it is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from miniml.errors import PortError
from miniml.hil.place.simulated_board import SimulatedBoard


class Place(Protocol):
    """A board that can be used, between `occupied` and its end.

    Attributes:
        simulated: whether it is a simulated board; then its results say so.
        ours: the simulated board that we run and control; None for any other.
        note: what the user should know about the choice; may be empty.
    """

    simulated: bool
    ours: SimulatedBoard | None
    note: str

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """Holds the board, alone and powered."""

    def port(self) -> str | None:
        """The port it is on right now; None while it has none."""


def await_port(place: Place, timeout_s: float) -> str:
    """The board's port, waited for while it has none.

    Raises:
        PortError: it did not come (back).
    """
    deadline = time.monotonic() + timeout_s
    while (port := place.port()) is None:
        if place.ours is not None:
            place.ours.check()
        if time.monotonic() > deadline:
            raise PortError(f"the board's port did not come back within {timeout_s:g} s: replug it")
        time.sleep(0.05)
    return port
