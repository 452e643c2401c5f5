"""A sample of campaign_accuracy.py: what int8 costs, and how the trainer compares, on a few folds.

The bounds of docs/ACCURACY.md are for means over 50 folds; one fold's rows are few, so here
they are wider.
"""

from __future__ import annotations

import numpy as np
import pytest
from accuracy_study import (
    OUTLIER,
    STUDIES,
    folds,
    load_rows,
    run_fold,
    run_outlier,
    shortfalls,
    summarise,
    table,
)


@pytest.mark.parametrize("name", list(STUDIES))
def test_every_row_is_tested_once_and_no_split_overlaps(name: str) -> None:
    dataset = load_rows(STUDIES[name])
    splits = list(folds(dataset, 3))
    tested = np.sort(np.concatenate([split.test for split in splits]))
    assert np.array_equal(tested, np.arange(dataset.rows))
    for split in splits:
        parts = [split.train, split.calibration, split.test]
        assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(dataset.rows))


@pytest.mark.parametrize(("name", "most"), [("iris", 1.5), ("wine", 1.5), ("diabetes", 2.0)])
def test_int8_and_the_trainer_on_a_few_folds(name: str, most: float) -> None:
    found = summarise([run_fold(STUDIES[name], 0, fold) for fold in range(4)])
    assert found["runs"] == 4
    assert found["advised_loss"] <= most
    if STUDIES[name].task == "classification":
        assert found["float"] > 90
        assert found["below_theirs"] <= 3.0


def test_digits_with_an_outlier_row() -> None:
    found = run_outlier(1)
    assert found["float"] - found["per_layer"] > 1.0
    assert found["float"] - found["per_channel"] < (found["float"] - found["per_layer"]) / 2
    assert found["float"] - found["advised"] <= 1.0


def test_a_missed_bound_is_named() -> None:
    good = {
        "study": "iris",
        "seed": 0,
        "fold": 0,
        "our_seconds": 1.0,
        "per_channel": 95.0,
        "per_layer": 95.0,
        "float": 95.0,
        "advised": 95.0,
        "theirs": 95.0,
        "their_seconds": 2.0,
    }
    assert shortfalls({"iris": summarise([good])}) == []
    bad = good | {"advised": 94.0, "theirs": 96.0, "our_seconds": 3.0}
    missed = shortfalls({"iris": summarise([bad])})
    for word in ("below_theirs is 1.000", "time_ratio is 1.500", "advised_loss is 1.000"):
        assert any(word in line for line in missed)
    assert any("| iris | 1 | 95 |" in line for line in table({"iris": summarise([good])}))
    ruined = {"study": OUTLIER, "float": 97.0, "advised": 97.0, "qat": 93.0}
    ruined |= {"per_layer": 92.0, "per_channel": 97.0}
    assert shortfalls({OUTLIER: summarise([ruined])}) == [
        f"{OUTLIER}: qat_loss is 4.000, more than 2.500"
    ]
