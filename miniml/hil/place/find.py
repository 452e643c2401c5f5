"""Where a board is: the order of docs/BOARDS.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from miniml.boards import Board
from miniml.errors import NoBoardError, PortError
from miniml.hil.board_log import BoardLog
from miniml.hil.finding.attached import attached_ports
from miniml.hil.finding.candidates import check_port, doubt, find_port
from miniml.hil.firmware_build import FirmwareBuild
from miniml.hil.place.labgrid_place import LabgridPlace
from miniml.hil.place.place import Place, refuse_kit
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
        place = PortPlace(board, options.port, options.wait_s, world=build.world)
        refuse_kit(board, build.world, place.simulated, options.port)
        return place
    note = ""
    if options.simulated != "always":
        if board.resource:
            return LabgridPlace(board, build.world, options.wait_s, log)
        ports = attached_ports()
        if port := find_port(board, ports, boards.values()):
            why = doubt(board, port, ports, boards.values())
            place = PortPlace(board, port, options.wait_s, why, world=build.world)
            if build.world == "official" or place.simulated:
                return place
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
