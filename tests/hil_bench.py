"""Builds, and simulated boards flashed with them, made once; a bench of its own for each test.

They are made by `pio run` and then `pio test`, whose output and reports test_pio_test.py judges.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
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
from miniml.cost.elf_symbols import symbols
from miniml.hil.board_log import BoardLog
from miniml.hil.board_run import BoardRun
from miniml.hil.place.simulated_board import SimulatedBoard
from miniml.hil.proof.verdict import BoardResult
from miniml.hil.run import chosen_boards, run_boards
from miniml.hil.run_options import RunOptions
from miniml.hil.source import ProjectSource
from pio_extra.offline import kit

ROOT = Path(__file__).resolve().parent.parent
BOARDS = ("uno", "nanoatmega328", "stm32f4", "pico")
SAMPLES = 3


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
            timeout=600,
        )

    def pio(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The `pio` command; its two streams in one."""
        return subprocess.run(
            [sys.executable, "-m", "platformio", *words],
            cwd=ROOT,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=900,
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
            ROOT, boards=(board,), samples=4, random=4, floats=2, flash=False, wait_s=60
        )
        return replace(short, **more)

    def start(
        self, options: RunOptions, progress: Callable[[BoardRun, str, int], None] | None = None
    ) -> BoardResult:
        """Runs the options' only board in this process; `progress` may interfere."""
        source = ProjectSource(options.project)
        chosen = chosen_boards(options, source)
        run: BoardRun

        def step(suite: str, done: int, total: int) -> None:
            if progress is not None:
                progress(run, suite, done)

        source.load_models(chosen)
        run = BoardRun(chosen[0], options, source, threading.Event(), step)
        return run.execute()


def run_project(options: RunOptions) -> list[BoardResult]:
    """Runs the chosen boards of a project in this process, without a report."""
    source = ProjectSource(options.project)
    chosen = chosen_boards(options, source)
    source.load_models(chosen)
    return run_boards(options, source, chosen)


@dataclass(frozen=True)
class FirstRun:
    """What `pio run` built and `pio test` then said, for all boards.

    Attributes:
        elves: SHA-256 of each board's ELF, as `pio run` left it.
        folder: holds pio-test.txt, pio-test.json and pio-test.xml.
    """

    bench: Bench
    elves: dict[str, str]
    code: int
    folder: Path


def first_run(factory: pytest.TempPathFactory) -> FirstRun:
    """Builds and flashes once a test session, whoever comes first."""
    base = factory.getbasetemp()
    common = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    bench = Bench(common / "hil-workspace", common / "hil-core")
    done = common / "hil-first.json"
    with FileLock(common / "hil-first.filelock"):
        if not done.exists():
            kit.prepare(bench.core)
            boards = [word for board in BOARDS for word in ("-e", board)]
            built = bench.pio("run", *boards)
            assert built.returncode == 0, built.stdout
            elves = {board: elf_hash(bench, board) for board in BOARDS}
            reports = [
                f"--json-output-path={common / 'pio-test.json'}",
                f"--junit-output-path={common / 'pio-test.xml'}",
            ]
            tested = bench.pio("test", *boards, *reports, "-a", f"--samples={SAMPLES}")
            (common / "pio-test.txt").write_text(tested.stdout, encoding="utf-8")
            done.write_text(json.dumps({"elves": elves, "code": tested.returncode}))
    record = json.loads(done.read_text())
    return FirstRun(bench, record["elves"], record["code"], common)


def elf_hash(bench: Bench, board: str) -> str:
    """SHA-256 of a board's ELF, in hex."""
    return hashlib.sha256(bench.build_file(board, "firmware.elf").read_bytes()).hexdigest()


def make_bench(folder: Path, factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch) -> Bench:
    """A bench in `folder`, which this process uses from now on."""
    first = first_run(factory).bench
    bench = Bench(folder / "workspace", first.core)
    for board in BOARDS:
        shutil.copytree(first.workspace / "build" / board, bench.workspace / "build" / board)
        flashed = first.state(board) / "flash.bin"
        assert flashed.is_file(), "not flashed: see test_pio_test.py"
        bench.state(board).mkdir(parents=True)
        shutil.copy(flashed, bench.state(board))
    patch.setenv("PLATFORMIO_WORKSPACE_DIR", str(bench.workspace))
    patch.setenv("PLATFORMIO_CORE_DIR", str(bench.core))
    return bench


def spoil_weights(bench: Bench, count: int | None = None) -> int:
    """Changes weights of one layer in the Uno's flash, and nothing else; returns its number.

    Kernels keep some rows' weights in tables and others' in their code: it is the last table, all
    of it or its first `count` weights.
    """
    tables = {
        (int(found[1]), int(found[2])): place
        for name, place in symbols(bench.build_file("uno", "firmware.elf")).items()
        if (found := re.fullmatch(r"digits_layer_(\d+)_(\d+)_weights", name))
    }
    assert tables, "generated kernels name their weights otherwise now"
    layer, table = max(tables)
    image = bench.state("uno") / "flash.bin"
    content = bytearray(image.read_bytes())
    begin, size = tables[layer, table]
    assert size > 0
    for place in range(begin, begin + (count or size)):
        content[place] ^= 0x40
    image.write_bytes(content)
    return layer


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
    """Ids of the processes whose directory, command line or environment names a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            texts = [(process / name).read_bytes() for name in ("cmdline", "environ")]
            where = (process / "cwd").readlink()
        except OSError:
            continue
        if int(process.name) != os.getpid() and (
            any(os.fsencode(folder) in text for text in texts) or where.is_relative_to(folder)
        ):
            found.append(int(process.name))
    return found
