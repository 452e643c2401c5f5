"""Runs a flashing tool: bounded, logged, and never left behind."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from miniml.errors import FlashError
from miniml.hil import tool_keeper
from miniml.hil.board_log import BoardLog

_POLL_S = 0.1
# Lines of PlatformIO that tell nothing: "*** [upload] Error 1", "=== [FAILED] Took 2 s", and its
# table of environments ("uno  FAILED  00:00:02.256").
FRAME = (r"^\*\*\* \[\w+\] Error \d", r"^=", r"\[FAILED\]", r"^Environment ", r"FAILED +\d\d:\d\d:")


def run_tool(
    command: Sequence[str],
    log: BoardLog,
    *,
    timeout_s: float,
    cancel: threading.Event,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: Path | None = None,
) -> None:
    """Runs a command to its end, with a file as its input; its output goes into the board's log.

    Raises:
        FlashError: it is missing, failed (with its telling line and the command), took too
            long, or `cancel` was set. No process of it is left then.
    """
    name = Path(command[0]).name
    log.add("host", shlex.join(command))
    if shutil.which(command[0], path=(environment or os.environ).get("PATH")) is None:
        raise FlashError(f"can't run {command[0]}: is it installed?")
    with (stdin or Path(os.devnull)).open("rb") as given:
        process, alive = _start(command, cwd, environment, given)
    lines: list[str] = []
    reader = threading.Thread(target=_read, args=(process, name, log, lines), daemon=True)
    reader.start()
    try:
        _wait(process, name, time.monotonic() + timeout_s, cancel)
    except BaseException:
        _kill(process)
        raise
    finally:
        os.close(alive)
        reader.join(2)
    if process.returncode:
        last = next((line for line in reversed(lines) if line.strip(" =")), "it said nothing")
        raise FlashError(
            f"{name} failed ({process.returncode}): {telling_line(lines) or last}; command: "
            f"{shlex.join(command)}"
        ).of_the_board()


# What says why, in the tools' own words (recorded in tests/flash_outputs); then what says that.
CAUSES = (
    "not in sync",
    "no such file",
    "permission denied",
    "resource busy",
    "open failed",
    "couldn't find any",
    "no dfu capable",
    "no accessible",
    "mismatch",
)
FAILURES = (
    "error",
    "fail",
    "timeout",
    "timed out",
    "can't",
    "cannot",
    "not found",
    "no compatible",
)


def telling_line(lines: Sequence[str]) -> str:
    """The last line that says why, where the very last ones are summaries; empty if none does."""
    telling = [line for line in lines if not any(re.search(pattern, line) for pattern in FRAME)]
    for words in (CAUSES, FAILURES):
        for line in reversed(telling):
            if any(word in line.lower() for word in words):
                return line.strip()
    return ""


def _start(
    command: Sequence[str],
    cwd: Path | None,
    environment: Mapping[str, str] | None,
    stdin: IO[bytes],
) -> tuple[subprocess.Popen[str], int]:
    """The tool, in a group of its own (pio starts SCons, which starts avrdude), and its life line.

    On POSIX it ends with the life line's end, that is with this process, however that ends.
    """
    told, alive = os.pipe()
    kept = [sys.executable, "-I", "-S", tool_keeper.__file__, str(told)]
    try:
        process = subprocess.Popen(
            [*kept, *command] if os.name != "nt" else command,
            cwd=cwd,
            env=environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=os.name != "nt",
            pass_fds=(told,) if os.name != "nt" else (),
        )
    except OSError as error:
        os.close(alive)
        raise FlashError(f"can't run {command[0]}: {error.strerror}; is it installed?") from error
    finally:
        os.close(told)
    return process, alive


def _read(process: subprocess.Popen[str], name: str, log: BoardLog, lines: list[str]) -> None:
    assert process.stdout is not None
    with process.stdout:
        # A progress bar overwrites itself by carriage returns: universal newlines split it.
        for line in process.stdout:
            if text := line.strip():
                log.add(name, text)
                lines.append(text[:300])
                del lines[:-200]


def _wait(
    process: subprocess.Popen[str], name: str, deadline: float, cancel: threading.Event
) -> None:
    while True:
        try:
            process.wait(_POLL_S)
            return
        except subprocess.TimeoutExpired:
            if cancel.is_set():
                raise FlashError(f"{name} was interrupted") from None
            if time.monotonic() > deadline:
                late = FlashError(f"{name} did not end in time: check port and cable")
                raise late.of_the_board() from None


def _kill(process: subprocess.Popen[str]) -> None:
    if sys.platform == "win32":
        process.kill()
    else:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            process.kill()
    process.wait()
