"""Runs a tool, and ends it when whoever wanted it is gone: `python tool_keeper.py FD COMMAND...`.

A harness that is killed can't end its tools: avrdude whose port has vanished spins for ever. So a
tool on POSIX is kept by this process, the leader of the tool's group. FD is the reading end of a
pipe that the harness holds open: when that ends, the whole group is killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading


def main(alive: int, command: list[str]) -> int:
    """The tool's exit code; 126 if it can't run, 128 more than a signal that ended it."""
    threading.Thread(target=_watch, args=(alive,), daemon=True).start()
    try:
        code = subprocess.call(command)
    except OSError as error:
        print(f"error: can't run {command[0]}: {error.strerror}")
        return 126
    return code if code >= 0 else 128 - code


def _watch(alive: int) -> None:
    os.read(alive, 1)
    if sys.platform != "win32":
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
