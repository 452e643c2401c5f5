"""`pio test` and `pytest test_hil` do what `miniml run` does, and say so in their own way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hil_bench import (
    BOARDS,
    ROOT,
    SAMPLES,
    Bench,
    FirstRun,
    elf_hash,
    first_run,
    make_bench,
    spoil_weights,
)

# The random and the float suites are as short as the test suite.
SHORT = ("-a", "--samples=2")


@pytest.fixture
def first(tmp_path_factory: pytest.TempPathFactory) -> FirstRun:
    return first_run(tmp_path_factory)


@pytest.fixture
def bench(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Bench:
    return make_bench(tmp_path, tmp_path_factory, monkeypatch)


def test_every_environment_passes_with_the_elf_of_pio_run(first: FirstRun) -> None:
    said = (first.folder / "pio-test.txt").read_text(encoding="utf-8")
    assert first.code == 0, said
    assert "4 test cases: 4 succeeded" in said
    assert {board: elf_hash(first.bench, board) for board in BOARDS} == first.elves
    boards = {board["name"]: board for board in first.bench.report()["boards"]}
    assert list(boards) == list(BOARDS)
    for name, board in boards.items():
        assert (board["verdict"], board["samples"], board["mismatches"]) == ("PASS", SAMPLES, 0)
        assert board["simulated"] is True
        assert board["elf_sha256"] == first.elves[name]
        assert [suite["rows"] for suite in board["suites"]] == [SAMPLES] * 3


def test_platformio_reports_name_each_board_and_that_it_is_simulated(first: FirstRun) -> None:
    content = json.loads((first.folder / "pio-test.json").read_text(encoding="utf-8"))
    cases = {suite["env_name"]: suite["test_cases"] for suite in content["test_suites"]}
    assert {name: [case["status"] for case in cases[name]] for name in BOARDS} == {
        board: ["PASSED"] for board in BOARDS
    }
    names = [
        case.get("name")
        for case in ElementTree.parse(first.folder / "pio-test.xml").iter("testcase")
    ]
    assert names == [f"{board} (simulated)" for board in BOARDS]


def run_pio_test(bench: Bench, *words: str) -> tuple[int, str, ElementTree.Element]:
    """A `pio test` of the Uno that neither builds nor flashes: exit code, output, JUnit."""
    junit = bench.workspace / "pio-test.xml"
    without = ("--without-building", "--without-uploading")
    done = bench.pio("test", "-e", "uno", *without, f"--junit-output-path={junit}", *words)
    return done.returncode, done.stdout, ElementTree.parse(junit).getroot()


def test_a_wrong_byte_is_a_failed_test(bench: Bench) -> None:
    layer = spoil_weights(bench)
    code, said, junit = run_pio_test(bench, *SHORT)
    assert code != 0
    assert "[FAILED]" in said
    assert (junit.get("tests"), junit.get("failures"), junit.get("errors")) == ("1", "1", "0")
    failure = junit.find(".//failure")
    assert failure is not None
    assert f"layer {layer}, value " in failure.get("message", "")


def test_no_board_is_an_error_and_optional_it_is_skipped(bench: Bench) -> None:
    code, said, junit = run_pio_test(bench, "-a", "--simulated=never")
    assert code != 0
    assert "[ERRORED]" in said
    assert junit.get("errors") == "1"
    assert "no uno is attached" in ElementTree.tostring(junit, "unicode")
    code, said, junit = run_pio_test(bench, "-a", "--simulated=never", "-a", "--optional")
    assert code == 0
    assert "1 skipped, 0 succeeded" in said
    assert junit.find(".//skipped") is not None
    words = ("-a", "--simulated=never", "-a", "--optional", "-a", "--require=uno,pico")
    code, said, junit = run_pio_test(bench, *words)
    assert code != 0
    assert "required board pico did not run (miniml run: exit code 3)" in said
    assert junit.get("errors") == "1"


def test_nothing_built_is_an_error(bench: Bench) -> None:
    bench.build_file("uno", "firmware.elf").unlink()
    code, said, _ = run_pio_test(bench, *SHORT)
    assert code != 0
    assert "nothing is built for uno" in said


def hil(bench: Bench, *words: str) -> subprocess.CompletedProcess[str]:
    """`pytest test_hil` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "test_hil", "-p", "no:cacheprovider", *words],
        cwd=ROOT,
        env=bench.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def only_board(bench: Bench) -> dict[str, Any]:
    (board,) = bench.report()["boards"]
    assert isinstance(board, dict)
    return board


def test_pytest_runs_the_board(bench: Bench) -> None:
    done = hil(bench, "--hil-board", "uno", "--hil-simulated", "always", "--hil-samples", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    board = only_board(bench)
    assert (board["verdict"], board["samples"], board["simulated"]) == ("PASS", 2, True)
    assert board["elf_sha256"] == elf_hash(bench, "uno")


def test_pytest_fails_in_one_line(bench: Bench) -> None:
    done = hil(bench, "--hil-board", "uno", "--hil-samples", "0")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "UsageError: 0 samples test nothing" in done.stdout
    assert "Traceback" not in done.stdout


def test_pytest_skips_an_optional_board_and_no_other(bench: Bench) -> None:
    done = hil(bench, "--hil-board", "uno", "--hil-simulated", "never")
    assert done.returncode == 1
    assert "uno: ERROR: no uno is attached" in done.stdout
    done = hil(bench, "--hil-board", "uno", "--hil-simulated", "never", "--hil-optional")
    assert (done.returncode, "1 skipped" in done.stdout) == (0, True), done.stdout
    assert (only_board(bench)["verdict"], only_board(bench)["samples"]) == ("SKIP", 0)


def test_miniml_run_says_the_same_by_its_exit_code(bench: Bench) -> None:
    absent = bench.miniml("run", "--board", "uno", "--simulated", "never", "--json")
    assert absent.returncode == 3
    assert json.loads(absent.stdout)["boards"][0]["error"]["name"] == "NoBoardError"
    layer = spoil_weights(bench)
    failed = bench.miniml("run", "--board", "uno", "--no-flash", "--samples", "2")
    assert failed.returncode == 1
    assert f"layer {layer}, value " in failed.stdout
    unknown = bench.miniml("run", "--board", "unno")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "uno" in unknown.stderr
    assert unknown.stderr.count("\n") == 1
