"""Ports that come back: after the link's RESET, and before the system lets anybody open them."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from device_stand_in import DeviceStandIn
from flash_bench import FakePlace
from hil_bench import ROOT, make_bench

from miniml.boards import load_boards
from miniml.errors import PortError
from miniml.hil import board_run, source
from miniml.hil import open_board as opening
from miniml.hil.board_log import BoardLog
from miniml.hil.link.line_port import LinePort
from miniml.hil.open_board import open_board
from miniml.hil.place.place import await_port
from miniml.hil.place.port_place import PortPlace

BOARDS = load_boards(ROOT)


@pytest.mark.parametrize(("name", "leaves"), [("pico", True), ("stm32f4", False)])
def test_reset_by_the_link_waits_for_a_port_that_goes_with_the_chip(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    leaves: bool,
) -> None:
    by_verb = {**BOARDS, name: replace(BOARDS[name], reset="verb")}
    monkeypatch.setattr(source, "load_boards", lambda project: by_verb)
    # However long a loaded machine takes until the port is gone.
    monkeypatch.setattr(board_run, "LEAVES_S", 120.0 if leaves else 0.5)
    bench = make_bench(tmp_path, tmp_path_factory, monkeypatch)
    result = bench.start(bench.options(name, samples=1, random=0, floats=0, patience=10))
    assert result.verdict == "PASS", result.log_tail
    log = (bench.workspace / "miniml" / "log" / f"{name}.log").read_text(encoding="utf-8")
    assert log.count("reset requested by the firmware") == 1
    assert log.count("simulator: ready ") == (2 if leaves else 1)
    assert ("host: after RESET: port " in log) == leaves


class NotYet:
    """Opening fails some times first, as before udev has set a new port's rights."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self, url: str, baud: int, **more: object) -> LinePort:
        self.left -= 1
        if self.left >= 0:
            raise PortError(f"no permission to open port {url}")
        return LinePort(url, baud)


def test_a_port_that_can_not_be_opened_yet_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "LinePort", NotYet(2))
    monkeypatch.setattr(opening, "READY_S", 60)
    log = BoardLog("uno")
    with closing(DeviceStandIn()) as device:
        place = FakePlace(device.port)
        open_board(place, BOARDS["uno"], log, threading.Event()).close()
    assert sum("no permission" in line for line in log.tail()) == 1


def test_but_not_for_ever_and_not_after_an_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted = threading.Event()
    interrupted.set()
    monkeypatch.setattr(opening, "LinePort", NotYet(10**6))
    begin = time.monotonic()
    with pytest.raises(PortError, match="no permission"):
        open_board(FakePlace("/dev/null"), BOARDS["uno"], BoardLog("uno"), interrupted)
    monkeypatch.setattr(opening, "READY_S", 0.2)
    with pytest.raises(PortError, match="no permission"):
        open_board(FakePlace("/dev/null"), BOARDS["uno"], BoardLog("uno"), threading.Event())
    assert time.monotonic() - begin < 60


def test_nobody_waits_for_a_port_after_an_interruption() -> None:
    place = PortPlace(BOARDS["uno"], "/dev/not-there", 0, world="official")
    place.interrupt()
    with pytest.raises(PortError, match="was interrupted"):
        await_port(place, 600)
