"""The simulated Uno and Nano as a host meets them: flashing, resets, serial, life and death."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import serial
from held_port import held
from sim_avr_board import BOUND_SECONDS, REPOSITORY, Board
from sim_avr_program import compile_avr

# Receives by interrupt into a ring of 64 bytes and sends back, like an Arduino sketch.
ECHO = """
#include <avr/io.h>
#include <avr/interrupt.h>
static volatile unsigned char ring[64], head, tail;
ISR(USART_RX_vect) { unsigned char c = UDR0, n = (head + 1) & 63; if (n != tail) { ring[head] = c; head = n; } }
int main(void) {
  UCSR0A = 2; UBRR0 = 16; UCSR0C = 6; UCSR0B = 0x98; sei();
  for (;;) if (head != tail) {
    unsigned char c = ring[tail];
    tail = (tail + 1) & 63;
    while (!(UCSR0A & 0x20)) ;
    UDR0 = c;
  }
}
"""  # noqa: E501

BOARDS = {"optiboot": 115200, "atmegaboot": 57600}


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_avr(ECHO, tmp_path_factory.mktemp("echo") / "echo.elf")


def exchange(port: serial.Serial, frames: int, seed: int) -> int:
    """Sends 64-byte frames and counts those that come back damaged."""
    source, errors = random.Random(seed), 0
    for _ in range(frames):
        message = source.randbytes(64)
        port.write(message)
        errors += port.read(64) != message
    return errors


@pytest.mark.parametrize("pace", ["realtime", "free"])
@pytest.mark.parametrize("bootloader", BOARDS)
def test_flash_and_echo(tmp_path: Path, echo: Path, bootloader: str, pace: str) -> None:
    with Board(tmp_path, "--bootloader", bootloader, "--pace", pace) as board:
        for _ in range(2):
            result = board.flash(echo, BOARDS[bootloader])
            assert result.returncode == 0, result.stderr
        assert "bytes of flash verified" in result.stderr
        with board.open() as port:
            assert exchange(port, 50, seed=1) == 0
        status = board.status()
        assert (status["overruns"], status["framing_errors"], status["crashed"]) == (0, 0, None)


def test_wrong_baud_rate_fails_as_on_a_real_board(tmp_path: Path, echo: Path) -> None:
    with Board(tmp_path) as board:
        # avrdude tries ten times, five seconds each: the first failure is enough.
        command = board.avrdude(echo, baud=57600)
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as avrdude:
            assert avrdude.stderr is not None
            said = ""
            for line in avrdude.stderr:
                said += line
                if "not in sync" in line:
                    avrdude.kill()
        assert "not in sync" in said
        assert "device signature" not in said
        assert board.flash(echo).returncode == 0


def test_opening_the_port_resets_the_board_once(tmp_path: Path, echo: Path) -> None:
    with Board(tmp_path) as board:
        board.flash(echo)
        before = board.wait_for(bootloader=False, waiting=True, open=False)["resets"]
        with board.open():
            # The edge of DTR, and the watchdog by which optiboot leaves for the program.
            assert board.status()["resets"] == before + 2
            with serial.Serial(str(board.port), 115200):  # DTR is low already: no edge
                time.sleep(0.3)
            assert board.status()["resets"] == before + 2
        board.wait_for(open=False)
        with board.open():
            assert board.status()["resets"] == before + 4


def test_bytes_sent_during_the_reset_are_lost(tmp_path: Path, echo: Path) -> None:
    with Board(tmp_path) as board:
        board.flash(echo)
        before = board.wait_for(bootloader=False, waiting=True, open=False)["resets"]
        with serial.Serial(str(board.port), 115200, timeout=BOUND_SECONDS) as port:
            port.write(b"LOST")
            board.wait_for(resets=before + 2, bootloader=False, waiting=True)
            port.write(b"KEPT")
            assert port.read(4) == b"KEPT"


def test_reset_by_command(tmp_path: Path, echo: Path) -> None:
    with Board(tmp_path) as board:
        board.flash(echo)
        with board.open() as port:
            before = board.status()["resets"]
            assert board.command("reset") == {"ok": True}
            board.wait_for(resets=before + 2, bootloader=False, waiting=True)
            assert exchange(port, 1, seed=2) == 0


def test_flash_survives_a_restart_and_a_kill(tmp_path: Path, echo: Path) -> None:
    with Board(tmp_path) as board:
        board.flash(echo)
        board.process.kill()
        board.process.wait(BOUND_SECONDS)
    with Board(tmp_path) as board, board.open() as port:
        assert exchange(port, 3, seed=3) == 0
    assert (tmp_path / "flash.bin").stat().st_size == 32768


def test_power_off_takes_the_port_away(tmp_path: Path, echo: Path) -> None:
    with Board(tmp_path) as board:
        board.flash(echo)
        with board.open() as port:
            board.command("power off")
            assert not board.port.exists()
            with pytest.raises(serial.SerialException):
                port.read(1)
        assert board.status()["powered"] is False
        board.command("power on")
        with board.open() as port:
            assert exchange(port, 2, seed=4) == 0


def test_two_boards_side_by_side(tmp_path: Path, echo: Path) -> None:
    with Board(tmp_path / "uno") as uno, Board(tmp_path / "nano", "--pace", "free") as nano:
        for board in (uno, nano):
            assert board.flash(echo).returncode == 0
        with uno.open() as first, nano.open() as second:
            first.write(b"to the Uno")
            second.write(b"to the Nano")
            assert first.read(10) == b"to the Uno"
            assert second.read(11) == b"to the Nano"


def test_folder_of_a_running_board_is_refused(tmp_path: Path) -> None:
    with Board(tmp_path) as board:
        with pytest.raises(AssertionError, match="in use by another simulated board"):
            Board(tmp_path)
        assert board.status()["powered"] is True


@pytest.mark.parametrize("end", ["quit", "SIGTERM", "SIGINT"])
def test_an_end_leaves_nothing(tmp_path: Path, end: str) -> None:
    with Board(tmp_path) as board, held(board.ready.split()[1]) as gone:
        assert not gone()
        if end == "quit":
            board.command("quit")
        else:
            board.process.send_signal(getattr(signal, end))
        assert board.process.wait(BOUND_SECONDS) == 0
        assert not board.port.is_symlink()
        assert not (tmp_path / "control").exists()
        assert gone()


def test_board_ends_with_its_parent(tmp_path: Path) -> None:
    script = (
        "import subprocess, sys, time\n"
        "board = subprocess.Popen([sys.executable, '-m', 'miniml.sim.avr', '--state',"
        " sys.argv[1]], stdout=subprocess.PIPE, text=True)\n"
        "print(board.pid, board.stdout.readline(), flush=True)\n"
        "time.sleep(600)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert parent.stdout is not None
    board = int(parent.stdout.readline().split()[0])
    assert (tmp_path / "port").exists()
    parent.kill()
    parent.communicate(timeout=BOUND_SECONDS)
    end = time.monotonic() + BOUND_SECONDS
    # The link goes first, the process a moment later.
    while board_is_alive(board) and time.monotonic() < end:
        time.sleep(0.02)
    assert not board_is_alive(board)
    assert not (tmp_path / "port").is_symlink()


def board_is_alive(pid: int) -> bool:
    """Whether the process still runs (an ended one may stay as a zombie without a parent)."""
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("pace", ["realtime", "free"])
def test_waiting_board_leaves_the_processor_alone(tmp_path: Path, echo: Path, pace: str) -> None:
    with Board(tmp_path, "--pace", pace) as board:
        board.flash(echo)
        board.wait_for(bootloader=False, waiting=True)
        before = cpu_seconds(board.process.pid)
        time.sleep(2)
        assert cpu_seconds(board.process.pid) - before < 0.2


def test_simulated_time_is_real_time(tmp_path: Path, echo: Path) -> None:
    with Board(tmp_path) as board:
        board.flash(echo)
        board.wait_for(bootloader=False, waiting=True)

        def looked() -> tuple[float, float, float]:
            """Simulated seconds, and between which two moments they were read."""
            before = time.monotonic()
            return board.status()["cycles"] / 16e6, before, time.monotonic()

        # What a loaded machine keeps the board from is not always made up: once must do.
        for _ in range(20):
            first, first_before, first_after = looked()
            time.sleep(1)
            last, last_before, last_after = looked()
            assert last - first <= last_after - first_before + 0.05
            if last - first >= last_before - first_after - 0.05:
                return
        raise AssertionError("simulated time stays behind")


def test_stack_overflow_is_reported(tmp_path: Path) -> None:
    program = compile_avr(
        "int deep(int n) { volatile char room[40]; room[n % 40] = 1;"
        " return n ? deep(n - 1) + room[0] : 0; }\nint main(void) { deep(25); for (;;) ; }",
        tmp_path / "deep.elf",
    )
    with Board(tmp_path / "board", "--bss-end", "0x600") as board:
        board.flash(program)
        status = board.wait_for(bootloader=False, waiting=True)
        assert 0x100 < status["sp_min"] < 0x600
        assert status["stack_overflow"] is True
        assert "stack overflow" in board.status()["crashed"]


def test_unknown_command_is_answered(tmp_path: Path) -> None:
    with Board(tmp_path) as board:
        answer = board.command("dance")
        assert answer["ok"] is False
        assert "commands: status" in answer["error"]


def test_usage_errors_have_one_line_and_no_traceback(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    result = subprocess.run(
        [sys.executable, "-m", "miniml.sim.avr", "--state", str(blocked / "state")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=False,
    )
    assert result.returncode == 4
    assert result.stderr.count("\n") == 1
    assert "can't make the folder" in result.stderr
