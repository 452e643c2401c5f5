"""Simulated boards that go wrong: each fault is an error with its name, in time, never a pass."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from hil_bench import ROOT, Bench, make_bench, powered, processes_in

from miniml.hil import open_board
from miniml.hil.board_run import BoardRun
from miniml.hil.link.line_port import LinePort
from miniml.hil.lock.board_lock import board_lock
from miniml.hil.place.place import Place
from miniml.hil.place.simulated_board import SimulatedBoard
from miniml.hil.proof.verdict import BoardResult


@pytest.fixture
def bench(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Bench:
    return make_bench(tmp_path, tmp_path_factory, monkeypatch)


def assert_error(result: BoardResult, name: str, *words: str) -> None:
    assert (result.error, result.verdict, result.exit_code) == (name, "ERROR", 4), result.reasons
    (reason,) = result.reasons
    assert "\n" not in reason
    assert [word for word in words if word not in reason] == [], reason


def await_program(board: SimulatedBoard) -> None:
    """Until the bootloader, which listens for a while after a reset, is done."""
    deadline = time.monotonic() + 60
    while (state := board.control("status"))["bootloader"]:
        assert time.monotonic() < deadline, state
        time.sleep(0.02)


def test_a_healthy_board_passes(bench: Bench) -> None:
    result = bench.start(bench.options())
    assert (result.verdict, result.exit_code, result.simulated) == ("PASS", 0, True)
    assert result.stack is not None
    # Sketch, link and model 64-32-16-10 leave half of the Uno to the application.
    assert result.build is not None
    assert result.build.flash < 16 * 1024
    assert result.build.sram < 1.2 * 1024
    assert result.stack.used == result.simulator_stack
    assert processes_in(bench.workspace) == []


def test_a_killed_simulator(bench: Bench) -> None:
    def kill(run: BoardRun, suite: str, done: int) -> None:
        if done == 2 and run.place is not None and run.place.ours is not None:
            run.place.ours.kill()

    assert_error(bench.start(bench.options(), kill), "PortError", "vanished", "process has ended")
    assert bench.start(bench.options()).verdict == "PASS"


@pytest.mark.parametrize(
    ("command", "name", "words"),
    [("power off", "PortError", "vanished"), ("reset", "LinkError", "reset midway")],
)
def test_a_board_that_loses_power_or_is_reset(
    bench: Bench, command: str, name: str, words: str
) -> None:
    def interfere(run: BoardRun, suite: str, done: int) -> None:
        if done == 2 and run.place is not None and run.place.ours is not None:
            run.place.ours.control(command)
            if command == "reset":
                await_program(run.place.ours)

    assert_error(bench.start(bench.options(), interfere), name, words)
    assert processes_in(bench.workspace) == []


def test_another_build_on_the_board(bench: Bench) -> None:
    record = bench.build_file("uno", "miniml/build.json")
    content = json.loads(record.read_text())
    there, content["build_id"] = content["build_id"], "ab" * 32
    record.write_text(json.dumps(content))
    result = bench.start(bench.options())
    assert_error(result, "StaleFirmwareError", there[:16], "abababababababab", "--no-flash")


def test_another_model_than_the_build(bench: Bench) -> None:
    record = bench.build_file("uno", "miniml/build.json")
    content = json.loads(record.read_text())
    content["model_id"] = "cd" * 32
    record.write_text(json.dumps(content))
    assert_error(bench.start(bench.options()), "StaleFirmwareError", "cdcdcdcdcdcdcdcd", "pio run")


def test_an_elf_that_is_not_the_one_described(bench: Bench) -> None:
    with bench.build_file("uno", "firmware.elf").open("ab") as elf:
        elf.write(b"\0")
    assert_error(bench.start(bench.options()), "FlashError", "firmware.elf", "pio run -e uno")


def test_a_wrong_board_is_not_flashed(bench: Bench) -> None:
    before = (bench.state("nanoatmega328") / "flash.bin").read_bytes()
    with powered(bench, "nanoatmega328") as nano:
        port = nano.port()
        assert port is not None
        result = bench.start(bench.options("uno", port=port, flash=True, patience=10))
    assert_error(result, "WrongBoardError", "nanoatmega328 is on port", "not uno", port)
    assert (bench.state("nanoatmega328") / "flash.bin").read_bytes() == before


def test_an_empty_board_is_silent(bench: Bench) -> None:
    (bench.state("uno") / "flash.bin").unlink()
    result = bench.start(bench.options(patience=0.3))
    assert result.error in ("SilentBoardError", "LinkError")
    assert result.exit_code == 4


def test_a_port_in_use(bench: Bench) -> None:
    with powered(bench, "uno") as uno:
        port = uno.port()
        assert port is not None
        with closing(LinePort(port, 115200)):
            assert_error(bench.start(bench.options(port=port)), "PortError", "in use", port)


def test_a_missing_port_is_not_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def await_in_vain(place: Place, timeout_s: float) -> str:
        raise AssertionError(f"waited up to {timeout_s} s for a port that was never there")

    monkeypatch.setattr(open_board, "await_port", await_in_vain)
    assert_error(bench.start(bench.options(port="/dev/ttyNONE")), "PortError", "is missing")


def test_a_board_that_another_run_holds(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    with board_lock(f"state {bench.state('uno').resolve()}", "simulated uno"):
        result = bench.start(bench.options(wait_s=0.3))
    assert_error(result, "PortError", "simulated uno is in use by", f"process {os.getpid()}")
    assert f"process {os.getpid()} (" in capsys.readouterr().err


def test_no_board(bench: Bench) -> None:
    result = bench.start(bench.options(simulated="never"))
    assert (result.error, result.exit_code) == ("NoBoardError", 3)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_ended_run_leaves_no_process_and_the_next_works(
    bench: Bench, number: signal.Signals
) -> None:
    # A test run in the background of a shell would hand down that SIGINT is ignored.
    listening = ["env", "--default-signal=INT"]
    command = [*listening, sys.executable, "-m", "miniml", "run", "--board", "uno", "--no-flash"]
    with subprocess.Popen(
        [*command, "--soak", "10m", "--verbose"],
        cwd=ROOT,
        env=bench.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        rows = 0
        while rows < 3:
            line = process.stderr.readline()
            assert line, "it ended by itself"
            rows += "-> ?" in line and " RUN " in line
        process.send_signal(number)
        process.stderr.read()
        assert process.wait(60) != 0
    deadline = time.monotonic() + 60
    while (left := processes_in(bench.workspace)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []
    assert bench.start(bench.options()).verdict == "PASS"
