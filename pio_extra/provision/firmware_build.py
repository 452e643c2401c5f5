"""`pio run`, quietly: the hook's lines are shown, the rest goes into a log."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence

from pio_extra.provision.surroundings import BIN, ROOT, child_environment
from pio_extra.provision.world import Worlds, user_core_dir

LOG = ROOT / ".pio" / "miniml" / "build.log"
HOOK_ERROR = "Error: MiniML:"
SHOWN = (HOOK_ERROR, "MiniML:", "PLATFORM:", "Platform Manager:", "Tool Manager:")
SUMMARY_LINES = 30


def build(worlds: Worlds) -> int:
    """Build every environment in its world; returns the exit code of the first that failed."""
    LOG.parent.mkdir(parents=True, exist_ok=True)
    LOG.write_bytes(b"")
    if worlds.official:
        variables = {**child_environment(), "PLATFORMIO_CORE_DIR": str(user_core_dir())}
        if code := _run(worlds.official, variables):
            return code
    return _run(worlds.kit, child_environment(kit=True)) if worlds.kit else 0


def _run(names: Sequence[str], variables: Mapping[str, str]) -> int:
    pio = str(BIN / ("pio.exe" if os.name == "nt" else "pio"))
    chosen = [word for name in names for word in ("-e", name)]
    last: deque[str] = deque(maxlen=SUMMARY_LINES)
    with (
        LOG.open("a", encoding="utf-8") as log,
        subprocess.Popen(
            [pio, "run", "-d", str(ROOT), *chosen],
            cwd=ROOT,
            env={**variables, "PLATFORMIO_NO_ANSI": "true"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        ) as process,
    ):
        assert process.stdout is not None
        said: set[str] = set()
        for line in process.stdout:
            log.write(line)
            last.append(line)
            if line.startswith(SHOWN) and line not in said:
                said.add(line)
                print("  " + line.rstrip(), flush=True)
        code = process.wait()
    if code:
        # A line of the hook says what is wrong; the compiler needs more.
        explained = any(line.startswith(HOOK_ERROR) for line in said)
        sys.stderr.write("" if explained else "".join(last))
        sys.stderr.write(f"the build failed; its whole output: {LOG.relative_to(ROOT)}\n")
    return code
