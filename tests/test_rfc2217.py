"""Simulated boards over rfc2217://: DTR, RTS, parity and the touch, which a PTY lacks.

By pyserial's own client. The tools that flash can't speak it: they have the board's PTY.
"""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import serial
from hil_bench import ROOT, Bench, make_bench, powered
from hypothesis import given
from hypothesis import strategies as st

from miniml.errors import PortError, SimulatorError
from miniml.hil.board_log import BoardLog
from miniml.hil.link.line_port import LinePort
from miniml.hil.link.session import Session
from miniml.hil.place.simulated_board import SimulatedBoard
from miniml.sim.modem_lines import EVEN, NONE, ODD, arrives, lines_of
from miniml.sim.rfc2217_server import Rfc2217Server

ACK = b"\x79"
# Of pyserial, instead of three seconds for each step of opening.
PATIENT = "timeout=60"


@pytest.fixture
def bench(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Bench:
    return make_bench(tmp_path, tmp_path_factory, monkeypatch)


@contextmanager
def offered(
    bench: Bench, name: str, *, wired: bool = False
) -> Iterator[tuple[str, SimulatedBoard]]:
    """A running simulated board and its URL, which bears with a loaded machine."""
    with powered(bench, name) as board:
        lines = lines_of(board.board.simulator, board.control, wired=wired)
        server, stop = Rfc2217Server(("127.0.0.1", 0), board.port, lines), threading.Event()
        thread = threading.Thread(target=server.run, args=(stop,))
        thread.start()
        try:
            yield f"{server.url}?{PATIENT}", board
        finally:
            stop.set()
            thread.join()


def soon(condition: Callable[[], Any], what: str) -> Any:
    """The first true value of a condition."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited in vain for {what}")


def test_only_the_edge_of_dtr_resets_an_uno(bench: Bench) -> None:
    with offered(bench, "uno") as (url, board):

        def resets(at_least: int = 0) -> int:
            """Once there were as many, and the bootloader let its watchdog start the program."""

            def status() -> Any:
                found = board.control("status")
                there = found["open"] and found["resets"] >= at_least
                return found if there and not found["bootloader"] else None

            return int(soon(status, f"{at_least} resets and the program")["resets"])

        before = resets()  # the server's own opening is one
        with closing(LinePort(url, 115200, dtr=False)) as line:
            assert resets() == before
            line._port.dtr = True
            # Each is followed by the watchdog's.
            assert resets(before + 1) == before + 2
            line._port.rts = False
            Session(line, BoardLog("uno")).hello()
            assert resets() == before + 2
        with closing(LinePort(url, 115200)):
            assert resets(before + 3) == before + 4


def test_a_whole_run(bench: Bench) -> None:
    with offered(bench, "uno") as (url, _):
        result = bench.start(bench.options(port=url))
    assert (result.verdict, result.samples) == ("PASS", 4), result.reasons


def test_a_pico_is_silent_without_dtr_and_leaves_at_the_touch(bench: Bench) -> None:
    with offered(bench, "pico") as (url, board):
        hasty, first = url.removesuffix(f"?{PATIENT}"), board.port()
        with closing(LinePort(url, 115200, dtr=False)) as line:
            line.write(b"?01 HELLO ABCDEF01*----\n")
            assert line.read_line(time.monotonic() + 0.5) is None
        LinePort(url, 115200).close()  # another rate does nothing
        assert board.port() == first
        with suppress(PortError):  # it vanishes while it is being opened
            LinePort(hasty, 1200, dtr=False).close()
        drive = board.state / "RPI-RP2"
        soon(drive.is_dir, "the drive")
        assert board.port() is None
        with pytest.raises(PortError):
            LinePort(hasty, 115200)
        shutil.copy(bench.build_file("pico", "firmware.uf2"), drive)
        assert soon(board.port, "the board's return") != first
        with closing(LinePort(url, 115200)) as line:
            Session(line, BoardLog("pico")).hello()


def test_an_stm32_goes_into_its_loader_by_dtr_and_rts_and_wants_even_parity(bench: Bench) -> None:
    with offered(bench, "stm32f4", wired=True) as (url, board):

        def sequence(port: serial.Serial, rts: bool) -> None:
            """BOOT0, then a pulse of NRST."""
            port.rts = rts
            port.dtr = False
            port.dtr = True
            state = "loader" if rts else "running"
            soon(lambda: board.control("status")["state"] == state, state)

        def asked(port: serial.Serial, request: bytes, timeout_s: float = 60) -> bytes:
            port.timeout = timeout_s
            port.reset_input_buffer()
            port.write(request)
            return bytes(port.read(1))

        with serial.serial_for_url(url, 115200) as port:
            sequence(port, rts=True)
            port.parity = serial.PARITY_EVEN
            assert asked(port, b"\x7f") == ACK
            assert asked(port, b"\x02\xfd") == ACK
            port.parity = serial.PARITY_NONE  # 0xFD has odd parity, 0x02 too; 0x00 has not
            assert asked(port, b"\x00\xff", 1) == b""
            sequence(port, rts=False)
        with closing(LinePort(url, 115200, rts=False)) as line:
            Session(line, BoardLog("stm32f4")).hello()
            line._port.dtr = False  # held in reset
            line.write(b"?01 HELLO ABCDEF01*----\n")
            assert line.read_line(time.monotonic() + 0.5) is None


@given(st.integers(0, 255), st.sampled_from([NONE, EVEN, ODD]))
def test_frames_of_one_parity_arrive_and_of_two_opposite_ones_never(byte: int, mode: str) -> None:
    assert arrives(byte, mode, mode)
    assert not arrives(byte, EVEN, ODD)
    assert not arrives(byte, ODD, EVEN)
    assert arrives(byte, NONE, EVEN) == arrives(byte, EVEN, NONE) == (byte.bit_count() % 2 == 1)


def test_an_address_in_use_is_one_line() -> None:
    lines = lines_of("atmega328p", lambda command: {})
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = ("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(SimulatorError, match=r"can't offer the board at 127\.0\.0\.1"):
            Rfc2217Server(address, lambda: None, lines)


def test_the_command_offers_both(bench: Bench) -> None:
    process = subprocess.Popen(
        # In the background of a shell it would inherit that SIGINT is ignored.
        [
            *("env", "--default-signal=INT", sys.executable, "-m", "miniml"),
            *("simulate", "uno", "--rfc2217", "0", "--json"),
        ],
        cwd=ROOT,
        env=bench.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert Path(told["port"]).exists()
        with closing(LinePort(f"{told['url']}?{PATIENT}", 115200)) as line:
            Session(line, BoardLog("uno")).hello()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert not (bench.state("uno") / "port").is_symlink()
    finally:
        process.kill()
        process.communicate()
