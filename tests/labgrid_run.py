"""Four simulated boards on two exporters, and `miniml run` over them by labgrid alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hil_bench import ROOT, Bench, powered
from labgrid_lab import Lab

EXPORTERS = {"alpha": ("uno", "stm32f4"), "beta": ("nanoatmega328", "pico")}
PLACES = {
    f"lab-{board}": (exporter, {"simulated": "yes", "board": board})
    for exporter, boards in EXPORTERS.items()
    for board in boards
}
RUN_S = 600.0


@dataclass(frozen=True)
class LabBench:
    """A lab whose exporters have the boards of a bench, and a project that names their places.

    Attributes:
        devices: each board's PTY.
    """

    bench: Bench
    lab: Lab
    project: Path
    devices: Mapping[str, str]

    def export(self, name: str) -> None:
        """Starts an exporter with its boards."""
        self.lab.export(name, {f"lab-{board}": self.devices[board] for board in EXPORTERS[name]})

    def run(self, *words: str, flash: bool = False) -> subprocess.Popen[str]:
        """`miniml run` over all boards, begun; its progress comes on stderr."""
        more = () if flash else ("--no-flash",)
        # In the background of a shell it would inherit that SIGINT is ignored.
        listening = ("env", "--default-signal=INT")
        return subprocess.Popen(
            [*listening, sys.executable, "-m", "miniml", "run", *more, *words],
            cwd=self.project,
            env={**self.bench.environment(), "LG_COORDINATOR": self.lab.address},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run_to_end(self, *words: str) -> tuple[int, dict[str, Any]]:
        """Its exit code, and each board of report.json by name."""
        with self.run(*words) as process:
            process.communicate(timeout=RUN_S)
        return process.returncode, self.boards()

    def run_and_kill(
        self, exporter: str, *words: str, with_ser2net: bool
    ) -> tuple[int, dict[str, Any]]:
        """The same; the exporter is killed once each of its boards has a quarter of its rows."""
        waiting = {f"{board} test " for board in EXPORTERS[exporter]}
        with self.run(*words) as process:
            assert process.stderr is not None
            said = []
            for line in process.stderr:
                said.append(line)
                waiting -= {begin for begin in waiting if line.startswith(begin)}
                if not waiting:
                    break
            assert not waiting, said
            self.lab.kill(exporter, with_ser2net=with_ser2net)
            process.communicate(timeout=RUN_S)
        return process.returncode, self.boards()

    def boards(self) -> dict[str, Any]:
        """Of report.json."""
        return {board["name"]: board for board in self.bench.report()["boards"]}

    def acquired(self) -> str:
        """What labgrid-client shows of places that are held; empty if none is."""
        shown = self.lab.client("places", "--acquired")
        assert shown.returncode == 0, shown.stderr
        return shown.stdout.strip()


@contextmanager
def lab_bench(bench: Bench, folder: Path) -> Iterator[LabBench]:
    """Powers the boards, starts coordinator and exporters, and ends everything."""
    project = folder / "project"
    project.mkdir()
    for name in ("platformio.ini", "boards.ini", "firmware"):
        (project / name).symlink_to(ROOT / name)
    sections = (f"[{place.removeprefix('lab-')}]\nresource = labgrid:{place}\n" for place in PLACES)
    (project / "boards.local.ini").write_text("".join(sections), encoding="utf-8")
    with ExitStack() as stack:
        devices = {}
        for board in (name for boards in EXPORTERS.values() for name in boards):
            port = stack.enter_context(powered(bench, board)).port()
            assert port is not None
            devices[board] = port
        lab = stack.enter_context(Lab(folder / "lab", PLACES))
        made = LabBench(bench, lab, project, devices)
        for exporter in EXPORTERS:
            made.export(exporter)
        yield made


def check_loss(code: int, boards: Mapping[str, Any], lost: str) -> None:
    """The boards of one exporter are ERROR with the cause; the others PASS; the exit code is 4."""
    for exporter, names in EXPORTERS.items():
        for name in names:
            board = boards[name]
            assert board["simulated"] is True
            assert board["place"] == {"name": f"lab-{name}", "host": "127.0.0.1"}
            if exporter == lost:
                assert board["verdict"] == "ERROR", board
                assert board["error"]["name"] == "PortError", board["error"]
                cause = f"labgrid: exporter {lost} has left the coordinator"
                assert cause in board["error"]["message"], board["error"]
            else:
                assert (board["verdict"], board["mismatches"]) == ("PASS", 0), board["reasons"]
    assert code == 4


def await_none_held(lab: LabBench, timeout_s: float = 120.0) -> float:
    """Until every place is released; returns the seconds that took."""
    begin = time.monotonic()
    while held := lab.acquired():
        assert time.monotonic() - begin < timeout_s, held
        time.sleep(0.2)
    return time.monotonic() - begin


def our_processes(folder: Path) -> list[str]:
    """Command lines of processes that name a folder, such as one that was left behind."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line and int(process.name) != os.getpid():
            found.append(line)
    return found
