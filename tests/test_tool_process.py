"""Flashing tools are ended with their harness, however that ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hil_bench import ROOT, processes_in

from miniml.errors import FlashError
from miniml.hil.board_log import BoardLog
from miniml.hil.tool_process import run_tool

# As pio does: the tool is a grandchild, and heeds no hang-up.
TOOL = "trap '' HUP TERM; sh -c \"trap '' HUP TERM; sleep 177\" & wait"
HARNESS = """
import sys, threading
from pathlib import Path
from miniml.hil.board_log import BoardLog
from miniml.hil.tool_process import run_tool
folder = Path(sys.argv[1])
log = BoardLog("uno", folder / "log")
command = ["sh", "-c", sys.argv[2]]
run_tool(command, log, timeout_s=120, cancel=threading.Event(), cwd=folder)
"""


def run(command: list[str], folder: Path, timeout_s: float = 120) -> list[str]:
    log = BoardLog("uno")
    run_tool(command, log, timeout_s=timeout_s, cancel=threading.Event(), cwd=folder)
    return log.tail()


def await_processes(folder: Path, wanted: Callable[[int], bool]) -> None:
    deadline = time.monotonic() + 60
    while not wanted(len(processes_in(folder))):
        assert time.monotonic() < deadline, processes_in(folder)
        time.sleep(0.02)


def test_a_killed_harness_leaves_no_tool(tmp_path: Path) -> None:
    harness = subprocess.Popen([sys.executable, "-c", HARNESS, str(tmp_path), TOOL], cwd=ROOT)
    # The harness, the keeper, two shells and what they started.
    await_processes(tmp_path, lambda count: count >= 5)
    harness.send_signal(signal.SIGKILL)
    harness.wait()
    await_processes(tmp_path, lambda count: count == 0)


def test_its_output_and_exit_code_are_the_tool_s(tmp_path: Path) -> None:
    said = run([sys.executable, "-c", "print('flashed')"], tmp_path)
    assert any("flashed" in line for line in said)
    with pytest.raises(FlashError, match=r"failed \(3\): error: no port"):
        run([sys.executable, "-c", "print('error: no port'); raise SystemExit(3)"], tmp_path)


def test_a_missing_tool_is_named(tmp_path: Path) -> None:
    with pytest.raises(FlashError, match="can't run no-such-tool: is it installed"):
        run(["no-such-tool"], tmp_path)


def test_a_tool_without_its_interpreter_is_named(tmp_path: Path) -> None:
    tool = tmp_path / "avrdude"
    tool.write_text("#!/no/such/interpreter\n")
    tool.chmod(0o755)
    with pytest.raises(FlashError, match=r"failed \(126\): error: can't run .*avrdude: No such"):
        run([str(tool)], tmp_path)


def test_a_tool_that_does_not_end_is_ended(tmp_path: Path) -> None:
    with pytest.raises(FlashError, match="did not end in time"):
        run([sys.executable, "-c", "import time; time.sleep(177)"], tmp_path, timeout_s=0.5)
    # Killed all at once, but only the keeper was waited for.
    await_processes(tmp_path, lambda count: count == 0)
