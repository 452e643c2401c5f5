"""A sample of the fuzzing campaign, and everything it ever found (tests/campaign_fuzz_files.py)."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from fuzz_targets import MUTATIONS, READERS, read, seeds

from miniml import network_file

CASES = sorted((Path(__file__).parent / "fuzz_cases").glob("*/*"))
# In a whole file with a right checksum: the number of the seed, the place, the value.
CHANGES: list[tuple[str, int, list[Any], Any]] = [
    ("lock", 0, ["model", "name"], ["xor"]),
    ("lock", 0, ["model", "input", "offset", 0], 3.5e38),
    ("network", 1, ["model", "output", "scale", 0], 1e39),
    ("network", 2, ["float_model", "target_scaler", "factor", 0], 1e-308),
]
SAMPLE = 250


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}-{case.name}")
def test_what_broke_a_reader_once_is_refused(case: Path) -> None:
    assert read(case.parent.name, case.read_bytes()) != "ok"


@pytest.mark.parametrize(("target", "number", "place", "value"), CHANGES)
def test_what_broke_a_reader_behind_a_right_checksum_is_refused(
    target: str, number: int, place: list[Any], value: Any
) -> None:
    content = json.loads(seeds(target)[number])
    del content["checksum"]
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    assert inner[place[-1]] != value
    inner[place[-1]] = value
    if "generator" in content and "target_scaler" in place:
        content["generator"] -= 1  # quantized again, with that factor
    content["checksum"] = network_file._checksum(content)
    assert read(target, json.dumps(content).encode()) in {"LockError", "ModelFileError"}


@pytest.mark.parametrize("target", READERS)
def test_mutated_files_are_read_or_refused_in_one_line(target: str) -> None:
    whole = seeds(target)
    outcomes = {read(target, content) for content in whole}
    assert outcomes == {"ok"}
    rng = random.Random(11)
    for number in range(SAMPLE):
        content = rng.choice(whole)
        for _ in range(rng.choice((1, 1, 2))):
            content = MUTATIONS[target](content, rng)
        outcomes.add(f"{read(target, content)}")
        assert outcomes, number
    # The sample reaches past the first check: some are still read, some are refused.
    assert len(outcomes) >= 2
