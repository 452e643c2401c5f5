"""A sample of tests/campaign_kills.py, and what the whole of it found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from campaign_kills import KILLS, RESULT, kill_once
from hil_bench import make_bench


def test_a_killed_flash_leaves_nothing_in_the_way(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(tmp_path, tmp_path_factory, monkeypatch)
    assert kill_once(bench.workspace, 0, "pico", "flash", 1.3).wrong == ""


def test_the_recorded_campaign() -> None:
    record = json.loads(RESULT.read_text())
    assert record["kills"] >= KILLS
    assert record["wrong"] == []
    assert min(*record["of"].values(), *record["on"].values()) > KILLS / 10
