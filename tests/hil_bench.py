"""A project that is built and flashed once a test session, and a bench of its own for each test."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from miniml.boards import load_boards
from miniml.hil.board_log import BoardLog
from miniml.hil.board_run import BoardRun
from miniml.hil.run import chosen_boards, load_models
from miniml.hil.run_options import RunOptions
from miniml.hil.simulated_board import SimulatedBoard
from miniml.hil.verdict import BoardResult
from pio_extra.offline import kit

ROOT = Path(__file__).resolve().parent.parent
BOARDS = ("uno", "nanoatmega328")


@dataclass(frozen=True)
class Bench:
    """A workspace with builds, and simulated boards that were flashed with them."""

    workspace: Path
    core: Path

    def environment(self) -> dict[str, str]:
        """For a child process."""
        return {
            **os.environ,
            "PLATFORMIO_WORKSPACE_DIR": str(self.workspace),
            "PLATFORMIO_CORE_DIR": str(self.core),
            "PYTHONPATH": str(ROOT),
        }

    def miniml(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The `miniml` command, in a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "miniml", *words],
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )

    def report(self) -> dict[str, Any]:
        """report.json of the last run."""
        path = self.workspace / "miniml" / "report" / "report.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        assert isinstance(content, dict)
        return content

    def build_file(self, board: str, name: str) -> Path:
        """A file of a board's build folder."""
        return self.workspace / "build" / board / name

    def state(self, board: str) -> Path:
        """The folder of a simulated board."""
        return self.workspace / "miniml" / "boards" / board

    def options(self, board: str = "uno", **more: Any) -> RunOptions:
        """A short run without flashing: the boards are flashed already."""
        short = RunOptions(
            ROOT, boards=(board,), samples=4, random=4, floats=2, flash=False, wait_s=2
        )
        return replace(short, **more)

    def start(
        self, options: RunOptions, progress: Callable[[BoardRun, str, int], None] | None = None
    ) -> BoardResult:
        """Runs the options' only board in this process; `progress` may interfere."""
        boards, chosen = chosen_boards(options)
        run: BoardRun

        def step(suite: str, done: int, total: int) -> None:
            if progress is not None:
                progress(run, suite, done)

        models = load_models(ROOT, chosen)
        run = BoardRun(chosen[0], boards, options, models, threading.Event(), step)
        return run.execute()


def make_bench(folder: Path, factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch) -> Bench:
    """A bench in `folder`; what all benches share is built and flashed by whoever comes first."""
    base = factory.getbasetemp()
    common = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    first = Bench(common / "hil-workspace", common / "hil-core")
    with FileLock(common / "hil-workspace.filelock"):
        if not (first.workspace / "flashed").exists():
            kit.prepare(first.core)
            words = [word for board in BOARDS for word in ("-e", board)]
            _checked([sys.executable, "-m", "platformio", "run", *words], first)
            words = [word for board in BOARDS for word in ("--board", board)]
            flash = ["flash", *words, "--simulated", "always"]
            _checked([sys.executable, "-m", "miniml", *flash], first)
            (first.workspace / "flashed").touch()
    bench = Bench(folder / "workspace", first.core)
    for board in BOARDS:
        shutil.copytree(first.workspace / "build" / board, bench.workspace / "build" / board)
        bench.state(board).mkdir(parents=True)
        shutil.copy(first.state(board) / "flash.bin", bench.state(board))
    patch.setenv("PLATFORMIO_WORKSPACE_DIR", str(bench.workspace))
    patch.setenv("PLATFORMIO_CORE_DIR", str(bench.core))
    return bench


def _checked(command: list[str], bench: Bench) -> None:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=bench.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout


@contextmanager
def powered(bench: Bench, board: str) -> Iterator[SimulatedBoard]:
    """A simulated board that somebody else runs."""
    simulated = SimulatedBoard(load_boards(ROOT)[board], bench.state(board), BoardLog(board))
    simulated.start()
    try:
        yield simulated
    finally:
        simulated.stop()


def processes_in(folder: Path) -> list[int]:
    """Ids of the processes whose working directory or command line is in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().decode(errors="replace")
            where = (process / "cwd").readlink()
        except OSError:
            continue
        if int(process.name) != os.getpid() and (
            str(folder) in line or where.is_relative_to(folder)
        ):
            found.append(int(process.name))
    return found
