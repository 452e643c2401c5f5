"""The command line of a simulated ARM board, and its life from start to end."""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from miniml.errors import MiniMLError
from miniml.sim.arm.board import Board
from miniml.sim.arm.rp2040 import Rp2040
from miniml.sim.arm.stm32f405 import Stm32f405

BOARDS: dict[str, type[Board]] = {"stm32f405": Stm32f405, "rp2040": Rp2040}
PR_SET_PDEATHSIG = 1


def _end_with_parent(parent: int) -> None:
    """Ask the kernel for a SIGTERM when the parent dies, and check that it has not yet."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(0)


def main() -> int:
    """Parse, start, run; 0 after `quit` or SIGTERM, 4 when the board can't be had."""
    parent = os.getppid()
    parser = argparse.ArgumentParser(
        prog="python -m miniml.sim.arm",
        description="A simulated STM32F405 or RP2040 board: a process that owns a PTY.",
    )
    parser.add_argument("--board", required=True, choices=sorted(BOARDS))
    parser.add_argument("--state", required=True, type=Path, help="folder of port and flash")
    parser.add_argument("--pace", choices=["realtime", "free"], default="realtime")
    parser.add_argument(
        "--memory",
        choices=["ideal", "shipped"],
        default="ideal",
        help="shipped: count the flash's wait states and caches",
    )
    arguments = parser.parse_args()
    _end_with_parent(parent)

    board: Board | None = None

    def stop(signum: int, frame: FrameType | None) -> None:
        # Not by an exception: it would be lost within a callback of the simulated core.
        if board is None:
            raise SystemExit(0)
        board.end()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        board = BOARDS[arguments.board](arguments.state, arguments.pace == "realtime")
        board.as_shipped = arguments.memory == "shipped"
        board.start()
        board.run()
    except (MiniMLError, OSError) as error:
        print(f"error: {arguments.board}: {error}", file=sys.stderr)
        return 4
    finally:
        if board:
            board.shut_down()
    return 0
