"""The whole digits test split over a line that spoils 1 in 1,000 bytes, both ways.

`python tests/campaign_line_errors.py`, after `pio run -e uno` and `miniml flash --board uno`: every
layer of every row, cycles, random and float inputs, on the simulated Uno. What it found is written
to docs/results/line_errors.json.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from line_errors import RATE, bad_line  # noqa: E402

from miniml.boards import load_boards  # noqa: E402
from miniml.hil.board_run import BoardRun  # noqa: E402
from miniml.hil.project import miniml_dir  # noqa: E402
from miniml.hil.run_options import RunOptions  # noqa: E402
from miniml.hil.source import open_source  # noqa: E402

SEED = 1
RESULT = ROOT / "docs" / "results" / "line_errors.json"


def main() -> int:
    """Returns 1 if the verdict isn't PASS."""
    board = load_boards(ROOT)["uno"]
    with bad_line(board, miniml_dir(ROOT) / "boards" / "uno", SEED) as (port, errors):
        options = RunOptions(ROOT, boards=("uno",), port=port, flash=False, patience=0.25)
        with open_source(options) as source:
            source.load_models([board])
            run = BoardRun(
                board, options, source, threading.Event(), lambda *step: print(*step, flush=True)
            )
            result = run.execute()
    record = {
        "board": "uno (simulated)",
        "rate": RATE,
        "seed": SEED,
        "bytes": errors.bytes,
        "spoilt": errors.errors,
        "rows": {found.suite: found.rows for found in result.comparisons},
        "wrong_bytes": result.mismatches,
        "sent_again": result.retries,
        "verdict": result.verdict,
        "reasons": result.reasons,
    }
    RESULT.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=1))
    return int(result.verdict != "PASS")


if __name__ == "__main__":
    sys.exit(main())
