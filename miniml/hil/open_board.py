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
# labgrid's exporter gives its port's server half a second, and then tells where it listens.
SERVER_TIMEOUT_S = 10.0
# A port is listed before udev has given it its group; ModemManager may look at it first.
READY_S = 3.0
RETRY_S = 0.05


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
    begin, told = time.monotonic(), ""
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
        except PortError as error:
            if place.port() != port:
                patience_s = PORT_TIMEOUT_S
            else:
                patience_s = READY_S if place.exporter is None else SERVER_TIMEOUT_S
            if time.monotonic() > begin + patience_s or cancel.wait(RETRY_S):
                raise
            if told != str(error):
                told = str(error)
                log.add("host", f"{told}; tried again")
