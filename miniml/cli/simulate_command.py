"""miniml simulate: a simulated board that other programs use like a real one."""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time

from miniml.boards import load_boards, pick_board
from miniml.cli.project_command import Subparsers, project_command
from miniml.errors import UsageError
from miniml.hil.project import find_project
from miniml.hil.run_arguments import add_lock_timeout
from miniml.hil.run_options import DEFAULT_WAIT_S, RunOptions

LOCALHOST = "127.0.0.1"
LOOK_S = 0.2


def register(subparsers: Subparsers) -> None:
    """Add the command to the `miniml` parser."""
    parser = project_command(
        subparsers,
        "simulate",
        "run a simulated board for other programs, until Ctrl-C",
        "Starts the simulated board of a section with what was flashed into it last, and prints "
        "its port: a pseudo-terminal, and on request an rfc2217:// URL with DTR, RTS and parity.",
    )
    parser.add_argument("board", metavar="BOARD", help="a section of boards.ini")
    parser.add_argument(
        "--rfc2217",
        type=_address,
        metavar="[HOST:]PORT",
        help=f"offer it there as well (default host: {LOCALHOST}; port 0: any that is free)",
    )
    parser.add_argument(
        "--wired",
        action="store_true",
        help="STM32 behind rfc2217: DTR on releases NRST, RTS on raises BOOT0",
    )
    parser.add_argument(
        "--pace", choices=("realtime", "free"), default="realtime", help="default: %(default)s"
    )
    parser.add_argument("--verbose", action="store_true", help="show what the board says")
    add_lock_timeout(parser, DEFAULT_WAIT_S)
    parser.set_defaults(run=run_simulate)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 0xFFFF:
        raise argparse.ArgumentTypeError(f"{text!r} is no port such as 4000 or {LOCALHOST}:4000")
    return host or LOCALHOST, int(port)


def run_simulate(arguments: argparse.Namespace) -> int:
    """`miniml simulate`."""
    from miniml.hil.board_log import BoardLog
    from miniml.hil.place.simulated_place import SimulatedPlace
    from miniml.sim.modem_lines import lines_of
    from miniml.sim.rfc2217_server import Rfc2217Server

    project = find_project(arguments.project_dir)
    board = pick_board(load_boards(project), arguments.board)
    if not board.simulator:
        raise UsageError(f"{board.name} has no simulated board (`simulator` of its section)")
    options = RunOptions(project, pace=arguments.pace, wait_s=arguments.lock_timeout)
    place = SimulatedPlace(board, options, BoardLog(board.name, verbose=arguments.verbose))
    stop = threading.Event()
    with place.occupied():
        ours = place.ours
        assert ours is not None
        url, server = "", None
        if arguments.rfc2217 is not None:
            lines = lines_of(board.simulator, ours.control, wired=arguments.wired)
            offer = Rfc2217Server(arguments.rfc2217, ours.port, lines)
            url = offer.url
            server = threading.Thread(target=offer.run, args=(stop,))
            server.start()
        try:
            shown: str | None = None
            while True:
                place.check()
                if (port := ours.port()) != shown:
                    shown = port
                    _show(arguments.json, board.name, port, url)
                time.sleep(LOOK_S)
        except KeyboardInterrupt:
            return 0
        finally:
            stop.set()
            if server is not None:
                server.join()


def _show(as_json: bool, name: str, port: str | None, url: str) -> None:
    if as_json:
        print(json.dumps({"board": name, "port": port, "url": url or None}))
    else:
        print(f"{name}: {port or 'no port (in its boot loader)'}" + (f", {url}" if url else ""))
    sys.stdout.flush()
