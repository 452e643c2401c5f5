"""A run over a line that spoils 1 in 1,000 bytes is complete and right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hil_bench import ROOT, make_bench
from line_errors import RATE, bad_line

from miniml.boards import load_boards

RECORDED = ROOT / "docs" / "results" / "line_errors.json"
ROWS = 40


def test_some_rows_over_a_bad_line(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(tmp_path, tmp_path_factory, monkeypatch)
    with bad_line(load_boards(ROOT)["uno"], bench.state("uno"), seed=3) as (port, errors):
        result = bench.start(bench.options(port=port, samples=ROWS, patience=0.5))
    assert (result.verdict, result.reasons) == ("PASS", [])
    assert (result.samples, result.mismatches) == (ROWS, 0)
    assert errors.errors > 0.5 * RATE * errors.bytes > 5
    assert 0 < result.retries < 4 * errors.errors


def test_the_recorded_run_of_the_whole_split() -> None:
    record = json.loads(RECORDED.read_text())
    assert (record["verdict"], record["wrong_bytes"], record["rate"]) == ("PASS", 0, RATE)
    assert record["rows"]["test"] == 359
    assert record["spoilt"] > 0.8 * RATE * record["bytes"]
