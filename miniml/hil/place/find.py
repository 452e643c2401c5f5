"""Where a board is: the order of docs/BOARDS.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from miniml.boards import Board
from miniml.errors import FlashError, NoBoardError, PortError
from miniml.hil.board_log import BoardLog
from miniml.hil.finding.attached import attached_ports, is_pty
from miniml.hil.finding.candidates import check_port, doubt, find_port
from miniml.hil.firmware_build import FirmwareBuild
from miniml.hil.place.place import Place
from miniml.hil.place.port_place import PortPlace
from miniml.hil.place.simulated_place import SimulatedPlace
from miniml.hil.run_options import RunOptions


def find_place(
    board: Board,
    boards: Mapping[str, Board],
    build: FirmwareBuild,
    options: RunOptions,
    log: BoardLog,
) -> Place:
    """Where the board is, by the order of docs/BOARDS.md.

    Raises:
        NoBoardError: none is attached and none may be simulated.
        PortError, WrongBoardError: several fit; another board's port.
        FlashError: the offline kit's build for a real board.
    """
    if options.port:
        if options.port.startswith("/") and not Path(options.port).exists():
            raise PortError(f"port {options.port} is missing: `miniml boards` shows what is there")
        check_port(board, options.port, boards.values(), attached_ports())
        if build.world == "kit" and "://" not in options.port and not is_pty(options.port):
            raise FlashError(
                f"the offline kit built this for simulated boards only: for the {board.name} on "
                f"{options.port} build with the official platforms (docs/PLATFORMIO.md)"
            )
        return PortPlace(board, options.port, options.wait_s)
    note = ""
    if options.simulated != "always":
        ports = attached_ports()
        if port := find_port(board, ports, boards.values()):
            if build.world == "official" or is_pty(port):
                why = doubt(board, port, ports, boards.values())
                return PortPlace(board, port, options.wait_s, why)
            note = (
                f"a real {board.name} is on {port}, but the offline kit built this: it runs on "
                "simulated boards only"
            )
        if options.simulated == "never":
            raise NoBoardError(
                note or f"no {board.name} is attached: plug it in, or give --port (miniml boards)"
            )
    if not board.simulator:
        raise NoBoardError(f"no {board.name} is attached, and it has no simulated board")
    if build.world == "official" and board.core != "avr":
        raise NoBoardError(
            f"no {board.name} is attached, and the simulated one runs only what the offline kit "
            "builds: plug it in, or build with MINIML_WORLD=kit"
        )
    return SimulatedPlace(board, options, log, note)
