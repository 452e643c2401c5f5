"""A sample of the fuzzing campaign, and everything it ever found (tests/campaign_fuzz_files.py)."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from fuzz_targets import MUTATIONS, READERS, read, seeds

CASES = sorted((Path(__file__).parent / "fuzz_cases").glob("*/*"))
SAMPLE = 250


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}-{case.name}")
def test_what_broke_a_reader_once_is_refused(case: Path) -> None:
    assert read(case.parent.name, case.read_bytes()) != "ok"


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
