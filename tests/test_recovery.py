"""A board that doesn't come back: power-cycled, tried again, then left alone until it is lifted.

Simulated boards lose their supply for real; the hub is a stand-in that notes its arguments.
"""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flash_bench import FakePlace, FakeTools
from hil_bench import ROOT, Bench, make_bench

from miniml.boards import load_boards
from miniml.errors import BoardError, FlashError, PortError, SilentBoardError, WrongBoardError
from miniml.hil import source
from miniml.hil.board_log import BoardLog
from miniml.hil.board_run import BoardRun
from miniml.hil.place.power import power_cycle
from miniml.hil.recovery import with_retries


@pytest.fixture
def bench(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Bench:
    return make_bench(tmp_path, tmp_path_factory, monkeypatch)


def section(monkeypatch: pytest.MonkeyPatch, **keys: Any) -> None:
    """The Uno's section with other values."""
    boards = load_boards(ROOT)
    changed = {**boards, "uno": replace(boards["uno"], **keys)}
    monkeypatch.setattr(source, "load_boards", lambda project: changed)


@pytest.mark.parametrize("loss", ["power", "process"])
def test_a_board_that_lost_its_supply_is_started_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, loss: str
) -> None:
    section(monkeypatch, retries=1)
    lost: list[int] = []

    def lose(run: BoardRun, suite: str, done: int) -> None:
        if not lost and run.place is not None and run.place.ours is not None:
            lost.append(done)
            if loss == "power":
                run.place.ours.control("power off")
            else:
                run.place.ours.kill()

    result = bench.start(bench.options(), lose)
    assert lost
    assert (result.verdict, result.exit_code, result.power_cycles) == ("FLAKY", 1, 1), (
        result.reasons
    )
    assert result.samples == 4  # nothing of the broken attempt is counted twice
    assert "only after 1 retries" in result.reasons[0]


def test_one_that_does_not_come_back_is_left_alone_until_it_is_lifted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    section(monkeypatch, retries=1)
    image = bench.state("uno") / "flash.bin"
    flashed = image.read_bytes()
    image.unlink()
    quick = bench.options(patience=0.05)
    first = bench.start(quick)
    assert (first.verdict, first.error) == ("ERROR", "SilentBoardError")
    assert "1 retries did not help" in first.reasons[0]
    assert sum("power on" in line or "retry" in line for line in first.log_tail) >= 1
    image.write_bytes(flashed)  # it is repaired, but nobody has said so
    second = bench.start(quick)
    assert (second.error, second.exit_code) == ("PoisonedError", 4)
    assert "SilentBoardError: no answer to HELLO" in second.reasons[0]
    assert not any("start" in line for line in second.log_tail), "it was touched"
    assert bench.start(bench.options("nanoatmega328")).verdict == "PASS"  # others go on
    assert bench.start(bench.options(unpoison=True)).verdict == "PASS"


def tries(*errors: BoardError, retries: int, cancelled: bool = False) -> tuple[int, str]:
    """How often an attempt was made that ends in these errors, one after the other; and how."""
    left, made, cancel = list(errors), 0, threading.Event()
    board = replace(load_boards(ROOT)["uno"], retries=retries)
    if cancelled:
        cancel.set()

    def attempt() -> None:
        nonlocal made
        made += 1
        if left:
            raise left.pop(0)

    try:
        again = with_retries(board, FakePlace("/dev/null"), BoardLog("uno"), cancel, attempt)
    except BoardError as error:
        return made, f"{type(error).__name__}: {error}"
    return made, f"after {again}"


def test_what_is_tried_again() -> None:
    silent, gone = SilentBoardError("silent"), PortError("gone").of_the_board()
    assert tries(retries=3) == (1, "after 0")
    assert tries(silent, gone, retries=3) == (3, "after 2")
    assert tries(silent, retries=0) == (1, "SilentBoardError: silent")
    assert tries(silent, retries=3, cancelled=True) == (1, "SilentBoardError: silent")
    # The first cause is kept.
    text = "SilentBoardError: silent (1 retries did not help, the last one: PortError: gone)"
    assert tries(silent, gone, retries=1) == (2, text)
    # A power cycle mends neither of these.
    assert tries(WrongBoardError("a nano"), retries=3) == (1, "WrongBoardError: a nano")
    assert tries(PortError("in use"), retries=3) == (1, "PortError: in use")


def test_the_hubs_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = FakeTools(tmp_path / "bin")
    tools.add("uhubctl")
    monkeypatch.setenv("PATH", f"{tools.folder}{os.pathsep}/usr/bin")
    uno, place, log = load_boards(ROOT)["uno"], FakePlace("/dev/null"), BoardLog("uno")
    on_a_hub = replace(uno, power="uhubctl:1-1.4:2")
    assert not power_cycle(uno, place, log, threading.Event())
    assert power_cycle(on_a_hub, place, log, threading.Event())
    assert tools.calls() == [["uhubctl", "-l", "1-1.4", "-p", "2", "-a", "cycle", "-d", "2"]]
    recorded = Path(__file__).parent / "flash_outputs" / "uhubctl-no-hub.txt"
    tools.add("uhubctl", recorded.read_text(), 1)
    with pytest.raises(FlashError, match="No compatible devices detected at location 1-1!"):
        power_cycle(on_a_hub, place, log, threading.Event())
