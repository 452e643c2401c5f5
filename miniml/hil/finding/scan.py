"""What is attached, and which board each port is: by the map, by its answer, or by its ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from miniml.boards import Board
from miniml.hil.finding.attached import AttachedPort
from miniml.hil.finding.candidates import candidates, fits, ids_tell, is_mapped
from miniml.hil.finding.probe import Answered


@dataclass(frozen=True)
class Sighting:
    """One attached port.

    Attributes:
        port: what the system lists.
        mapped: the boards that the map says are there.
        possible: the boards whose ids it has, where the map gives it to none.
        moved: the boards whose ids it has and that the map has elsewhere, where nothing is.
        told: whether the ids are enough for the only one of them.
        answer: who answered to a probe; None where none was made.
    """

    port: AttachedPort
    mapped: tuple[str, ...]
    possible: tuple[str, ...]
    moved: tuple[str, ...] = ()
    told: bool = False
    answer: Answered | None = None

    @property
    def board(self) -> str | None:
        """Whose port it is, where that is certain enough to be written into the map.

        The firmware's own word goes first; ids alone tell only where one board has them.
        """
        if self.answer is not None and self.answer.board is not None:
            return self.answer.board
        if len(self.mapped) == 1:
            return self.mapped[0]
        foreign = self.answer is not None and not self.answer.silent
        return self.possible[0] if self.told and not foreign else None

    def words(self) -> str:
        """Who is there and how that is known, in one line without the port."""
        if self.answer is not None:
            said = self.answer.words()
            if self.mapped and self.answer.board not in (None, *self.mapped):
                return f"{said}; the map says {' or '.join(self.mapped)}: correct it"
            if self.answer.board is not None:
                return said
            return f"{said}; {self._by_ids()}"
        return self._by_ids()

    @property
    def fitting(self) -> tuple[str, ...]:
        """Every board that it may be."""
        return self.mapped or (*self.possible, *self.moved)

    def _by_ids(self) -> str:
        if self.mapped:
            return f"{' or '.join(self.mapped)} (by the map)"
        if not self.fitting:
            return "no board that boards.ini knows"
        elsewhere = f"; the map has {' and '.join(self.moved)} elsewhere" if self.moved else ""
        return (
            f"{'' if self.told else 'may be '}{' or '.join(self.fitting)} (by its ids{elsewhere})"
        )

    def to_dict(self) -> dict[str, Any]:
        """For --json."""
        port, answer = self.port, self.answer
        return {
            "port": port.device,
            "usb_id": None if port.usb_id is None else "{:04x}:{:04x}".format(*port.usb_id),
            "usb_serial": port.serial or None,
            "usb_location": port.location or None,
            "title": port.title or None,
            "mapped": list(self.mapped),
            "possible": list(self.possible),
            "moved": list(self.moved),
            "board": self.board,
            "answer": None if answer is None else answer.to_dict(),
        }


def sight(
    boards: Mapping[str, Board],
    ports: Iterable[AttachedPort],
    answers: Mapping[str, Answered] | None = None,
) -> list[Sighting]:
    """Every attached port, with what the sections and the answers (by device) say of it."""
    ports = list(ports)
    at = {
        port.device: tuple(b.name for b in boards.values() if is_mapped(b) and _is_at(b, port))
        for port in ports
    }
    present = {name for names in at.values() for name in names}
    found = []
    for port in ports:
        mapped, moved, possible = at[port.device], [], []
        for board in boards.values() if not mapped else ():
            if not is_mapped(board) and candidates(board, [port], boards.values()):
                possible.append(board.name)
            elif is_mapped(board) and board.name not in present and port.usb_id in board.usb_ids:
                moved.append(board.name)
        told = len(possible) == 1 and ids_tell(boards[possible[0]], port, boards.values())
        answer = (answers or {}).get(port.device)
        found.append(Sighting(port, mapped, tuple(possible), tuple(moved), told, answer))
    return found


def _is_at(board: Board, port: AttachedPort) -> bool:
    return port.is_at(board.port) if board.port else fits(board, port)
