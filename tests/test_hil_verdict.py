"""Verdicts and exit codes: nothing tested is never a pass."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hardships import full_disk, without_root_rights

from miniml.boards import Board, load_boards
from miniml.cost import Cost
from miniml.errors import NoBoardError, SilentBoardError
from miniml.hil.proof.comparison import Comparison
from miniml.hil.proof.verdict import BoardResult, judge, record_error, worst_code
from miniml.hil.report import table, write_reports
from miniml.hil.report.content import content
from miniml.hil.tool_process import telling_line

BOARD = load_boards(Path(__file__).parent.parent)["uno"]
# A C kernel that is foretold to take 1,000 cycles.
COMPILED = Cost(0, 0, None, 1000, None, None, np.array([1000]), (), None, None)


def result_of(found: bytes, worst: float | None = 0.0, board: Board = BOARD) -> BoardResult:
    comparison = Comparison("test", rows=1)
    values = np.frombuffer(found, np.int8)
    differing = comparison.compare(0, 1, np.array([1, -2], np.int8), values)
    comparison.output_mismatches = differing
    result = BoardResult("uno", "Uno", simulated=True, worst_cycle_error=worst, cost=COMPILED)
    result.cycles.masked = [1000]
    result.comparisons.append(comparison)
    judge(result, board)
    return result


def test_equal_bytes_pass() -> None:
    assert (result_of(b"\x01\xfe").verdict, result_of(b"\x01\xfe").exit_code) == ("PASS", 0)


def test_one_byte_fails_and_is_named() -> None:
    result = result_of(b"\x01\xff")
    assert (result.verdict, result.mismatches) == ("FAIL", 1)
    assert "layer 1, value 1: expected -2, the board says -1" in result.reasons[0]


def test_a_refused_cmsis_nn_is_called_that() -> None:
    board = dataclasses.replace(BOARD, mode="cmsis_nn")
    assert "the firmware refused its CMSIS-NN" in result_of(b"\x80\x80", board=board).reasons[1]
    assert len(result_of(b"\x01\x81", board=board).reasons) == 1
    assert len(result_of(b"\x80\x80").reasons) == 1


@pytest.mark.parametrize(("worst", "verdict"), [(0.03, "PASS"), (0.031, "FAIL"), (None, "PASS")])
def test_cycles_are_judged(worst: float | None, verdict: str) -> None:
    assert result_of(b"\x01\xfe", worst).verdict == verdict


def test_nothing_tested_is_no_pass() -> None:
    result = BoardResult("uno", "Uno", simulated=True)
    judge(result, BOARD)
    assert (result.verdict, result.reasons) == ("FAIL", ["nothing was tested"])


def error_result(error: Any, *, optional: bool = False) -> BoardResult:
    result = BoardResult("uno", "Uno")
    record_error(result, error, optional=optional)
    return result


def test_exit_codes() -> None:
    passed, failed = result_of(b"\x01\xfe"), result_of(b"\x00\x00")
    silent, absent = error_result(SilentBoardError("x")), error_result(NoBoardError("x"))
    assert [r.exit_code for r in (passed, failed, silent, absent)] == [0, 1, 4, 3]
    codes = [board.exit_code for board in (passed, absent, silent, failed)]
    assert worst_code(codes) == 1
    assert worst_code(codes[:3]) == 4
    assert worst_code(codes[:2]) == 3
    assert worst_code([]) == 3


def test_only_a_missing_board_can_be_optional() -> None:
    assert error_result(NoBoardError("x"), optional=True).verdict == "SKIP"
    assert error_result(SilentBoardError("x"), optional=True).verdict == "ERROR"


def test_reports_tell_the_same(tmp_path: Path) -> None:
    results = [result_of(b"\x01\xff"), error_result(SilentBoardError("no <answer>"))]
    report = content(None, results)
    page = write_reports(tmp_path / "report", report)
    assert json.loads((tmp_path / "report" / "report.json").read_text())["exit_code"] == 1
    suites = ElementTree.parse(tmp_path / "report" / "junit.xml").getroot()
    assert [s.get("failures") for s in suites] == ["2", "0"]
    assert [s.get("errors") for s in suites] == ["0", "1"]
    assert "no &lt;answer&gt;" in page.read_text()
    assert "SilentBoardError: no <answer>" in table(report)


def test_a_tools_telling_line_is_found() -> None:
    frame = [
        "*** [upload] Error 1",
        "=== [FAILED] Took 2.26 seconds ===",
        "Environment    Status    Duration",
        "uno            FAILED    00:00:02.256",
        "==================== 1 failed, 0 succeeded in 00:00:02.256 ====================",
    ]
    avrdude = "avrdude: stk500_getsync(): not in sync: resp=0x00"
    assert telling_line(["avrdude: Version 7.1", avrdude, *frame]) == avrdude
    missing = "*** [nobuild] Source `firmware.hex' not found, needed by target `nobuild'."
    assert telling_line([missing, *frame]) == missing
    assert telling_line(frame) == ""


@pytest.mark.parametrize("hardship", ["rights", "room"])
def test_a_report_that_can_not_be_written(tmp_path: Path, hardship: str) -> None:
    wrap = full_disk(tmp_path)
    if hardship == "rights":
        tmp_path.chmod(0o555)
        wrap = without_root_rights()
    # Told before anything runs, and by one line.
    words = ["run", "--board", "uno", "--simulated", "never"]
    done = subprocess.run(
        [*wrap, sys.executable, "-m", "miniml", *words],
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "PLATFORMIO_WORKSPACE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (4, "", 1), done.stderr
    assert "can't be written (" in done.stderr
    assert str(tmp_path) in done.stderr
