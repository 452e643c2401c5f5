"""The simulated ARM boards as processes: serial, flashing, resets, faults, habits, remains."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import serial
from held_port import held
from sim_arm_board import BOUND_SECONDS, RunningBoard, board, wait_for
from sim_arm_program import firmware, uf2

LINE = b"?7E LOAD 0000 " + b"80FF007F" * 5 + b"*1234" + b"\n"
BOARDS = ["stm32f405", "rp2040"]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("firmware")
    return {name: firmware(folder, name) for name in BOARDS}


def boot(link: serial.Serial, running: RunningBoard) -> None:
    """Power cycle, and read until the firmware has said so."""
    running.control("power off")
    time.sleep(0.2)  # what was said before is in the buffer by then
    link.reset_input_buffer()
    running.control("power on")
    assert link.read_until(b"BOOT\n") == b"BOOT\n"


def await_echo(link: serial.Serial) -> None:
    """Until the firmware answers: opening the port loses what was said before, such as BOOT."""
    link.timeout = 0.2
    wait_for(lambda: link.write(b"x") and b"x" in link.read_until(b"x"), "an echo")


@pytest.mark.parametrize("pace", ["realtime", "free"])
@pytest.mark.parametrize("name", BOARDS)
def test_lines_of_62_bytes_come_back_without_an_error(
    name: str, pace: str, images: dict[str, bytes], tmp_path: Path
) -> None:
    line = LINE[:61].rstrip(b"\n") + b"\n"
    line = line.rjust(62, b"?")
    assert len(line) == 62
    with board(name, tmp_path, pace, images[name]) as running, running.serial() as link:
        boot(link, running)
        begin = time.monotonic()
        for _ in range(20):
            link.write(line.lower())
            assert link.read(62) == line.lower()
        seconds = (time.monotonic() - begin) / 20
        assert running.control("status")["overruns"] == 0
        if pace == "realtime":  # 63 frames of 10 bits at 115,200 baud
            assert seconds > 63 * 10 / 115_200 * 0.95


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_counts_what_its_flash_costs(
    name: str, images: dict[str, bytes], tmp_path: Path
) -> None:
    stalls = {}
    for memory in ("ideal", "shipped"):
        state = tmp_path / memory
        simulated = board(name, state, flash=images[name], memory=memory)
        with simulated as running, running.serial() as link:
            boot(link, running)
            stalls[memory] = running.control("status")["flash_stalls"]
    assert stalls["ideal"] == 0
    # At least the first line of the program and of its data.
    assert stalls["shipped"] >= 10


def milliseconds(running: RunningBoard) -> float:
    """Simulated time."""
    status = running.control("status")
    return float(status["cycles"] / status["clock_hz"] * 1000)


@pytest.mark.parametrize("name", BOARDS)
def test_the_tick_counts_milliseconds_of_simulated_time(
    name: str, images: dict[str, bytes], tmp_path: Path
) -> None:
    with board(name, tmp_path, "realtime", images[name]) as running, running.serial() as link:
        boot(link, running)
        times, ticks = [], []
        for passed in (0.0, 1000.0):
            # Of simulated time: a loaded machine's boards are late.
            begin = milliseconds(running)
            wait_for(lambda: milliseconds(running) >= begin + passed, "the time to pass")  # noqa: B023
            times.append(milliseconds(running))
            link.write(b"T")
            ticks.append(int(link.readline(), 16))
            times.append(milliseconds(running))
        # Each count was taken between two of the times, however busy this machine is.
        assert times[2] - times[1] - 2 <= ticks[1] - ticks[0] <= times[3] - times[0] + 2
        assert ticks[1] - ticks[0] > 900
        # The handler counts each tick; some were taken since the firmware answered.
        taken, later = running.control("status")["systicks"], milliseconds(running)
        assert ticks[1] <= taken <= ticks[1] + later - times[2] + 2


@pytest.mark.parametrize("name", BOARDS)
def test_an_idle_board_uses_next_to_no_processor_time(
    name: str, images: dict[str, bytes], tmp_path: Path
) -> None:
    for pace in ("realtime", "free"):
        with board(name, tmp_path, pace, images[name]) as running, running.serial() as link:
            boot(link, running)
            time.sleep(0.3)
            before = running.cpu_seconds()
            time.sleep(2.0)
            assert running.cpu_seconds() - before < 0.4


@pytest.mark.parametrize("name", BOARDS)
def test_faults_and_exceptions(name: str, images: dict[str, bytes], tmp_path: Path) -> None:
    with board(name, tmp_path, "free", images[name]) as running, running.serial() as link:
        boot(link, running)
        link.write(b"S")
        assert link.readline() == b"SVC\n"
        link.write(b"W")
        assert link.read(1) == b"W"
        assert running.control("status")["faults"] == 0
        link.write(b"F")
        assert link.readline() == b"HARDFAULT\n"
        status = running.control("status")
        assert status["faults"] == 1
        assert "HardFault" in status["reason"]
        assert "0x90000000" in status["reason"]
        running.control("power off")
        assert running.control("status")["running"] is False
        running.control("power on")
        assert link.readline() == b"BOOT\n"


@pytest.mark.parametrize("name", BOARDS)
def test_a_reset_by_the_firmware_takes_a_picos_port_along(
    name: str, images: dict[str, bytes], tmp_path: Path
) -> None:
    with board(name, tmp_path, "free", images[name]) as running:
        with running.serial() as link:
            boot(link, running)
            before = link.port
            link.write(b"R")
            if name == "stm32f405":
                assert link.readline() == b"BOOT\n"
                return
            with pytest.raises(serial.SerialException):
                link.read(1)
        with running.serial() as link:
            assert link.port != before
            await_echo(link)


@pytest.mark.parametrize("name", BOARDS)
def test_opening_the_port_resets_nothing(
    name: str, images: dict[str, bytes], tmp_path: Path
) -> None:
    with board(name, tmp_path, "free", images[name]) as running:
        with running.serial() as link:
            boot(link, running)
        resets = running.control("status")["resets"]
        for _ in range(3):
            with running.serial() as link:
                link.write(b"x")
                assert link.read(1) == b"x"
        assert running.control("status")["resets"] == resets


def test_a_firmware_that_never_reads_loses_bytes_and_says_so(
    images: dict[str, bytes], tmp_path: Path
) -> None:
    image = images["stm32f405"]
    with board("stm32f405", tmp_path, "free", image) as running, running.serial() as link:
        boot(link, running)
        link.write(b"B" + bytes(range(97, 117)))
        wait_for(lambda: running.control("status")["overruns"] > 10, "overruns")


def test_stm32flash_writes_and_verifies_ten_times_of_ten(
    images: dict[str, bytes], tmp_path: Path
) -> None:
    image = tmp_path / "firmware.bin"
    with board("stm32f405", tmp_path / "board") as running:
        for number in range(10):
            # another length and content every time, over several sectors
            content = images["stm32f405"] + bytes([number]) * (1000 + 4000 * number)
            image.write_bytes(content)
            result = running.flash_stm32(image)
            assert result.returncode == 0, result.stdout + result.stderr
            assert "0x0413" in result.stdout
            with running.serial() as link:
                running.control("boot0 0")
                boot(link, running)
                link.write(b"ok")
                assert link.read(2) == b"ok"
            kept = (running.state / "flash.bin").read_bytes()
            assert kept[: len(content)] == content
    with board("stm32f405", tmp_path / "board") as running, running.serial() as link:
        boot(link, running)  # the flash has outlived the process


def test_a_pico_vanishes_takes_a_uf2_and_returns_under_another_name(
    images: dict[str, bytes], tmp_path: Path
) -> None:
    drive = tmp_path / "RPI-RP2"
    with board("rp2040", tmp_path, "free", images["rp2040"]) as running:
        wait_for(running.port.exists, "the port")
        first = os.path.realpath(running.port)
        resets = running.control("status")["resets"]
        with held(first) as gone:
            serial.Serial(first, 1200).close()
            wait_for(lambda: not running.port.is_symlink(), "the port to vanish")
            wait_for(gone, "the port's end")
        running.copy_uf2(uf2(images["rp2040"] + b"\x55" * 5000))
        wait_for(lambda: not drive.exists(), "the drive to vanish")
        wait_for(running.port.exists, "the port to return")
        assert os.path.realpath(running.port) != first
        with running.serial() as link:
            await_echo(link)
        assert running.control("status")["resets"] == resets + 1
        assert (tmp_path / "flash.bin").read_bytes()[5000:5004] == b"\x55" * 4


def test_a_bad_uf2_is_refused_and_the_pico_stays_in_bootsel(
    images: dict[str, bytes], tmp_path: Path
) -> None:
    with board("rp2040", tmp_path) as running:  # an empty flash: no boot2
        assert "checksum" in running.line()
        assert running.line() == f"ready {tmp_path / 'RPI-RP2'}"
        assert not running.port.is_symlink()
        running.copy_uf2(uf2(images["rp2040"], family=0xE48B_FF57))
        refusal = running.line()
        assert refusal.startswith("refused firmware.uf2")
        assert "family" in refusal
        assert running.control("status")["state"] == "loader"
        running.copy_uf2(uf2(images["rp2040"]))
        assert running.line().startswith("programmed")
        with running.serial() as link:
            await_echo(link)


def test_the_bootsel_button(images: dict[str, bytes], tmp_path: Path) -> None:
    with board("rp2040", tmp_path, "free", images["rp2040"]) as running:
        wait_for(running.port.exists, "the port")
        assert running.control("bootsel") == {"ok": True}
        wait_for((tmp_path / "RPI-RP2" / "INFO_UF2.TXT").exists, "the drive")
        running.control("reset")
        wait_for(running.port.exists, "the port")
        assert not (tmp_path / "RPI-RP2").exists()


def test_two_boards_side_by_side(images: dict[str, bytes], tmp_path: Path) -> None:
    with (
        board("stm32f405", tmp_path / "a", "free", images["stm32f405"]) as one,
        board("rp2040", tmp_path / "b", "free", images["rp2040"]) as other,
        one.serial() as first,
        other.serial() as second,
    ):
        boot(first, one)
        boot(second, other)
        for link, text in ((first, b"first"), (second, b"second")):
            link.write(text)
        assert first.read(5) == b"first"
        assert second.read(6) == b"second"


def test_an_unknown_command_is_an_answer_not_an_end(tmp_path: Path) -> None:
    with board("stm32f405", tmp_path) as running:
        assert "error" in running.control("dance")
        assert "error" in running.control("")
        assert running.control("status")["state"] == "crashed"  # erased flash
        assert running.control("quit") == {"ok": True}
        assert running.process.wait(BOUND_SECONDS) == 0
        assert sorted(path.name for path in tmp_path.iterdir()) == []


def test_the_board_ends_with_its_parent(images: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "flash.bin").write_bytes(images["rp2040"])
    launch = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-m', 'miniml.sim.arm', '--board', 'rp2040',"
        f" '--state', {str(tmp_path)!r}], stdout=subprocess.DEVNULL)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", launch], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.stdout.close()
    wait_for((tmp_path / "port").exists, "the port")
    parent.send_signal(signal.SIGKILL)
    parent.wait(BOUND_SECONDS)
    wait_for(lambda: not (tmp_path / "port").is_symlink(), "the port to vanish")
    wait_for(lambda: not Path(f"/proc/{child}").exists(), "the board to end")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["flash.bin"]


def test_firmware_in_an_endless_loop_still_takes_commands(
    images: dict[str, bytes], tmp_path: Path
) -> None:
    image = images["stm32f405"]
    with board("stm32f405", tmp_path, "free", image) as running, running.serial() as link:
        boot(link, running)
        link.write(b"L")
        time.sleep(0.2)
        assert running.control("status")["running"] is True
        boot(link, running)
