"""A sample of `miniml bench faults`: every kind once, one of them on the simulated Uno."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from miniml.bench.faults.kinds import KINDS, RIGHT

ROOT = Path(__file__).resolve().parent.parent
RECORDED = ROOT / "docs" / "results" / "faults.json"


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "miniml", "bench", "faults", "--exchanges", "1", *words]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900
    )


def assert_clean(record: dict[str, Any]) -> None:
    assert (record["wrong"], record["hangs"]) == (0, 0)
    for name, tally in record["by_kind"].items():
        assert tally["exchanges"] > 0, name
        assert sum(tally["endings"].values()) == tally["conversations"], name
        (kind,) = (kind for kind in KINDS if kind.name == name)
        assert tally["endings"].keys() <= kind.endings, name


def test_every_kind_ends_as_it_may() -> None:
    done = bench("--uno-rounds", "0", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads(done.stdout)
    assert set(record) == {"exchanges", "kinds", "wrong", "hangs", "by_kind"}
    assert record["kinds"] == len(KINDS) >= 25
    assert record["exchanges"] > 2000
    assert_clean(record)


def test_a_simulated_uno_keeps_program_and_bootloader(tmp_path: Path) -> None:
    # Each of them meets the bootloader with what the host still sends.
    words = ["--kind", "a brown-out within a request", "--out", str(tmp_path / "out.json")]
    done = bench("--uno-rounds", "1", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((tmp_path / "out.json").read_text())
    assert_clean(record)
    assert record["flash_changed"] == {"program": 0, "page_0": 0, "bootloader": 0}
    assert all(tally["on_uno"] for tally in record["by_kind"].values())


def test_an_ending_that_is_not_allowed_is_counted() -> None:
    # The same damage, called harmless: the campaign must say that it isn't.
    script = """
import dataclasses, sys
from pathlib import Path
from miniml.bench.faults import campaign, kinds
from miniml.boards import load_boards
(bad,) = (kind for kind in kinds.KINDS if kind.name == "a wrong byte, again and again")
bad = dataclasses.replace(bad, endings=kinds.RIGHT)
result = campaign.run_campaign(load_boards(Path()), 1, 1, 0, lambda *step: None, [bad])
(tally,) = result.by_kind.values()
print(result.record()["wrong"] - tally.conversations, "WRONG, host 0: FAIL" in result.text())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["0", "True"]


def test_names_and_numbers_are_checked() -> None:
    done = bench("--kind", "one bit")
    assert done.returncode == 2
    assert "one bit flipped, to the device" in done.stderr
    assert bench("--uno-rounds", "-1").returncode == 2


def test_the_recorded_campaign() -> None:
    record = json.loads(RECORDED.read_text())
    assert record["exchanges"] >= 20_000
    assert record["by_kind"].keys() == {kind.name for kind in KINDS}
    assert_clean(record)
    assert record["flash_changed"] == {"program": 0, "page_0": 0, "bootloader": 0}
    # Most faults must not cost a result at all.
    assert sum(kind.endings == RIGHT for kind in KINDS) >= 25
