"""Stand-ins of flashing tools, as no board is here: they prove command lines only."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from miniml.boards import Board, load_boards
from miniml.hil.board_log import BoardLog
from miniml.hil.firmware_build import FirmwareBuild
from miniml.hil.flash import FlashJob
from miniml.hil.place.place import Exporter
from miniml.hil.place.simulated_board import SimulatedBoard

ROOT = Path(__file__).resolve().parent.parent
TOOL = """\
#!/bin/sh
"exec" "{python}" "$0" "$@"
import json, os, sys
with open({calls!r}, "a") as file:
    file.write(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]) + "\\n")
sys.stdout.write({output!r})
sys.exit({code})
"""


@dataclass
class FakeTools:
    """A folder for the PATH, whose programs note how they were called."""

    folder: Path

    def add(self, name: str, output: str = "", code: int = 0) -> None:
        """A program that says `output` and ends with `code`."""
        self.folder.mkdir(exist_ok=True)
        file = self.folder / name
        calls = str(self.folder / "calls")
        text = TOOL.format(python=sys.executable, calls=calls, output=output, code=code)
        file.write_text(text, encoding="utf-8")
        file.chmod(0o755)

    def calls(self) -> list[list[str]]:
        """The argument lists so far, program names first."""
        file = self.folder / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


class FakePlace:
    """A real board's place, as far as flashing asks."""

    simulated: bool | None = False
    ours: SimulatedBoard | None = None
    socket, doubt, note = "", "", ""

    def __init__(self, port: str, exporter: Exporter | None = None) -> None:
        self._port, self.exporter = port, exporter

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """Nobody else is there."""
        yield

    def port(self) -> str | None:
        """Always the same."""
        return self._port

    def check(self) -> None:
        """It is there."""

    def cause(self) -> str:
        """Nothing is known."""
        return ""

    def interrupt(self) -> None:
        """Nothing waits."""


def flash_job(
    folder: Path,
    board: str,
    port: str = "/dev/null",
    exporter: Exporter | None = None,
    **keys: object,
) -> FlashJob:
    """A job on a bench without a PlatformIO project, with images of a few bytes."""
    for suffix in ("elf", "hex", "bin", "uf2"):
        (folder / f"firmware.{suffix}").write_bytes(b"image")
    known: Board = replace(load_boards(ROOT)[board], **keys)  # type: ignore[arg-type]
    build = FirmwareBuild(
        environment=board,
        folder=folder,
        build_id="22" * 32,
        model_id="11" * 32,
        model="digits",
        model_dir=folder,
        mode="int8",
        kernels_sha256=None,
        world="official",
        platform="",
        toolchain="",
        elf_sha256="33" * 32,
        flash=1,
        sram=1,
        link_flash=None,
        link_sram=None,
    )
    log = BoardLog(board)
    return FlashJob(folder, known, FakePlace(port, exporter), build, log, threading.Event())
