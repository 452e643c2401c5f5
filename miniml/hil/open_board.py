"""Opens the port of a board that is occupied."""

from __future__ import annotations

import threading
import time

from miniml.boards import Board
from miniml.errors import PortError
from miniml.hil.board_log import BoardLog
from miniml.hil.link.line_port import LinePort
from miniml.hil.place.place import Place, await_port

PORT_TIMEOUT_S = 15.0


def open_board(place: Place, board: Board, log: BoardLog, cancel: threading.Event) -> LinePort:
    """Opens the board's port; one that has just come back may not be ready at once.

    Args:
        place: occupied.
        board: its rate and modem lines.
        log: gets the traffic.
        cancel: once set, reading fails.

    Raises:
        PortError: it didn't come back, or can't be opened.
    """
    deadline = time.monotonic() + PORT_TIMEOUT_S
    while True:
        port = await_port(place, PORT_TIMEOUT_S)
        try:
            return LinePort(
                port,
                board.link_baud,
                dtr=board.port_dtr,
                rts=board.port_rts,
                cancel=cancel,
                trace=log.traffic,
            )
        except PortError:
            if place.port() == port or time.monotonic() > deadline:
                raise
