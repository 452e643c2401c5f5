"""A lab that loses exporters, runs and keepers: `python tests/campaign_labgrid.py [ROUNDS]`.

Four simulated boards hang on two exporters of labgrid, by ser2net; every run is `miniml run` over
all of them. A round (10 unless told): an exporter is killed midway, alone or with its ser2net; the
lab is mended; three runs are ended by a signal each at a random moment; a run to the end passes.
Then the Uno is flashed through sshd, as at an exporter. docs/LAB.md has the figures.
"""

from __future__ import annotations

import random
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from hil_bench import make_bench  # noqa: E402
from labgrid_run import (  # noqa: E402
    EXPORTERS,
    LabBench,
    await_none_held,
    check_loss,
    lab_bench,
    our_processes,
)
from local_sshd import local_sshd  # noqa: E402

SAMPLES = "--samples=60"
LATEST_KILL_S = 6.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


class OneFolder:
    """What of pytest's TempPathFactory the bench needs."""

    def __init__(self, folder: Path) -> None:
        """`folder` is there."""
        self._folder = folder

    def getbasetemp(self) -> Path:
        """The folder."""
        return self._folder


def main(rounds: int = 10) -> int:
    """Returns 1 unless everything came out as docs/LAB.md says."""
    begin, chance = time.monotonic(), random.Random(1)
    with (
        tempfile.TemporaryDirectory(prefix="miniml-lab-") as name,
        pytest.MonkeyPatch.context() as patch,
    ):
        folder = Path(name)
        (folder / "base").mkdir()
        factory = OneFolder(folder / "base")
        bench = make_bench(folder, factory, patch)  # type: ignore[arg-type]
        with lab_bench(bench, folder) as lab:
            for turn in range(rounds):
                _lose_an_exporter(lab, turn)
                for number in SIGNALS:
                    _end_a_run(lab, number, chance.uniform(0.3, LATEST_KILL_S))
                code, boards = lab.run_to_end(SAMPLES)
                verdicts = {board["verdict"] for board in boards.values()}
                assert (code, verdicts) == (0, {"PASS"}), boards
                _say(f"round {turn + 1} of {rounds}: mended, 4 of 4 PASS, exit code 0")
            code, boards = lab.run_to_end()
            rows = {board["samples"] for board in boards.values()}
            assert code == 0, boards
            _say(f"the whole test split: rows {rows}, 4 of 4 PASS, exit code 0")
            _flash_by_ssh(lab, folder, patch)
            await_none_held(lab)
        left = our_processes(folder)
    assert not left, left
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    _say(
        f"no process left; {time.monotonic() - begin:.0f} s, "
        f"{used.ru_utime + used.ru_stime:.0f} s of CPU"
    )
    return 0


def _lose_an_exporter(lab: LabBench, turn: int) -> None:
    lost, with_ser2net = sorted(EXPORTERS)[turn % 2], turn % 4 < 2
    code, boards = lab.run_and_kill(lost, SAMPLES, with_ser2net=with_ser2net)
    check_loss(code, boards, lost)
    how = "with its ser2net" if with_ser2net else "alone"
    seconds = await_none_held(lab)
    _say(
        f"exporter {lost} killed {how}: 2 PASS, 2 ERROR with the cause, exit code 4, "
        f"released after {seconds:.1f} s"
    )
    # Its orphaned ser2net would share the device with the next.
    lab.lab.kill(lost)
    lab.export(lost)


def _end_a_run(lab: LabBench, number: signal.Signals, after_s: float) -> None:
    with lab.run(SAMPLES) as process:
        time.sleep(after_s)
        process.send_signal(number)
        process.communicate()
    seconds = await_none_held(lab)
    _say(f"run ended by {number.name} after {after_s:.1f} s: released after {seconds:.1f} s")


def _flash_by_ssh(lab: LabBench, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """avrdude runs where sshd leads; the board was another one's before."""
    with local_sshd(folder / "ssh", patch):
        words = ("--board", "uno", "--samples=20")
        with lab.run(*words, flash=True) as process:
            said, complaints = process.communicate()
        uno = lab.boards()["uno"]
        assert process.returncode == 0, (said, complaints, uno["log"])
        log = (lab.bench.workspace / "miniml" / "log" / "uno.log").read_text(encoding="utf-8")
        lines = [line for line in log.splitlines() if "bytes of flash" in line]
        assert lines, log[-3000:]
        _say(f"uno flashed over ssh: {lines[-1].split('] ')[-1].strip()}; then {uno['verdict']}")


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
