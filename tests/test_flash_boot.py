"""The link's BOOT: simulated boards go into their own boot loaders without buttons."""

from __future__ import annotations

import struct
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hil_bench import ROOT, Bench, make_bench, powered
from sim_arm_board import board, wait_for

from miniml.boards import load_boards
from miniml.hil import source
from miniml.hil.board_log import BoardLog
from miniml.hil.flash import enter
from miniml.hil.link.line_port import LinePort
from miniml.hil.link.session import Session
from miniml.hil.place.simulated_board import SimulatedBoard
from miniml.sim.arm.stm32f405 import FLASH, HSI_HZ, SYSTEM_MEMORY


@pytest.fixture
def bench(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Bench:
    return make_bench(tmp_path, tmp_path_factory, monkeypatch)


@pytest.mark.parametrize(
    ("name", "flashed"), [("stm32f4", "go 0x08000000"), ("pico", "from NEW.UF2")]
)
def test_boot_takes_a_board_into_its_loader_and_it_is_flashed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str, flashed: str
) -> None:
    boards = load_boards(ROOT)
    by_verb = {**boards, name: replace(boards[name], reset="verb")}
    monkeypatch.setattr(source, "load_boards", lambda project: by_verb)
    monkeypatch.setattr(enter, "BUTTONS", {})  # nobody presses any
    monkeypatch.setattr(enter, "PATIENCE", 10)
    result = bench.start(bench.options(name, flash=True))
    assert result.verdict == "PASS", result.log_tail
    assert any(flashed in line for line in result.log_tail), result.log_tail


def asked(simulated: SimulatedBoard, *requests: bytes) -> list[bytes]:
    """The answers to lines that are typed by hand."""
    answers = []
    port = simulated.port()
    assert port is not None
    with closing(LinePort(port, 115200)) as line:
        Session(line, BoardLog("test")).hello()
        for request in requests:
            line.write(request)
            answers.append(line.read_line(time.monotonic() + 60) or b"")
    return answers


def test_nothing_else_boots_and_the_loader_finds_the_chip_as_after_a_reset(bench: Bench) -> None:
    lines = (b"?01 BOOT*----\n", b"?02 BOOT LOADER NOW*----\n", b"?03 BOOT LOAD*----\n")
    with powered(bench, "stm32f4") as simulated:
        assert all(b"ERR" in answer for answer in asked(simulated, *lines))
        assert simulated.control("status")["state"] == "running"
        assert b" OK*" in asked(simulated, b"?01 BOOT LOADER*----\n")[0]
        wait_for(lambda: simulated.control("status")["state"] != "running", "the jump")
        status = simulated.control("status")
        assert (status["state"], status["clock_hz"]) == ("loader", HSI_HZ), status["reason"]


def test_an_avr_does_not_know_it(bench: Bench) -> None:
    with powered(bench, "uno") as simulated:
        assert all(b"ERR VERB" in answer for answer in asked(simulated, b"?01 BOOT LOADER*----\n"))


@pytest.mark.parametrize(
    ("systick", "state", "reason"),
    [(0, "loader", ""), (1, "crashed", "the ROM loader was started with SysTick running")],
)
def test_a_careless_jump_into_the_loader_is_refused(
    tmp_path: Path, systick: int, state: str, reason: str
) -> None:
    program = (
        *(0x4802, 0x2100 | systick, 0x6001),  # ldr r0, =SYST_CSR; movs r1, #n; str r1, [r0]
        *(0x4A02, 0x6812, 0x4710),  # ldr r2, =0x1FFF0004; ldr r2, [r2]; bx r2
    )
    image = struct.pack("<2I6H2I", 0x2000_1000, FLASH + 9, *program, 0xE000_E010, SYSTEM_MEMORY + 4)
    with board("stm32f405", tmp_path, flash=image) as running:
        found = wait_for(lambda: running.control("status")["state"] != "running", "the jump")
        assert found
        status = running.control("status")
        assert (status["state"], status["reason"]) == (state, reason)
