"""Whether each board is there, is the only one, and answers."""

from __future__ import annotations

from collections.abc import Mapping

from miniml.boards import Board
from miniml.errors import PortError
from miniml.hil.doctor.check import Check, ok, problem, unchecked
from miniml.hil.finding.attached import AttachedPort
from miniml.hil.finding.candidates import doubt, find_port
from miniml.hil.finding.loaders import is_told, waiting_loaders
from miniml.hil.finding.probe import Answered
from miniml.hil.finding.usb_devices import UsbDevice


def check_presence(
    board: Board,
    boards: Mapping[str, Board],
    ports: list[AttachedPort],
    devices: list[UsbDevice],
) -> tuple[Check, str | None]:
    """Whether exactly one port is the board; and that port."""
    if board.resource:
        text = f"it hangs on another machine ({board.resource})"
        return unchecked(board.name, text, "run the doctor there"), None
    try:
        port = find_port(board, ports, boards.values())
    except PortError as error:
        text, _, remedy = str(error).rpartition(": ")
        return problem(board.name, text, remedy), None
    if port is not None:
        return ok(board.name, f"on {_named(port, ports)}"), port
    if waiting := waiting_loaders(board, devices, boards.values()):
        text = f"no port, but {waiting[0]} is there"
        adopt = "" if is_told(board) else " --adopt"
        remedy = f"flash it (miniml flash --board {board.name}{adopt}), or press its reset"
        return problem(board.name, text, remedy), None
    if not (board.usb_ids or board.usb_serial or board.usb_location or board.port):
        remedy = (
            f"hang an adapter on its pins and name it: miniml boards scan --write --board "
            f"{board.name} --port PORT"
        )
        return problem(board.name, "its port is an adapter that no section names", remedy), None
    remedy = "plug it in, with a cable that has data lines: many are for charging only"
    if board.port or board.usb_serial or board.usb_location:
        remedy += "; if it hangs elsewhere now: miniml boards scan --write"
    return problem(board.name, "not attached", remedy), None


def _named(port: str, ports: list[AttachedPort]) -> str:
    return next((str(item) for item in ports if item.is_at(port)), port)


def check_answer(
    board: Board,
    port: str,
    ports: list[AttachedPort],
    boards: Mapping[str, Board],
    answer: Answered | None,
) -> Check:
    """Whether its firmware answers; `answer` is None where nobody asked."""
    if answer is None:
        if doubt(board, port, ports, boards.values()):
            text = f"whether {port} is it: its USB ids don't tell"
            return unchecked(
                board.name, text, "--probe asks it, miniml boards scan --write maps it"
            )
        return unchecked(
            board.name, "firmware", "--probe opens the port, which resets an Arduino, and asks"
        )
    if answer.board == board.name:
        return ok(board.name, answer.words())
    if answer.said:
        remedy = "flash it with --adopt, or correct the map: miniml boards scan --write"
        return problem(board.name, answer.words(), remedy)
    if answer.silent:
        remedy = f"flash it (miniml flash --board {board.name}); if it stays silent, look at "
        remedy += "the wires: TX to RX, and ground" if not board.usb_ids else "cable and supply"
        return problem(board.name, f"nothing answers on {port}", remedy)
    text, _, remedy = answer.error.rpartition(": ")
    return problem(board.name, text or answer.error, remedy if text else "flash it")
