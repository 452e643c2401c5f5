"""Two exporters with two simulated boards each, one killed midway (more: campaign_labgrid.py)."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hil_bench import Bench, make_bench, processes_in
from labgrid_run import await_none_held, check_loss, lab_bench


@pytest.fixture
def bench(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Bench:
    return make_bench(tmp_path, tmp_path_factory, monkeypatch)


def test_an_exporter_killed_midway_takes_its_own_boards_only(bench: Bench, tmp_path: Path) -> None:
    with lab_bench(bench, tmp_path) as lab:
        # By its soak a board that began early is not through before the last one has begun.
        short = ("--samples=20", "--random=2", "--floats=2", "--soak=15s")
        code, boards = lab.run_and_kill("beta", *short, with_ser2net=True)
        check_loss(code, boards, "beta")
        await_none_held(lab)
    # Killed, but perhaps not all gone: nobody waits for an exporter's children.
    deadline = time.monotonic() + 60
    while left := processes_in(tmp_path):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
