"""The pytest plugin in somebody else's repository, where MiniML is an installed package."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hil_bench import ROOT, Bench, first_run, make_bench

from miniml.cli import build_parser
from miniml.hil.harness import run_and_report
from miniml.hil.pytest_plugin import pytest_addoption

pytest_plugins = ["pytester"]
# labgrid's plugin can be started once in a process only, and starts slowly.
QUICK = ("-p", "no:cacheprovider", "-p", "no:labgrid")
# Else every pytest within this process would import it anew.
LOADED = run_and_report
TESTS = """
import importlib.util
import pytest

def test_accuracy(hil_board):
    assert hil_board["accuracy"] > 0.5
    assert hil_board["verdict"] == "PASS"

def test_whole(hil_report):
    assert hil_report["exit_code"] == 0

def test_plain():
    assert importlib.util.find_spec("pio_extra") is None
"""


@pytest.fixture
def bench(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Bench:
    return make_bench(tmp_path, tmp_path_factory, monkeypatch)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plugin") / "uno.zip"
    done = first_run(tmp_path_factory).bench.miniml("bundle", "--board", "uno", "-o", str(path))
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A folder with tests and nothing else."""
    folder = tmp_path / "repository"
    (folder / "tests").mkdir(parents=True)
    (folder / "tests" / "test_mine.py").write_text(TESTS)
    return folder


def run(folder: Path, *words: str) -> tuple[int, str]:
    """pytest in a process of its own; exit code and output."""
    environment = dict(os.environ)
    # As installed: neither the checkout nor the calling pytest's own settings.
    for name in ("PYTHONPATH", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PLATFORMIO_WORKSPACE_DIR"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--strict-markers", *QUICK, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_bundle_runs_in_an_empty_repository_once_for_all_workers(
    bundle: Path, repository: Path
) -> None:
    junit = repository / "pytest.xml"
    code, said = run(
        repository,
        *("-n", "2", "-v", "--hil-bundle", str(bundle), "--hil-samples", "2"),
        *("--hil-require=uno", f"--junitxml={junit}"),
    )
    assert code == 0, said
    assert "3 passed" in said
    assert "test_accuracy[uno]" in said
    assert "uno (simulated): PASS" in said
    assert sorted(path.name for path in repository.iterdir()) == [".pio", "pytest.xml", "tests"]
    cases = ElementTree.parse(junit).getroot()
    assert len(cases.findall(".//testcase")) == 3
    (told,) = cases.findall(".//property")
    assert (told.get("name"), told.get("value")) == ("board", "uno (simulated)")
    # One log, begun once: a second run of the board would have replaced it.
    log = (repository / ".pio/miniml/log/uno.log").read_text()
    assert log.count("avrdude -p atmega328p") == 1


def test_a_project_needs_platformio_ini_boards_ini_and_a_build(
    bench: Bench, repository: Path
) -> None:
    (repository / "platformio.ini").write_text(f"[platformio]\nworkspace_dir = {bench.workspace}\n")
    shutil.copy(ROOT / "boards.ini", repository)
    (repository / "firmware").symlink_to(ROOT / "firmware")
    code, said = run(
        repository, "--hil-board=uno", "--hil-samples=2", "--hil-no-flash", "--hil-require=uno,pico"
    )
    assert code == 1, said
    assert "3 passed" not in said  # exit_code of the report is that of the missing board
    assert "2 passed, 1 failed" in said or "1 failed, 2 passed" in said
    assert said.count("hil-require: required board pico did not run\n") == 1
    assert "required board uno" not in said
    report = json.loads((bench.workspace / "miniml/report/report.json").read_text())
    assert (report["exit_code"], report["unmet"]) == (3, ["required board pico did not run"])
    suites = ElementTree.parse(bench.workspace / "miniml/report/junit.xml").getroot()
    assert [suite.get("name") for suite in suites] == ["uno (simulated)", "required boards"]


def inside(pytester: pytest.Pytester, *words: str) -> tuple[int, str]:
    """pytest within this process, which is quicker; exit code and output."""
    pytester.makepyfile(test_mine=TESTS)
    done = pytester.runpytest_inprocess(*QUICK, "--strict-markers", *words)
    return int(done.ret), done.stdout.str() + done.stderr.str()


def test_a_required_board_that_no_test_asks_for_fails_the_session(
    bundle: Path, pytester: pytest.Pytester
) -> None:
    required = ("--hil-bundle", str(bundle), "--hil-require=uno")
    code, said = inside(pytester, *required, "-k", "accuracy", "-m", "not hil")
    assert code == 1
    assert "hil-require: required board uno did not run: no test asked for it" in said
    assert "failed" not in said


def test_no_board_is_no_pass(bundle: Path, pytester: pytest.Pytester) -> None:
    never = ("--hil-bundle", str(bundle), "--hil-simulated=never", "-k", "accuracy")
    code, said = inside(pytester, *never)
    assert code == 1
    assert "uno (no board): ERROR: no uno is attached" in said
    code, said = inside(pytester, *never, "--hil-optional")
    assert (code, "1 skipped" in said) == (0, True)
    code, said = inside(pytester, *never, "--hil-optional", "--hil-require=uno")
    assert (code, "1 skipped" in said) == (1, True)
    assert "hil-require: required board uno did not run: no uno is attached" in said


def test_a_quarantined_board_is_skipped_and_never_enough(
    bundle: Path, pytester: pytest.Pytester
) -> None:
    (pytester.path / "boards.local.ini").write_text(
        "[uno]\nquarantine = loose wire\nquarantine_until = 9999-12-31\n"
    )
    never = ("--hil-bundle", str(bundle), "--hil-simulated=never", "-k", "accuracy", "-rs")
    code, said = inside(pytester, *never)
    assert (code, "1 skipped" in said) == (0, True), said
    assert "QUARANTINED" in said
    code, said = inside(pytester, *never, "--hil-require=uno")
    assert code == 1
    assert "required board uno did not run: no uno is attached" in said


def test_a_wrong_bundle_or_name_is_one_line(bundle: Path, pytester: pytest.Pytester) -> None:
    (pytester.path / "bad.zip").write_bytes(b"PK")
    code, said = inside(pytester, "--hil-bundle", "bad.zip", "-k", "accuracy")
    assert code == 1
    assert "BundleError: bad.zip is no bundle that can be run" in said
    assert "Traceback" not in said
    named = ("--hil-bundle", str(bundle), "--hil-require=unno", "-k", "whole")
    code, said = inside(pytester, *named)
    assert code == 1
    assert "unknown board 'unno'" in said


def test_every_option_of_miniml_run_has_its_twin() -> None:
    parser = pytest.Parser(_ispytest=True)
    pytest_addoption(parser)
    theirs = {name for option in parser.getgroup("hil").options for name in option.names()}
    choices: list[Any] = [action.choices for action in build_parser()._actions]
    (commands,) = [found for found in choices if isinstance(found, dict)]
    ours = set(commands["run"]._option_string_actions) - {"-h", "--help", "--json"}
    assert theirs == {name.replace("--", "--hil-", 1) for name in ours}
