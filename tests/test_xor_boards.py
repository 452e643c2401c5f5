"""A sample of the XOR campaign: the guide's network on the three simulated cores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xor_boards


@pytest.mark.parametrize(("core", "mode"), xor_boards.RUNS)
def test_xor_is_right_on_every_core(core: str, mode: str, tmp_path: Path) -> None:
    networks = [xor_boards.network(2, seed) for seed in (0, 7)]
    networks.append(xor_boards.network(1, 3))
    found = xor_boards.run_core(core, mode, networks, tmp_path)
    assert ((found >= 0.5) == xor_boards.WANTED).all()
    for one, values in zip(networks, found, strict=True):
        assert np.array_equal(values, xor_boards.answers(one, mode))
