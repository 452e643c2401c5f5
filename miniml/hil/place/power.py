"""Takes a board's supply away and gives it back: by a hub that can, or a simulator."""

from __future__ import annotations

import os
import shutil
import threading
import time

from miniml.boards import Board
from miniml.errors import FlashError, SimulatorError
from miniml.hil.board_log import BoardLog
from miniml.hil.place.place import Place
from miniml.hil.place.simulated_board import SimulatedBoard
from miniml.hil.tool_process import run_tool

# What a board's capacitors may hold it up for, and uhubctl's own default.
OFF_S = 2
TOOL_TIMEOUT_S = 30.0
SIMULATED_OFF_S = 0.2


def power_cycle(board: Board, place: Place, log: BoardLog, cancel: threading.Event) -> bool:
    """Power off and on again; False where nothing can switch this board's supply.

    Raises:
        FlashError: uhubctl is missing or failed.
        SimulatorError: the simulated board can't be started again.
    """
    if place.ours is not None:
        _cycle_simulated(place.ours)
    elif board.power and place.exporter is None and not place.simulated:
        run_tool(uhubctl(board.power), log, timeout_s=TOOL_TIMEOUT_S, cancel=cancel)
    else:
        return False
    return True


def uhubctl(power: str) -> list[str]:
    """The command line (uhubctl 2.5) for a section's `power = uhubctl:HUB:PORT`.

    Raises:
        FlashError: uhubctl is missing.
    """
    _, hub, port = power.split(":")
    # Debian has it in sbin, which a user's PATH leaves out.
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    tool = shutil.which("uhubctl", path=places)
    if tool is None:
        raise FlashError(f"uhubctl is missing: install it, or remove `power = {power}`")
    return [tool, "-l", hub, "-p", port, "-a", "cycle", "-d", str(OFF_S)]


def _cycle_simulated(board: SimulatedBoard) -> None:
    try:
        board.control("power off")
        time.sleep(SIMULATED_OFF_S)
        board.control("power on")
    except SimulatorError:  # its process has ended
        board.stop()
        board.start()
