"""What every flashing strategy gets, and what it has to do."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from miniml.boards import Board
from miniml.hil.board_log import BoardLog
from miniml.hil.finding.attached import AttachedPort, attached_ports
from miniml.hil.firmware_build import FirmwareBuild
from miniml.hil.lock.board_lock import WAIT_S
from miniml.hil.place.place import Place, await_port
from miniml.hil.project import build_dir
from miniml.hil.tool_process import run_tool

# 32 KB at 57,600 baud, written and read back, take a quarter of a minute.
TOOL_TIMEOUT_S = 120.0
PORT_TIMEOUT_S = 15.0


@dataclass(frozen=True)
class FlashJob:
    """A firmware for a board that is held (`Place.occupied`).

    Attributes:
        lock_timeout_s: how long another process that flashes an RP2040 is waited for.
    """

    project: Path
    board: Board
    place: Place
    build: FirmwareBuild
    log: BoardLog
    cancel: threading.Event
    lock_timeout_s: float = WAIT_S

    @property
    def direct(self) -> bool:
        """Whether tools are called without PlatformIO: what is flashed is no project's build."""
        ours = build_dir(self.project, self.build.environment)
        return self.build.folder.resolve() != ours.resolve()

    def port(self) -> str:
        """The board's port right now."""
        return await_port(self.place, PORT_TIMEOUT_S)

    def adapter(self) -> AttachedPort | None:
        """What the system tells of the board's port; None for a URL, a PTY, or no port."""
        port = self.place.port()
        return next((there for there in attached_ports() if port and there.is_at(port)), None)

    def run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        stdin: Path | None = None,
    ) -> None:
        """Runs a flashing tool, which reads the file `stdin`.

        FlashError has the tool's telling line and the command.
        """
        run_tool(
            command,
            self.log,
            timeout_s=TOOL_TIMEOUT_S,
            cancel=self.cancel,
            cwd=self.project,
            environment=environment,
            stdin=stdin,
        )


class FlashMethod(Protocol):
    """A strategy."""

    def flash(self, job: FlashJob) -> None:
        """Writes and verifies the program and starts it.

        Raises:
            BoardError: it failed; the board may be without a program then.
        """
