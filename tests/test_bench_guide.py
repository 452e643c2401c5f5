"""`miniml bench guide`: what it measures is exact, and what it promises is the guide's."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from miniml.bench.guide_contestants import GuideContestant, contestants
from miniml.bench.guide_rows import GuideRow, bench_one, compared
from miniml.bench.guide_table import PROMISED, table
from miniml.board_keys import MODES
from miniml.boards import load_boards
from miniml.cli import main
from miniml.cost.benchmark import TARGETS
from miniml.pipeline import prepare

REPOSITORY = Path(__file__).parents[1]
BASE = GuideRow(
    model="m",
    board="uno",
    mode="float32",
    quantization="",
    kernels="portable C",
    column="Original Float32",
    size=1000,
    cycles=8000,
    accuracy=98.0,
    ram=400,
    flash=5000,
    exact=True,
)


def hybrid(**changes: object) -> GuideRow:
    row = dataclasses.replace(
        BASE, mode="avr_hybrid", quantization="per_layer", column="AVR Hybrid", size=260
    )
    return compared(dataclasses.replace(row, **changes), BASE)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "missed"),
    [
        ({"cycles": 5000}, []),
        ({"cycles": 5400}, ["speed"]),
        ({"cycles": 4000, "size": 300}, ["size"]),
        ({"cycles": 4000, "accuracy": 95.9}, ["loss"]),
        ({"cycles": 4000, "ram": 401, "flash": 5001}, ["ram", "flash"]),
    ],
)
def test_promises_are_held_against_float32(changes: dict[str, object], missed: list[str]) -> None:
    row = hybrid(**changes)
    assert [name for name, verdict in row.promises.items() if verdict != "met"] == missed
    line = table([compared(BASE, BASE), row]).splitlines()[3]
    assert ("not met: " + ", ".join(missed) if missed else ": met") in line
    assert "1.5-2x" in line


def test_promises_are_the_guide_s_words() -> None:
    guide = (REPOSITORY / "docs" / "QUANTIZATION_GUIDE.md").read_text(encoding="utf-8")
    lines = guide[guide.index("### **Typical Performance Metrics**") :].splitlines()[2:9]
    cells = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in lines]
    for column, name in enumerate(cells[0][1:], start=1):
        assert PROMISED[name] == tuple(row[column] for row in cells[2:7])


def test_wrong_bytes_and_reasons_are_shown() -> None:
    wrong = hybrid(cycles=4000, exact=False)
    absent = GuideRow("m", "uno", "cmsis_nn", "per_layer", "library", "CMSIS-NN", note="missing")
    text = table([compared(BASE, BASE), wrong, compared(absent, BASE)])
    assert "WRONG BYTES" in text
    assert text.splitlines()[4].endswith("library    missing")


@pytest.mark.parametrize("core", TARGETS)
def test_every_mode_is_compared(core: str) -> None:
    modes = {contestant.mode for contestant in contestants(core)}
    # On an AVR its constants would lie in SRAM.
    assert modes == set(MODES) - ({"cmsis_nn"} if core == "avr" else set())


def test_one_row_measured() -> None:
    prepared = prepare(REPOSITORY / "firmware" / "models" / "xor", train="frozen")
    contestant = GuideContestant("avr_hybrid", "per_layer", "portable C", "AVR Hybrid")
    row = bench_one(prepared, contestant, load_boards(REPOSITORY)["pico"], 3)
    assert row.exact is True
    assert row.note == ""
    # 2-4-1: a byte a weight, scale and bias a row.
    assert row.size == 12 + 8 * 5
    assert row.cycles is not None
    assert row.ram is not None
    assert row.flash is not None
    assert row.cycles > 1000
    assert row.accuracy is not None


def test_no_rows_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "guide", "--rows", "0"]) == 2
    assert "--rows must be at least 1" in capsys.readouterr().err
