"""The figures of docs/ACCURACY.md: `python tests/campaign_accuracy.py [STATE]`.

Five folds of ten seeds of each study, one after the other in this process (so that times compare),
each result appended to STATE (build/accuracy.jsonl): a run that was stopped goes on where it was.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from accuracy_study import (  # noqa: E402
    FOLDS,
    OUTLIER,
    SEEDS,
    STUDIES,
    Record,
    run_fold,
    run_outlier,
    shortfalls,
    summarise,
    table,
)

ORDER = ("iris", "wine", "breast_cancer", "diabetes", "sine", OUTLIER, "digits")


def main(state: Path = ROOT / "build" / "accuracy.jsonl") -> int:
    """Returns 1 if a figure is missed."""
    state.parent.mkdir(parents=True, exist_ok=True)
    lines = state.read_text(encoding="utf-8").splitlines() if state.exists() else []
    records: list[Record] = [json.loads(line) for line in lines]
    done = {(record["study"], record["seed"], record["fold"]) for record in records}
    with state.open("a", encoding="utf-8") as file:
        for name in ORDER:
            for seed in range(SEEDS):
                for fold in range(1 if name == OUTLIER else FOLDS):
                    if (name, seed, fold) in done:
                        continue
                    outlier = name == OUTLIER
                    found = run_outlier(seed) if outlier else run_fold(STUDIES[name], seed, fold)
                    records.append(found)
                    print(json.dumps(found), file=file, flush=True)
            print(f"{name}: done", flush=True)
    summaries = {
        name: summarise([record for record in records if record["study"] == name]) for name in ORDER
    }
    print("\n".join(table(summaries)))
    missed = shortfalls(summaries)
    print("\n".join(missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
