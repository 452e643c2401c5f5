"""What is attached to this machine, and which of it is a given board. Opens no port."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from miniml.boards import Board
from miniml.errors import PortError, WrongBoardError


@dataclass(frozen=True)
class AttachedPort:
    """A serial port that the system lists.

    Attributes:
        device: what is opened.
        usb_id: (vendor, product); None where it isn't a USB adapter.
        serial: the adapter's serial number; may be empty.
        location: the USB socket, the only name that every adapter has; may be empty.
        title: what the system calls it.
    """

    device: str
    usb_id: tuple[int, int] | None = None
    serial: str = ""
    location: str = ""
    title: str = ""


def attached_ports() -> list[AttachedPort]:
    """Every serial port of this machine, by name."""
    from serial.tools import list_ports

    return sorted(
        (
            AttachedPort(
                device=port.device,
                usb_id=(port.vid, port.pid) if port.vid is not None else None,
                serial=port.serial_number or "",
                location=port.location or "",
                title=port.description or "",
            )
            for port in list_ports.comports()
        ),
        key=lambda port: port.device,
    )


def candidates(board: Board, ports: Iterable[AttachedPort]) -> list[AttachedPort]:
    """The ports that may be this board: its USB ids, and its serial number if one is set."""
    return [
        port
        for port in ports
        if port.usb_id in board.usb_ids and board.usb_serial in ("", port.serial)
    ]


def find_port(board: Board, ports: Iterable[AttachedPort]) -> str | None:
    """The port of a board: `port` of its section, else the one that fits; None if there is none.

    Raises:
        PortError: several fit.
    """
    if board.port:
        exists = "://" in board.port or os.name == "nt" or Path(board.port).exists()
        return board.port if exists else None
    fitting = candidates(board, ports)
    if len(fitting) > 1:
        names = ", ".join(port.device for port in fitting)
        raise PortError(
            f"{len(fitting)} ports may be {board.name} ({names}): say which by --port, or by "
            "`port` or `usb_serial` in boards.local.ini"
        )
    return fitting[0].device if fitting else None


def check_port(
    board: Board, port: str, boards: Iterable[Board], ports: Iterable[AttachedPort]
) -> None:
    """Refuses a port whose USB ids are another board's.

    Raises:
        WrongBoardError: names that board.
    """
    there = next((item for item in ports if item.device == port), None)
    if there is None or there.usb_id is None or not board.usb_ids or there.usb_id in board.usb_ids:
        return
    others = [other.name for other in boards if there.usb_id in other.usb_ids]
    if others:
        vendor, product = there.usb_id
        raise WrongBoardError(
            f"port {port} ({vendor:04x}:{product:04x}) belongs to {' or '.join(others)}, not to "
            f"{board.name}: give another --port, or add the id to usb_ids"
        )


def is_pty(port: str) -> bool:
    """Whether a simulated board must be behind a port: no real one hangs on a PTY."""
    return os.name != "nt" and str(Path(port).resolve()).startswith(("/dev/pts/", "/dev/ttys"))
