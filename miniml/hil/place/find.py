"""Where a board is: the order of docs/BOARDS.md."""

from __future__ import annotations

from collections.abc import Mapping

from miniml.boards import Board
from miniml.errors import NoBoardError, PortError
from miniml.hil.board_log import BoardLog
from miniml.hil.finding.attached import attached_ports
from miniml.hil.finding.candidates import check_port, doubt, find_port, may_exist
from miniml.hil.finding.loaders import is_told, waiting_loaders
from miniml.hil.finding.usb_devices import usb_devices
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
        if not may_exist(options.port):
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
        elif build.world == "official" and (loader := _in_loader(board, boards, options)):
            return loader
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


def _in_loader(board: Board, boards: Mapping[str, Board], options: RunOptions) -> Place | None:
    """A board without a port that waits in its boot loader to be flashed, as a new one does.

    Raises:
        NoBoardError: it may be another one, or several fit.
    """
    found = waiting_loaders(board, usb_devices(), boards.values()) if options.flash else []
    if not found:
        return None
    if len(found) == 1 and (is_told(board) or options.adopt):
        return PortPlace.in_loader(board, found[0].location, options.wait_s)
    adopt = "say by --adopt that it is the board, or" if len(found) == 1 else "say"
    raise NoBoardError(
        f"no port of {board.name} is attached, but {'; '.join(map(str, found))} may be it: "
        f"{adopt} its socket by usb_location in boards.local.ini"
    )
