"""A sample of the soak campaign: some hundreds of inferences on each simulated chip."""

from __future__ import annotations

from pathlib import Path

import pytest
from hil_bench import first_run
from soak_bench import REACH, ROWS, Tally, build_soak, soaking

# The Nano's chip is the Uno's.
BOARDS = ("uno", "stm32f4", "pico")


def test_counters_near_their_wrap_change_neither_bytes_nor_cycles(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = first_run(tmp_path_factory).bench.environment()
    environment["PLATFORMIO_WORKSPACE_DIR"] = str(tmp_path)
    for name in ("PLATFORMIO_WORKSPACE_DIR", "PLATFORMIO_CORE_DIR"):
        monkeypatch.setenv(name, environment[name])
    build_soak(tmp_path, BOARDS, environment)
    for name in BOARDS:
        tally = Tally()
        with soaking(name, tmp_path) as soak:
            for number in range(2):
                soak.request(number, 10, tally)
            core = soak.board.core
        assert tally.faults == []
        assert tally.inferences == 2 * 10 * ROWS
        assert tally.wraps > 0
        # Only SysTick is asked for more than it counts.
        assert tally.not_counted == (1 if REACH[core] == 2**24 else 0)
        assert tally.lowest > 0
