"""Starts simulated Arduino boards for tests, flashes them, and asks them how they are."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import serial

REPOSITORY = Path(__file__).parent.parent


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
            _, reason = self.process.communicate(timeout=10)
            raise AssertionError(f"the board did not start: {self.ready} {reason}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=10)

    def command(self, line: str) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(str(self.state / "control"))
            client.sendall(line.encode() + b"\n")
            with client.makefile() as answers:
                answer = json.loads(answers.readline())
        assert isinstance(answer, dict)
        return answer

    def status(self) -> dict[str, Any]:
        return self.command("status")

    def wait_for(self, seconds: float = 5.0, **wanted: object) -> dict[str, Any]:
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
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def open(self) -> serial.Serial:
        """The port at 115,200 baud, with the board reset and its program running."""
        resets = self.status()["resets"]
        port = serial.Serial(str(self.port), 115200, timeout=2, write_timeout=2)
        end = time.monotonic() + 5
        while self.status()["resets"] == resets and time.monotonic() < end:
            time.sleep(0.01)
        self.wait_for(bootloader=False, waiting=True)
        return port
