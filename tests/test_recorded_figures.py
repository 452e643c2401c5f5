"""Recorded figures are held: what a change makes worse by over 1 % fails here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from golden_costs import BOARDS, FIGURES, FILE, MODELS, ROOT, costs

from miniml.bench.contestants import CONTESTANTS
from miniml.bench.kernel_rows import BOARDS as CORES
from miniml.bench.kernel_rows import bench_one, random_nets
from miniml.cost.compiler import run_tool
from miniml.errors import BudgetError

WORSE = 1.01
# `miniml bench kernels --out docs/results/kernels.json` records them.
GENERATED = ("miniml", "miniml smallest")
GENERATED_AVR = ("miniml loop", "miniml loop and tables")
GENERATED_20_KB = ("miniml in 20 KB",)
KERNELS = ROOT / "docs" / "results" / "kernels.json"


def test_standard_models_take_what_was_recorded() -> None:
    recorded, found = json.loads(FILE.read_text(encoding="utf-8")), costs()
    worse = [
        f"{model} on {board}: {figure} was {recorded[model][board][figure]}, is {now}"
        for model in MODELS
        for board in BOARDS
        for figure in FIGURES
        if (now := found[model][board][figure]) > WORSE * recorded[model][board][figure]
    ]
    assert worse == []


@pytest.mark.parametrize("net", ["N3", "N5s"])
@pytest.mark.parametrize("board", list(CORES))
def test_kernels_are_as_fast_as_recorded(net: str, board: str, tmp_path: Path) -> None:
    rows = [
        row
        for row in json.loads(KERNELS.read_text(encoding="utf-8"))
        if (row["net"], row["board"], row["memory"]) == (net, board, "ideal")
        and row["kernel"] in (*GENERATED, *GENERATED_AVR, *GENERATED_20_KB)
    ]
    by_name = {contestant.name: contestant for contestant in CONTESTANTS}
    (made,) = random_nets(net, [1])
    for row in rows:
        program = by_name[row["kernel"]].make(made.model, CORES[board], tmp_path).program
        assert program is not None
        (recorded,) = [seed for seed in row["seeds"] if seed["seed"] == 1]
        assert program.worst_cycles <= WORSE * recorded["worst_cycles"], row["kernel"]
        assert program.cycles(made.inputs).sum(axis=1).mean() <= WORSE * recorded["cycles"]
    expected = {*GENERATED, *(GENERATED_AVR if board == "uno" else ())}
    expected |= set(GENERATED_20_KB if (board, net) == ("uno", "N5s") else ())
    assert {row["kernel"] for row in rows} == expected


def test_a_peer_that_does_not_fit_says_so_in_one_line(tmp_path: Path) -> None:
    (made,) = random_nets("N5", [1])
    (bakenn,) = [one for one in CONTESTANTS if one.name == "bakenn"]
    row = bench_one("N5", [made], "uno", bakenn)
    assert row.note == "it doesn't fit: 7,360 bytes of SRAM, 2,048 are there"
    (tmp_path / "a.c").write_text("const char a[70000];")
    with pytest.raises(
        BudgetError, match=r"^it doesn't fit: an array of it is larger than .* 32,767"
    ):
        run_tool(["avr-gcc", "-c", str(tmp_path / "a.c"), "-o", str(tmp_path / "a.o")])


@pytest.mark.parametrize("name", ["bakenn", "CMSIS-NN", "emlearn float"])
def test_a_peer_runs_in_the_cycles_recorded(name: str) -> None:
    before = np.geterr()
    (peer,) = [one for one in CONTESTANTS if one.name == name]
    row = bench_one("N3", random_nets("N3", [1]), "stm32f4", peer)
    (recorded,) = [
        row
        for row in json.loads(KERNELS.read_text(encoding="utf-8"))
        if (row["net"], row["board"], row["kernel"]) == ("N3", "stm32f4", name)
    ]
    assert row.note == ""
    assert np.geterr() == before
    # emlearn's floats give a class, no bytes.
    assert row.exact == (name != "emlearn float") == recorded["exact"]
    if row.compiler == recorded["compiler"]:
        assert row.seeds[0].cycles == recorded["seeds"][0]["cycles"]
