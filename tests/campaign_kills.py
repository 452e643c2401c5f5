"""`kill -9` at random moments of flash and run: `python tests/campaign_kills.py [KILLS]`.

200 kills unless told, after `pio run -e uno -e stm32f4 -e pico`; one that came too late counts for
none. Each time a command on a simulated board is killed at a random moment, and then: no process of
it is left, what is there of a report is whole, and the next run flashes, passes and leaves no
temporary file. It goes on where it stopped; counts are in docs/results/kills.json.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from hil_bench import processes_in  # noqa: E402

RESULT = ROOT / "docs" / "results" / "kills.json"
WORKSPACE = ROOT / "build" / "kills"
# Twice as often those that are flashed in no time.
BOARDS = ("uno", "pico", "stm32f4", "pico", "stm32f4")
KILLS = 200
SHORT = ("--samples", "1", "--random", "1", "--floats", "1")
COMMANDS = {"flash": ("flash",), "run": ("run", *SHORT), "again": ("run", "--no-flash", *SHORT)}
# Processes that belonged to the killed one notice its end by themselves.
END_S = 60.0
LOCK_S = "120"


@dataclass
class Kill:
    """What was killed and when (seconds after its start), and what was wrong then."""

    number: int
    board: str
    command: str
    after_s: float
    came_too_late: bool
    wrong: str


def main(kills: int) -> int:
    """Returns 1 if anything was wrong."""
    if not (WORKSPACE / "build").is_dir():
        for board in set(BOARDS):
            shutil.copytree(ROOT / ".pio" / "build" / board, WORKSPACE / "build" / board)
    state = WORKSPACE / "kills.json"
    done = json.loads(state.read_text()) if state.exists() else []
    longest: dict[str, float] = {}
    while sum(not kill["came_too_late"] for kill in done) < kills:
        number = len(done)
        rng = Random(f"kills {number}")
        board = BOARDS[number % len(BOARDS)]
        command = rng.choice(list(COMMANDS))
        key = f"{board} {command}"
        if key not in longest:
            longest[key] = whole(WORKSPACE, board, command)
        kill = kill_once(WORKSPACE, number, board, command, rng.random() * longest[key])
        if kill.came_too_late:  # the machine has become faster
            longest[key] *= 0.8
        done.append(vars(kill))
        state.write_text(json.dumps(done))
        print(kill, flush=True)
    killed = [kill for kill in done if not kill["came_too_late"]]
    record = {
        "kills": len(killed),
        "came_too_late": len(done) - len(killed),
        "of": {name: sum(kill["command"] == name for kill in killed) for name in COMMANDS},
        "on": {name: sum(kill["board"] == name for kill in killed) for name in sorted(set(BOARDS))},
        "wrong": [kill for kill in done if kill["wrong"]],
    }
    RESULT.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=1))
    return int(bool(record["wrong"]))


def whole(workspace: Path, board: str, command: str) -> float:
    """How long the command takes, undisturbed."""
    begin = time.monotonic()
    with start(workspace, board, "flash") as flashing:
        assert flashing.wait() == 0
    if command == "flash":
        return time.monotonic() - begin
    begin = time.monotonic()
    with start(workspace, board, command) as process:
        assert process.wait() == 0
    return time.monotonic() - begin


def kill_once(workspace: Path, number: int, board: str, command: str, after_s: float) -> Kill:
    """Kills one command after some seconds, and looks what is left."""
    with start(workspace, board, command) as process:
        try:
            process.wait(after_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
    late = process.returncode != -signal.SIGKILL
    wrong = left_over(workspace) or half_written(workspace) or next_run(workspace, board)
    return Kill(number, board, command, round(after_s, 3), late, wrong)


def start(workspace: Path, board: str, command: str) -> subprocess.Popen[str]:
    """A `miniml` command in a process of its own."""
    words = [*COMMANDS[command], "--board", board, "--simulated", "always"]
    environment = {**os.environ, "PLATFORMIO_WORKSPACE_DIR": str(workspace)}
    environment["PYTHONPATH"] = str(ROOT)
    environment.setdefault("PLATFORMIO_CORE_DIR", str(ROOT / ".pio-core"))
    log = (workspace / "last.txt").open("w")
    with log:
        return subprocess.Popen(
            [sys.executable, "-m", "miniml", *words, "--lock-timeout", LOCK_S],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )


def left_over(workspace: Path) -> str:
    """Processes that outlived the killed one."""
    deadline = time.monotonic() + END_S
    while (left := processes_in(workspace)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return f"processes {left} are left" if left else ""


def half_written(workspace: Path) -> str:
    """A report's file that can't be read."""
    folder = workspace / "miniml" / "report"
    try:
        if (folder / "report.json").exists():
            json.loads((folder / "report.json").read_text(encoding="utf-8"))
        if (folder / "junit.xml").exists():
            ET.parse(folder / "junit.xml")
        html = folder / "report.html"
        if html.exists() and not html.read_text(encoding="utf-8").rstrip().endswith("</html>"):
            return "report.html is cut"
    except (ValueError, ET.ParseError) as error:
        return f"half a report: {error}"
    return ""


def next_run(workspace: Path, board: str) -> str:
    """The next run must flash, pass, report, and clean up."""
    with start(workspace, board, "run") as process:
        code = process.wait()
    if code != 0:
        said = (workspace / "last.txt").read_text(errors="replace").strip().splitlines()
        return f"the next run ended with {code}: {' | '.join(said[-6:])}"
    report = json.loads((workspace / "miniml" / "report" / "report.json").read_text())
    verdicts = [found["verdict"] for found in report["boards"]]
    if verdicts != ["PASS"]:
        return f"the next run's report says {verdicts}"
    stale = [str(path.name) for path in (workspace / "miniml").rglob("*.tmp")]
    return f"left behind: {stale}" if stale else half_written(workspace) or left_over(workspace)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else KILLS))
