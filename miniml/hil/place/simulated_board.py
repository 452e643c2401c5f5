"""Starts, drives and ends a simulated board: a process with a PTY (miniml.sim)."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import miniml
from miniml.boards import Board
from miniml.errors import SimulatorError
from miniml.hil.board_log import BoardLog

# The first start compiles the simulator and the bootloader.
START_TIMEOUT_S = 120.0
CONTROL_TIMEOUT_S = 30.0
QUIT_TIMEOUT_S = 5.0


def simulator_command(board: Board, pace: str) -> list[str]:
    """What starts the board in the current folder; it keeps port, control and flash there."""
    common = ["--state", ".", "--pace", pace]
    if board.simulator == "atmega328p":
        loader = board.simulator_bootloader or "optiboot"
        return [sys.executable, "-m", "miniml.sim.avr", *common, "--bootloader", loader]
    return [sys.executable, "-m", "miniml.sim.arm", *common, "--board", board.simulator]


class SimulatedBoard:
    """One simulated board from `start` to `stop`; its flash outlives it in `state`."""

    def __init__(self, board: Board, state: Path, log: BoardLog, *, pace: str = "free") -> None:
        """`pace` is "realtime" or "free"; nothing is started yet."""
        self.board, self.state = board, state
        self._pace, self._log = pace, log
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str] = queue.Queue()

    def start(self) -> None:
        """Starts the process and waits until its port is there.

        Raises:
            SimulatorError: it can't run here, or died; with its own words.
        """
        if sys.platform != "linux":
            raise SimulatorError(
                f"simulated boards need Linux: attach a real {self.board.name} or --simulated never"
            )
        self._clear_leftovers()
        environment = dict(os.environ)
        # This very package, wherever the working directory is.
        paths = [str(Path(miniml.__file__).parent.parent), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        command = simulator_command(self.board, self._pace)
        self._log.add("host", f"start {' '.join(command[1:])} in {self.state}")
        # In the folder itself: the name of a Unix socket has at most 107 bytes.
        self._process = subprocess.Popen(
            command,
            cwd=self.state,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # Out of reach of the terminal's Ctrl-C: it is ended in order, by stop().
            start_new_session=True,
        )
        # Of its own: what a process before this one said last may still be under way.
        self._lines = queue.Queue()
        reader = threading.Thread(target=self._read, args=(self._process, self._lines), daemon=True)
        reader.start()
        self._await_ready()

    def port(self) -> str | None:
        """The current PTY; None while the board has none (a Pico in BOOTSEL)."""
        try:
            return str((self.state / "port").readlink())
        except OSError:
            return None

    def control(self, command: str) -> dict[str, Any]:
        """One command of the control socket and its answer.

        Raises:
            SimulatorError: the process is gone, or refused the command.
        """
        try:
            answer = _ask(self.state, command)
        except (OSError, ValueError) as error:
            raise SimulatorError(self._death(f"does not answer to {command!r}: {error}")) from error
        if "error" in answer:
            raise SimulatorError(f"simulated {self.board.name}: {answer['error']}")
        return answer

    def check(self) -> None:
        """Raises SimulatorError if the process has ended."""
        if self._process is None or self._process.poll() is not None:
            raise SimulatorError(self._death("ended"))

    def kill(self) -> None:
        """Ends the process at once, as a power cut."""
        if self._process is not None:
            self._process.kill()

    def stop(self) -> None:
        """Ends the process; it is gone when this returns, whatever state it was in."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            try:
                _ask(self.state, "quit", timeout_s=QUIT_TIMEOUT_S)
                process.wait(QUIT_TIMEOUT_S)
            except (OSError, ValueError, subprocess.TimeoutExpired):
                process.terminate()
        try:
            process.wait(QUIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
        process.wait()
        self._remove("port")

    def _clear_leftovers(self) -> None:
        self.state.mkdir(parents=True, exist_ok=True)
        if (self.state / "control").exists():
            # A killed run's simulator ends by itself, but perhaps not before this one starts: it
            # would take the new one's port and control socket for its own.
            with contextlib.suppress(OSError, ValueError):
                _ask(self.state, "quit", timeout_s=QUIT_TIMEOUT_S, to_its_end=True)
        self._remove("control")
        self._remove("port")
        shutil.rmtree(self.state / "RPI-RP2", ignore_errors=True)

    def _remove(self, name: str) -> None:
        (self.state / name).unlink(missing_ok=True)

    def _read(self, process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self._log.add("simulator", line.rstrip())
                lines.put(line.rstrip())
        lines.put("")

    def _await_ready(self) -> None:
        deadline, said = time.monotonic() + START_TIMEOUT_S, ""
        try:
            while True:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
                if line.startswith("ready"):
                    return
                if not line:
                    raise SimulatorError(self._death(f"did not start: {said or 'it said nothing'}"))
                said = line.removeprefix("error: ")
        except queue.Empty:
            self.stop()
            raise SimulatorError(self._death("did not start in time")) from None

    def _death(self, what: str) -> str:
        return f"simulated {self.board.name} {what}"


def _ask(
    state: Path, command: str, timeout_s: float = CONTROL_TIMEOUT_S, *, to_its_end: bool = False
) -> dict[str, Any]:
    """One command and its answer; `to_its_end` waits until the simulator has hung up as well."""
    if sys.platform == "win32":
        raise OSError("simulated boards need Linux")  # `start` has said so before
    folder = os.open(state, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(timeout_s)
            # Through the descriptor: see the length of a socket's name above.
            client.connect(f"/proc/self/fd/{folder}/control")
            client.sendall(command.encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                piece = client.recv(4096)
                if not piece:
                    raise OSError("it hung up")
                answer += piece
            while to_its_end and client.recv(4096):
                pass
    finally:
        os.close(folder)
    content = json.loads(answer)
    if not isinstance(content, dict):
        raise ValueError("its answer is no JSON object")
    return content
