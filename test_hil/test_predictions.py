"""Every chosen board computes what Python computes: `pytest test_hil`."""

from __future__ import annotations

from typing import Any

import pytest


def test_every_board_passes(hil_report: dict[str, Any]) -> None:
    boards = hil_report["boards"]
    assert boards, "nothing was tested: build with `pio run` first"
    skipped = [board for board in boards if board["verdict"] in ("SKIP", "QUARANTINED")]
    wrong = [
        f"{board['name']}: {board['verdict']}: {'; '.join(board['reasons'])}"
        for board in boards
        if board["verdict"] not in ("PASS", "SKIP", "QUARANTINED")
    ]
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)
    if len(skipped) == len(boards):
        # Only --hil-optional lets a missing board come here; nothing tested is never a pass.
        pytest.skip("; ".join(board["reasons"][-1] for board in skipped))
