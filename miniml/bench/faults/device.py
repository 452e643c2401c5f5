"""What hangs at the far end of the faulty line: the firmware's link, here or on a simulated Uno."""

from __future__ import annotations

import os
import subprocess
import termios
import time
import tty
from pathlib import Path
from typing import Protocol

from miniml.boards import Board
from miniml.errors import SimulatorError
from miniml.hil.board_log import BoardLog
from miniml.hil.place.simulated_board import SimulatedBoard

BOOT_TIMEOUT_S = 60.0


class Device(Protocol):
    """The end of the line; `reader` may change with a reset."""

    @property
    def reader(self) -> int:
        """The descriptor that its bytes come from."""

    def write(self, data: bytes) -> None:
        """Bytes for it."""

    def reset(self) -> None:
        """As its button does."""

    def close(self) -> None:
        """It is gone."""


class HostDevice:
    """The link's C as a process of this machine; a reset is another process."""

    def __init__(self, program: Path) -> None:
        """Starts the program."""
        self._program = program
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [self._program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )

    @property
    def reader(self) -> int:
        """Its standard output."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def write(self, data: bytes) -> None:
        """To its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(data)

    def reset(self) -> None:
        """Loses what it was doing, and what was on its way."""
        self.close()
        self._start()

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()


class UnoDevice:
    """A simulated Uno behind its bootloader; the line keeps its port open all the time."""

    def __init__(self, board: Board, folder: Path) -> None:
        """Starts it with the flash.bin of its folder, and waits until the bootloader is done.

        Raises:
            SimulatorError: it didn't start, or its bootloader doesn't end.
        """
        self._board = SimulatedBoard(board, folder, BoardLog(board.name))
        self._board.start()
        self._port = self._open()
        self.await_program()

    def _open(self) -> int:
        name = self._board.port()
        assert name is not None
        port = os.open(name, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(port, termios.TCSANOW)
        # It hears only what comes at its own rate.
        attributes = termios.tcgetattr(port)
        attributes[4] = attributes[5] = termios.B115200
        termios.tcsetattr(port, termios.TCSANOW, attributes)
        return port

    @property
    def reader(self) -> int:
        """Its PTY."""
        return self._port

    def write(self, data: bytes) -> None:
        """To its PTY."""
        os.write(self._port, data)

    def reset(self) -> None:
        """Its bootloader listens for a second afterwards, to whatever the host still says."""
        self._board.control("reset")

    def await_program(self) -> None:
        """Until the bootloader is done.

        Raises:
            SimulatorError: it stays there.
        """
        deadline = time.monotonic() + BOOT_TIMEOUT_S
        while (state := self._board.control("status"))["resets"] == 0 or state["bootloader"]:
            if time.monotonic() > deadline:
                raise SimulatorError("the simulated Uno stays in its bootloader")
            time.sleep(0.02)

    def close(self) -> None:
        """Ends the simulator."""
        os.close(self._port)
        self._board.stop()
