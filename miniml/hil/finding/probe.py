"""Asks the ports who is there: opens each under its lock, HELLO and INFO BOARD, closes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

from miniml.boards import Board
from miniml.errors import BoardError, SilentBoardError
from miniml.hil.board_log import BoardLog
from miniml.hil.finding.attached import attached_ports, harmless
from miniml.hil.link.line_port import LinePort
from miniml.hil.link.session import Session
from miniml.hil.lock.board_lock import board_lock, port_key

# A Nano's old bootloader starts the sketch two seconds after the opening's reset: half of
# Session's eight seconds for HELLO.
PATIENCE = 0.5


@dataclass(frozen=True)
class Answered:
    """What a port said.

    Attributes:
        board: the section that the firmware is of; None: nobody, or no board of ours.
        said: its own name of itself, made harmless; empty where nothing came.
        clock_hz: its core clock; 0 where it said none.
        model_id: first 16 digits of its model.
        error: why there is no answer; empty where there is one.
        silent: whether nothing came at all.
    """

    board: str | None
    said: str = ""
    clock_hz: int = 0
    model_id: str = ""
    error: str = ""
    silent: bool = False

    def words(self) -> str:
        """In one line."""
        if self.board is not None:
            return f"{self.board} answers (model {self.model_id}, {self.clock_hz:,} Hz)"
        return self.error or f"{self.said!r} answers, a board that boards.ini doesn't know"

    def to_dict(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self)


def probe_port(
    port: str, lines: Iterable[Board], boards: Mapping[str, Board], wait_s: float
) -> Answered:
    """Who is on a port; never raises a BoardError.

    Args:
        port: what is opened; a board that resets on that is reset.
        lines: the boards that may be there: their rates and levels of DTR and RTS are tried.
        boards: all boards, by whose names an answer is understood.
        wait_s: how long another process that has the port is waited for.
    """
    settings = dict.fromkeys(
        (b.link_baud, b.port_dtr, b.port_rts, b.reset_settle_ms) for b in lines
    )
    failure = Answered(None, error="no board to ask for")
    try:
        with board_lock(port_key(port, attached_ports()), f"port {port}", wait_s):
            for baud, dtr, rts, settle_ms in settings:
                try:
                    with closing(LinePort(port, baud, dtr=dtr, rts=rts)) as line:
                        session = Session(line, BoardLog(port), patience=PATIENCE)
                        return _ask(session, settle_ms / 1000, boards)
                except SilentBoardError:
                    failure = Answered(None, error="silent: empty, or no MiniML", silent=True)
                except BoardError as error:
                    failure = Answered(None, error=harmless(str(error)))
    except BoardError as error:
        return Answered(None, error=str(error))
    return failure


def _ask(session: Session, settle_s: float, boards: Mapping[str, Board]) -> Answered:
    hello = session.hello(settle_s)
    said = [harmless(word) for word in session.ask("INFO", "BOARD")]
    name, clock = [*said, "", ""][:2]
    known = [board for board in boards if board.casefold() == name.casefold()]
    return Answered(
        board=known[0] if known else None,
        said=name,
        clock_hz=int(clock) if clock.isdecimal() and len(clock) <= 10 else 0,
        model_id=harmless(hello.model_id),
    )


def probe_ports(
    asked: Mapping[str, Iterable[Board]],
    boards: Mapping[str, Board],
    wait_s: float,
    probe: Callable[..., Answered] = probe_port,
) -> dict[str, Answered]:
    """`probe_port` on several ports at the same time."""
    if not asked:
        return {}
    with ThreadPoolExecutor(max_workers=len(asked)) as pool:
        answers = pool.map(lambda port: probe(port, asked[port], boards, wait_s), asked)
    return dict(zip(asked, answers, strict=True))
