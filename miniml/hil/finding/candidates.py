"""Which serial port is a given board: the order of docs/BOARDS.md, "How a board is found"."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from miniml.boards import Board
from miniml.errors import PortError, WrongBoardError
from miniml.hil.finding.attached import AttachedPort

# Adapters and cores that boards of many kinds have: the id alone doesn't tell the board.
SHARED_IDS = frozenset(
    {
        (0x1A86, 0x7523),  # WCH CH340
        (0x1A86, 0x55D4),  # WCH CH9102
        (0x0403, 0x6001),  # FTDI FT232R, and its clones
        (0x0403, 0x6015),  # FTDI FT231X
        (0x10C4, 0xEA60),  # Silicon Labs CP210x
        (0x067B, 0x2303),  # Prolific PL2303
        (0x0483, 0x5740),  # STM32's CDC, whatever the board
        (0x0483, 0x374B),  # ST-LINK/V2-1, on every Nucleo
        (0x0483, 0x3752),  # the same without its drive
        (0x0483, 0x374E),  # STLINK-V3
    }
)


def fits(board: Board, port: AttachedPort) -> bool:
    """Whether a port has every USB property that the board's section names; it must name one.

    None is that of a board on another machine (`resource`).
    """
    named = (board.usb_ids, board.usb_serial, board.usb_location)
    return (
        any(named)
        and not board.resource
        and (not board.usb_ids or port.usb_id in board.usb_ids)
        # Windows shows serial numbers in upper case.
        and (not board.usb_serial or port.serial.casefold() == board.usb_serial.casefold())
        and (not board.usb_location or board.usb_location in (port.location, port.socket))
    )


def is_mapped(board: Board) -> bool:
    """Whether the bench map tells this board from others of its kind."""
    return bool(board.port or board.usb_serial or board.usb_location or board.resource)


def ids_tell(board: Board, port: AttachedPort, boards: Iterable[Board]) -> bool:
    """Whether the USB ids are enough to say that a port is this board's."""
    sharing = [other for other in boards if port.usb_id in other.usb_ids]
    return port.usb_id not in SHARED_IDS and [other.name for other in sharing] == [board.name]


def candidates(
    board: Board, ports: Iterable[AttachedPort], boards: Iterable[Board] = ()
) -> list[AttachedPort]:
    """The ports that may be this board.

    Args:
        board: the board that is looked for.
        ports: what is attached.
        boards: all boards: a port that the map gives to another one is none of a board's
            that is known by its USB ids alone.
    """
    fitting = [port for port in ports if fits(board, port)]
    if is_mapped(board):
        return fitting
    others = [other for other in boards if other.name != board.name and is_mapped(other)]
    return [
        port
        for port in fitting
        if not any((other.port and port.is_at(other.port)) or fits(other, port) for other in others)
    ]


def may_exist(port: str) -> bool:
    """Whether a port that somebody named is there; of a URL or on Windows only opening tells."""
    return "://" in port or os.name == "nt" or Path(port).exists()


def find_port(
    board: Board, ports: Iterable[AttachedPort], boards: Iterable[Board] = ()
) -> str | None:
    """The port of a board: `port` of its section, else the one that fits; None if there is none.

    Raises:
        PortError: several fit; lists them.
    """
    if board.port and not board.resource:
        return board.port if may_exist(board.port) else None
    found = candidates(board, ports, boards)
    if len(found) > 1:
        raise PortError(
            f"{len(found)} ports may be {board.name}: {'; '.join(map(str, found))}: say which by "
            f"--port, or by usb_{_telling(found)} in boards.local.ini (miniml boards scan --write)"
        )
    return found[0].device if found else None


def doubt(board: Board, device: str, ports: Iterable[AttachedPort], boards: Iterable[Board]) -> str:
    """Why a port that was found may be something else; empty where the map or the ids tell."""
    port = next((item for item in ports if item.is_at(device)), None)
    if port is None or is_mapped(board) or ids_tell(board, port, boards):
        return ""
    return (
        f"not flashed: {port} may be many things by its USB ids; if it is the {board.name}, say so "
        "by `miniml boards scan --write`, --port or --adopt"
    )


def _telling(ports: list[AttachedPort]) -> str:
    serials = [port.serial for port in ports]
    return "serial" if all(serials) and len(set(serials)) == len(serials) else "location"


def follow(port: str, before: Iterable[AttachedPort], now: Iterable[AttachedPort]) -> str | None:
    """The name that a port has now: the one in the same USB socket, whatever it is called.

    Args:
        port: its name when it was found.
        before: what was attached then.
        now: what is attached.

    Returns:
        None while the socket has no port; `port` itself where it isn't a USB port.
    """
    was = next((item for item in before if item.is_at(port)), None)
    if was is None or not was.socket:
        gone = port.startswith("/") and not Path(port).exists()
        return None if gone else port
    there = [item for item in now if item.socket == was.socket]
    same = [item for item in there if item.location == was.location]
    return min((item.device for item in same or there), default=None)


def check_port(
    board: Board, port: str, boards: Iterable[Board], ports: Iterable[AttachedPort]
) -> None:
    """Refuses a port whose USB ids are another board's.

    Raises:
        WrongBoardError: names that board.
    """
    there = next((item for item in ports if item.is_at(port)), None)
    if there is None or there.usb_id is None or not board.usb_ids or there.usb_id in board.usb_ids:
        return
    others = [other.name for other in boards if there.usb_id in other.usb_ids]
    if others:
        vendor, product = there.usb_id
        raise WrongBoardError(
            f"port {port} ({vendor:04x}:{product:04x}) belongs to {' or '.join(others)}, not to "
            f"{board.name}: give another --port, or add the id to usb_ids"
        )
