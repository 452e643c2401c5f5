"""Starts simulated Arduino boards for tests, flashes them, and asks them how they are."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import serial
from control_socket import control

REPOSITORY = Path(__file__).parent.parent
BOUND_SECONDS = 60.0  # for everything that takes a second on a machine that is not busy


class Board:
    """A simulated board in a process of its own, in the folder `state`."""

    def __init__(self, state: Path, *options: str) -> None:
        self.state = state
        self.port = state / "port"
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "miniml.sim.avr", "--state", str(state), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self.process.stdout is not None
        self.ready = self.process.stdout.readline().strip()
        if not self.ready.startswith("ready /dev/pts/"):
            _, reason = self.process.communicate(timeout=BOUND_SECONDS)
            raise AssertionError(f"the board did not start: {self.ready} {reason}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=BOUND_SECONDS)

    def command(self, line: str) -> dict[str, Any]:
        return control(self.state, line, BOUND_SECONDS)

    def status(self) -> dict[str, Any]:
        return self.command("status")

    def wait_for(self, seconds: float = BOUND_SECONDS, **wanted: object) -> dict[str, Any]:
        """Asks until every wanted value is there."""
        end = time.monotonic() + seconds
        while True:
            status = self.status()
            if all(status[name] == value for name, value in wanted.items()):
                return status
            assert time.monotonic() < end, f"never {wanted}: {status}"
            time.sleep(0.02)

    def avrdude(self, program: Path, baud: int) -> list[str]:
        """The command line as PlatformIO's."""
        command = ["avrdude", "-q", "-p", "atmega328p", "-c", "arduino", "-b", str(baud), "-D"]
        return [*command, "-P", str(self.port), "-U", f"flash:w:{program}:e"]

    def flash(self, program: Path, baud: int = 115200) -> subprocess.CompletedProcess[str]:
        """What the real avrdude does and says."""
        command = self.avrdude(program, baud)
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    def open(self) -> serial.Serial:
        """The port at 115,200 baud, with the board reset and its program running."""
        resets = self.status()["resets"]
        bound = {"timeout": BOUND_SECONDS, "write_timeout": BOUND_SECONDS}
        port = serial.Serial(str(self.port), 115200, **bound)
        # Whoever asks after the opening is told of the reset; then the watchdog's comes.
        assert self.status()["resets"] > resets
        self.wait_for(bootloader=False, waiting=True)
        return port
