"""What is on a port is asked for its name before it is flashed over."""

from __future__ import annotations

import threading
from contextlib import closing

from miniml.boards import Board
from miniml.errors import BoardError
from miniml.hil.board_log import BoardLog
from miniml.hil.finding.loaders import loader_at
from miniml.hil.link.session import Session
from miniml.hil.open_board import open_board
from miniml.hil.place.place import Place
from miniml.hil.proof.identity import check_board, who_is_there
from miniml.hil.run_options import RunOptions

# A port that is about to be flashed is asked who it is, but not for long: it may be empty.
PATIENCE = 0.25


def look_before_flashing(
    place: Place, board: Board, options: RunOptions, log: BoardLog, cancel: threading.Event
) -> None:
    """Refuses to overwrite another board's firmware, or a port that may be anything.

    Raises:
        WrongBoardError: another board answers there.
        BoardError: nothing understandable answers, and nothing but shared USB ids says that it
            is the board (`Place.doubt`).
    """
    if options.adopt or place.ours is not None:
        return
    if place.port() is None and loader_at(place.socket):
        log.add("host", "it waits in its boot loader: nobody to ask")
        return
    with closing(open_board(place, board, log, cancel)) as line:
        session = Session(line, log, patience=PATIENCE * options.patience)
        try:
            identity = who_is_there(session, board.reset_settle_ms / 1000)
        except BoardError as error:
            if place.doubt:
                raise type(error)(f"{error} ({place.doubt})") from error
            log.add("host", f"before flashing: {error}")
            return
    check_board(identity, board, line.url)
