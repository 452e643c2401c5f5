"""Rates that a 16 MHz AVR makes exactly: the Uno's firmware, built for each, runs on the line."""

from __future__ import annotations

import subprocess
import threading

import pytest
from build_hook_project import Project, make_project

from miniml.hil.board_run import BoardRun
from miniml.hil.place.simulated_place import SimulatedPlace
from miniml.hil.run_options import RunOptions
from miniml.hil.source import ProjectSource
from miniml.sim.avr.bootloader import FLASH_BYTES

RATES = (500_000, 1_000_000)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("fast") / "project", tmp_path_factory)


def put_into_flash(project: Project) -> None:
    """The firmware as avrdude leaves it; the simulator adds its bootloader."""
    elf = project.folder / ".pio" / "build" / "uno" / "firmware.elf"
    state = project.folder / ".pio" / "miniml" / "boards" / "uno"
    state.mkdir(parents=True, exist_ok=True)
    image = state / "flash.bin"
    words = ["avr-objcopy", "-O", "binary", "-R", ".eeprom", str(elf), str(image)]
    subprocess.run(words, check=True)
    image.write_bytes(image.read_bytes().ljust(FLASH_BYTES, b"\xff"))


@pytest.mark.parametrize("rate", RATES)
def test_the_uno_talks_at_rates_that_are_exact(
    project: Project, monkeypatch: pytest.MonkeyPatch, rate: int
) -> None:
    monkeypatch.delenv("PLATFORMIO_WORKSPACE_DIR", raising=False)
    (project.folder / "boards.local.ini").write_text(f"[uno]\nlink_baud = {rate}\n")
    project.build("uno")
    put_into_flash(project)
    cycles = {}
    for pace in ("free", "realtime"):
        # Patient, so that only damage on the line has anything sent again.
        options = RunOptions(
            *(project.folder, None, ("uno",)), random=30, flash=False, pace=pace, patience=20
        )
        source = ProjectSource(project.folder)
        board = source.boards["uno"]
        source.load_models([board])
        run = BoardRun(board, options, source, threading.Event(), lambda *progress: None)
        result = run.execute()
        assert isinstance(run.place, SimulatedPlace)
        assert (result.verdict, result.retries) == ("PASS", 0), result.log_tail
        assert result.samples > 5
        cycles[pace] = result.cycles.masked
    assert cycles["free"] == cycles["realtime"]
