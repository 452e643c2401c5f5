"""Simulated boards: separate processes that own a serial port (a PTY) like real ones."""

from __future__ import annotations

import sys

from miniml.errors import SimulatorError


def need_linux() -> None:
    """Says where simulated boards run.

    Raises:
        SimulatorError: not here.
    """
    if sys.platform != "linux":
        raise SimulatorError("simulated boards need Linux: attach a real board")
