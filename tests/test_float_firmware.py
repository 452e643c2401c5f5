"""A float mode the whole way: pio run, flash, identify, run, compare, verdict."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from build_hook_project import make_project
from hil_bench import run_project

from miniml.hil.proof.device_rows import differing
from miniml.hil.run_options import RunOptions


def test_from_the_build_to_the_verdict(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(tmp_path / "project", tmp_path_factory)
    # Over boards.ini, which says int8.
    project.options("custom_miniml_mode = avr_hybrid")
    project.build("uno")
    record = json.loads((project.out("uno") / "build.json").read_text(encoding="utf-8"))
    assert record["mode"] == "avr_hybrid"
    assert "avr_hybrid" in project.header("uno").read_text(encoding="utf-8").splitlines()[0]
    monkeypatch.setenv("PLATFORMIO_CORE_DIR", str(project.core))
    monkeypatch.delenv("PLATFORMIO_WORKSPACE_DIR", raising=False)
    options = RunOptions(project.folder, boards=("uno",), simulated="always", samples=6, random=30)
    (result,) = run_project(options)
    assert (result.verdict, result.reasons) == ("PASS", [])
    test, hard = result.comparisons
    # 2-3-2: five floats a row; edges of binary32 are among the hard rows.
    assert (test.rows, test.bytes_compared) == (6, 6 * 20)
    assert (hard.rows, hard.bytes_compared) == (30, 30 * 20)
    assert result.cost is not None
    assert result.cost.cycles is None
    assert result.median_cycles is not None
    assert result.median_cycles > 1000
    assert result.accuracy is not None
    # The same folder in another mode is another model: the build is stale.
    (project.out("uno") / "build.json").write_text(json.dumps(record | {"mode": "float32"}))
    (stale,) = run_project(options)
    assert stale.error == "StaleFirmwareError"
    assert "in mode float32" in stale.reasons[0]


def test_floats_differ_by_a_bit_and_nan_is_nan() -> None:
    expected = np.array([0.0, 1.0, np.nan, np.inf, 2.0], np.float32)
    found = expected.copy()
    assert not differing(expected, found).size
    found[0] = -0.0
    found[2] = np.array([0xFFC00001], np.uint32).view(np.float32)[0]
    found[4] = np.nextafter(np.float32(2), np.float32(3))
    assert differing(expected, found).tolist() == [0, 4]
