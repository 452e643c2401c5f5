"""Cycles: which figure a board is held to, baselines, clones, clocks."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hil_bench import ROOT, Bench, make_bench

from miniml.boards import Board, load_boards
from miniml.cli import main
from miniml.cost import Cost
from miniml.errors import SettingsError
from miniml.hil.proof.baselines import (
    FILE,
    Baseline,
    BaselineKey,
    load_baselines,
    save_baselines,
)
from miniml.hil.proof.cycle_judgement import KNOWN_SEQUENCE, judge_cycles
from miniml.hil.proof.cycle_rules import cycle_rule
from miniml.hil.proof.endurance import Endurance
from miniml.hil.proof.exercise import Cycles
from miniml.kernels.program import Placement

BOARDS = load_boards(ROOT)
UNO, STM32F4, PICO = (BOARDS[name] for name in ("uno", "stm32f4", "pico"))
FORETOLD = 1000


def cost(placement: Placement = "sram", *, exact: bool = True, known: bool = True) -> Cost:
    cycles = np.full(3, FORETOLD) if known else None
    return Cost(
        *(0, 0, None, FORETOLD if known else None, None, None, cycles, (), None, None, exact),
        placement=placement,
    )


@pytest.mark.parametrize(
    ("board", "simulated", "of", "against", "limit"),
    [
        (UNO, True, cost(), "foretold", 0.0),
        (UNO, False, cost("flash"), "foretold", 0.0),
        (UNO, False, cost("flash", exact=False), "foretold", 0.03),
        (UNO, False, cost("flash", known=False), "baseline", 0.01),
        (STM32F4, True, cost("flash"), "foretold", 0.01),
        (STM32F4, True, cost("flash", exact=False), "foretold", 0.03),
        (STM32F4, False, cost("sram"), "baseline", 0.02),
        (STM32F4, False, cost("code"), "baseline", 0.02),
        (STM32F4, False, cost("constants"), "baseline", 0.02),
        (dataclasses.replace(STM32F4, clock_hz=16_000_000), False, cost("sram"), "baseline", 0.02),
        (STM32F4, False, cost("flash"), "baseline", 0.02),
        (dataclasses.replace(STM32F4, clock_hz=16_000_000), False, cost("flash"), "foretold", 0.05),
        (PICO, True, cost("flash"), "foretold", 0.01),
        (PICO, False, cost("sram"), "foretold", 0.02),
        (PICO, False, cost("flash"), "baseline", 0.05),
        (PICO, False, cost("flash", exact=False), "baseline", 0.05),
        (PICO, True, None, "baseline", 0.05),
    ],
)
def test_which_figure_a_board_is_held_to(
    board: Board, simulated: bool, of: Cost | None, against: str, limit: float
) -> None:
    rule = cycle_rule(board, of, simulated=simulated, clock_hz=None)
    assert (rule.against, rule.limit) == (against, limit)


def test_the_clock_that_the_board_tells_decides_about_wait_states() -> None:
    slow = cycle_rule(STM32F4, cost("flash"), simulated=False, clock_hz=16_000_000)
    assert slow.against == "foretold"


KEY = BaselineKey("pico", False, 125_000_000, "gcc 12", "int8", "ab" * 32)
BASELINE = Baseline(KEY, rows=3, median=2000, min=1990, max=2010, cold=9000, unmasked=2100)


def judged(
    masked: list[int],
    baseline: Baseline | None,
    board: Board = PICO,
    known_sequence: int | None = None,
    worst: float | None = None,
    clock_hz: int = 125_000_000,
) -> tuple[str, list[str], list[str]]:
    found = judge_cycles(
        board,
        cost("flash"),
        Cycles(masked=masked),
        worst,
        None,
        baseline,
        simulated=False,
        clock_hz=clock_hz,
        known_sequence=known_sequence,
    )
    return found.judged, found.reasons, found.notes


def test_the_median_is_held_to_the_baseline() -> None:
    stalls = "1,099 cycles (109.9%) above the figure without wait states"
    assert judged([2090, 2099, 9000], BASELINE) == ("baseline", [], [stalls])
    against, reasons, _ = judged([2090, 2101, 9000], BASELINE)
    assert against == "baseline"
    assert reasons[0].startswith(
        "the median of 2,101 cycles is 5.05% from the baseline of 2,000, 5% are allowed"
    )
    assert judged([1899, 1899, 1899], BASELINE)[1]


def test_without_a_baseline_cycles_are_shown_and_the_way_to_one_is_said() -> None:
    against, reasons, notes = judged([2000, 2000, 2000], None)
    assert (against, reasons) == ("", [])
    assert "no baseline of pico at 125,000,000 Hz" in notes[1]
    assert notes[1].endswith("miniml baseline record --board pico")
    against, reasons, notes = judged([9000, 9000], BASELINE)
    assert (against, reasons) == ("", [])
    assert "the baseline is of 3 rows, this run of 2" in notes[1]


@pytest.mark.parametrize(("board", "fails"), [(UNO, True), (PICO, False)])
def test_only_foretold_cycles_must_stay_the_same(board: Board, fails: bool) -> None:
    changed = Endurance(worst_change=0.06, first_change="test row 2: 1,000 cycles, then 1,060")
    found = judge_cycles(
        board,
        cost("flash"),
        Cycles(masked=[1000] * 3),
        0.0,
        changed,
        dataclasses.replace(BASELINE, median=1000),
        simulated=False,
        clock_hz=None,
    )
    said = found.reasons if fails else found.notes
    assert any("changed by up to 6.00% from run to run" in text for text in said)
    assert bool(found.reasons) is fails


def test_a_clone_with_another_core_is_named_and_not_judged() -> None:
    clock = 16_000_000
    right = judged([900], None, UNO, KNOWN_SEQUENCE, worst=0.1, clock_hz=clock)
    assert right[0] == "foretold"
    assert "10.00% from the foretold" in right[1][0]
    clone = judged([900], None, UNO, KNOWN_SEQUENCE // 2, worst=0.1, clock_hz=clock)
    assert clone[:2] == ("", [])
    assert "a known sequence took 8 cycles, not 16 (a clone with an LGT8F328P?)" in clone[2][0]


def test_another_clock_than_boards_ini_says_is_told() -> None:
    notes = judged([2000, 2000, 2000], BASELINE, clock_hz=133_000_000)[2]
    assert notes[0] == "runs at 133,000,000 Hz, boards.ini says 125,000,000"


def test_baselines_are_kept_sorted_in_one_file(tmp_path: Path) -> None:
    other = dataclasses.replace(BASELINE, key=dataclasses.replace(KEY, board="nano"), cold=None)
    assert load_baselines(tmp_path) == {}
    file = save_baselines(tmp_path, [BASELINE, other])
    assert file == tmp_path / FILE
    assert load_baselines(tmp_path) == {other.key: other, KEY: BASELINE}
    before = file.read_bytes()
    save_baselines(tmp_path, [other, BASELINE])
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda c: c.update(schema="x"), "schema"),
        (lambda c: c.update(baselines={}), "no list"),
        (lambda c: c["baselines"][0].pop("rows"), "doesn't have the keys"),
        (lambda c: c["baselines"][0].update(more=1), "doesn't have the keys"),
        (lambda c: c["baselines"][0].update(median=0), "median is no whole number"),
        (lambda c: c["baselines"][0].update(median=True), "median is no whole number"),
        (lambda c: c["baselines"][0].update(median=1.5), "median is no whole number"),
        (lambda c: c["baselines"][0].update(toolchain="a\nb"), "toolchain is malformed"),
        (lambda c: c["baselines"][0].update(simulated="no"), "simulated"),
        (lambda c: c["baselines"].append(3), "baseline 2 doesn't have"),
    ],
)
def test_a_damaged_file_of_baselines_is_refused(
    tmp_path: Path, damage: Callable[[dict[str, Any]], object], words: str
) -> None:
    file = save_baselines(tmp_path, [BASELINE])
    content = json.loads(file.read_text())
    damage(content)
    file.write_text(json.dumps(content))
    with pytest.raises(SettingsError, match=words) as caught:
        load_baselines(tmp_path)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def reported(**changes: Any) -> dict[str, Any]:
    cycles = {"rows": 3, "median": 2000, "min": 1990, "max": 2010, "cold": 9000}
    board: dict[str, Any] = {
        "name": "pico",
        "simulated": False,
        "verdict": "PASS",
        "error": None,
        "mismatches": 0,
        "clock_hz": 125_000_000,
        "toolchain": "gcc 12",
        "mode": "int8",
        "model_id": "ab" * 32,
        "cycles": cycles | {"unmasked_median": 2100, "judged": None},
    }
    return board | changes


def test_the_command_records_shows_and_forgets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PLATFORMIO_WORKSPACE_DIR", raising=False)
    (tmp_path / "platformio.ini").write_text("[platformio]\n")
    report = tmp_path / ".pio" / "miniml" / "report" / "report.json"
    command = ("baseline", "--project-dir", str(tmp_path))
    assert main([*command, "record"]) == 2
    assert "report.json is missing: run the boards first" in capsys.readouterr().err
    report.parent.mkdir(parents=True)
    judged_already = reported(name="uno")
    judged_already["cycles"] = judged_already["cycles"] | {"judged": "foretold"}
    flaky = reported(name="nano", verdict="FLAKY")
    report.write_text(json.dumps({"boards": [reported(), judged_already, flaky]}))
    assert main([*command, "record"]) == 0
    said = capsys.readouterr().out
    assert "pico (real) at 125,000,000 Hz, gcc 12, int8, model abababababababab: median" in said
    assert "not recorded: uno: its cycles are judged by the foretold figure" in said
    assert "not recorded: nano: it computed wrong bytes" in said
    assert load_baselines(tmp_path) == {KEY: BASELINE}
    assert main([*command, "record", "--board", "uno"]) == 2
    assert "judged by the foretold figure" in capsys.readouterr().err
    assert main([*command, "show", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["baselines"][0]["median"] == 2000
    assert main([*command, "forget"]) == 2
    assert main([*command, "forget", "--board", "uno"]) == 2
    assert main([*command, "forget", "--board", "pico"]) == 0
    assert load_baselines(tmp_path) == {}


@pytest.fixture
def bench(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Bench:
    return make_bench(tmp_path, tmp_path_factory, monkeypatch)


def test_a_simulated_uno_has_an_atmega_s_core(bench: Bench) -> None:
    result = bench.start(bench.options())
    assert (result.verdict, result.known_sequence) == ("PASS", KNOWN_SEQUENCE)
    assert (result.cycle_judgement.judged, result.cycle_judgement.limit) == ("foretold", 0.0)
    assert result.median_unmasked is not None
    assert result.median_cycles is not None
    assert result.median_unmasked >= result.median_cycles
