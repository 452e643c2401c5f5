"""Starts simulated ARM boards as a user does, and speaks to their port and control socket."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import serial
from control_socket import control

BOUND_SECONDS = 60.0  # for everything that takes milliseconds on a machine that is not busy


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """The first true value of a condition; fails after a bounded time."""
    end = time.monotonic() + BOUND_SECONDS
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited in vain for {what}")


class RunningBoard:
    """A board's process with its folder."""

    def __init__(self, process: subprocess.Popen[str], state: Path) -> None:
        self.process = process
        self.state = state

    @property
    def port(self) -> Path:
        return self.state / "port"

    def line(self) -> str:
        """The next line of the board's log."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def control(self, command: str) -> dict[str, Any]:
        """One command, its answer."""
        return control(self.state, command, BOUND_SECONDS)

    @contextlib.contextmanager
    def serial(self) -> Iterator[serial.Serial]:
        """The port, open at 115200."""
        wait_for(self.port.exists, "the port")
        with serial.Serial(os.path.realpath(self.port), 115200, timeout=BOUND_SECONDS) as link:
            yield link

    def cpu_seconds(self) -> float:
        """What the process has used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def flash_stm32(self, image: Path) -> subprocess.CompletedProcess[str]:
        """The real stm32flash, as the harness uses it."""
        self.control("boot0 1")
        self.control("reset")
        tool = shutil.which("stm32flash")
        assert tool, "stm32flash is missing: apt install stm32flash"
        port = os.path.realpath(self.port)
        return subprocess.run(
            [tool, "-m", "8n1", "-w", str(image), "-v", "-g", "0x0", port],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def copy_uf2(self, content: bytes) -> None:
        """As a file manager does: under another name first, then all at once or in pieces."""
        drive = self.state / "RPI-RP2"
        wait_for((drive / "INFO_UF2.TXT").exists, "the drive")
        with (drive / "firmware.uf2").open("wb") as file:
            for begin in range(0, len(content), 700):
                file.write(content[begin : begin + 700])
                file.flush()


@contextlib.contextmanager
def board(
    name: str, state: Path, pace: str = "free", flash: bytes = b"", memory: str = "ideal"
) -> Iterator[RunningBoard]:
    """A running board; ended and checked for remains afterwards."""
    state.mkdir(parents=True, exist_ok=True)
    if flash:
        (state / "flash.bin").write_bytes(flash)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "miniml.sim.arm"),
            *("--board", name, "--state", str(state), "--pace", pace),
            *("--memory", memory),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    running = RunningBoard(process, state)
    try:
        wait_for((state / "control").exists, "the control socket")
        yield running
    finally:
        process.terminate()
        try:
            process.wait(BOUND_SECONDS)
        finally:
            process.kill()
        assert process.stdout is not None
        process.stdout.close()
        assert not running.port.is_symlink()
