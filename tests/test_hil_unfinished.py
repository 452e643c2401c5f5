"""A run that fails leaves no earlier run's report behind: what it leaves says ERROR and why."""

from __future__ import annotations

import dataclasses
import errno
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from miniml.boards import Board, load_boards
from miniml.errors import (
    FlashError,
    LockError,
    MiniMLError,
    ReportError,
    SettingsError,
    UnfinishedError,
)
from miniml.hil import harness
from miniml.hil.harness import run_and_report
from miniml.hil.proof.verdict import BoardResult
from miniml.hil.report import files, write_reports
from miniml.hil.report.content import content
from miniml.hil.report.unfinished import unfinished
from miniml.hil.run_options import RunOptions

ROOT = Path(__file__).parent.parent
BOARDS = load_boards(ROOT)
NAMES = ("report.json", "junit.xml", "summary.md", "report.html")


def passed(name: str = "uno") -> dict[str, Any]:
    """The report of a run that was well."""
    return content(None, [BoardResult(name, name, simulated=True, verdict="PASS", exit_code=0)])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The report's folder of a workspace where the last run passed and nothing is built now."""
    monkeypatch.setenv("PLATFORMIO_WORKSPACE_DIR", str(tmp_path))
    folder = tmp_path / "miniml" / "report"
    write_reports(folder, passed())
    return folder


def content_of(folder: Path) -> dict[str, Any]:
    """report.json, after a look at the others: none of them shows a pass."""
    report: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    suites = ElementTree.parse(folder / "junit.xml").getroot()
    assert suites.findall(".//error"), "a server would show this as passed"
    for name in NAMES:
        assert "PASS<" not in (folder / name).read_text(encoding="utf-8")
    return report


class StandInSource:
    """A source whose model can be made to fail."""

    boards = BOARDS

    def __init__(self, load: Callable[[], None] = lambda: None) -> None:
        self._load = load

    def built(self) -> list[Board]:
        return [BOARDS["uno"], BOARDS["pico"]]

    def load_models(self, boards: list[Board]) -> None:
        self._load()

    def model(self) -> None:
        return None


def stand_in(monkeypatch: pytest.MonkeyPatch, load: Callable[[], None] = lambda: None) -> None:
    @contextmanager
    def opened(options: RunOptions) -> Iterator[StandInSource]:
        yield StandInSource(load)

    monkeypatch.setattr(harness, "open_source", opened)


def failing(error: BaseException) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


def test_nothing_is_built(folder: Path) -> None:
    with pytest.raises(FlashError, match="nothing is built"):
        run_and_report(RunOptions(ROOT))
    report = content_of(folder)
    assert (report["exit_code"], report["boards"]) == (4, [])
    assert report["error"]["name"] == "FlashError"
    for name in NAMES:
        assert "nothing is built" in (folder / name).read_text(encoding="utf-8")
    assert '<p class="sum FAIL">' in (folder / "report.html").read_text(encoding="utf-8")


def test_a_damaged_bundle(folder: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "cut.zip"
    bundle.write_bytes(b"PK")
    with pytest.raises(MiniMLError):
        run_and_report(RunOptions(tmp_path, bundle=bundle))
    report = content_of(folder)
    assert (report["exit_code"], report["error"]["name"]) == (2, "BundleError")


@pytest.mark.parametrize("options", [{"boards": ("unno",)}, {"required": ("unno",)}])
def test_a_name_that_was_mistyped_costs_no_report(folder: Path, options: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="unno"):
        run_and_report(RunOptions(ROOT, **options))
    assert json.loads((folder / "report.json").read_text()) == passed()


def test_a_model_that_can_not_be_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, failing(LockError("model.lock.json: stale: train")))
    with pytest.raises(LockError):
        run_and_report(RunOptions(ROOT, required=("pico",)))
    report = content_of(folder)
    assert [(b["name"], b["verdict"], b["error"]["name"]) for b in report["boards"]] == [
        ("uno", "ERROR", "LockError"),
        ("pico", "ERROR", "LockError"),
    ]
    assert report["unmet"] == ["required board pico did not pass: ERROR"]
    assert report["exit_code"] == 2


@pytest.mark.parametrize(
    ("error", "name"),
    [(KeyboardInterrupt(), "UnfinishedError"), (RuntimeError("a bug"), "RuntimeError")],
)
def test_a_run_that_breaks_off(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, name: str
) -> None:
    seen: list[dict[str, Any]] = []

    def run(*_: object) -> None:
        seen.append(content_of(folder))
        raise error

    stand_in(monkeypatch)
    monkeypatch.setattr(harness, "run_boards", run)
    with pytest.raises(type(error)):
        run_and_report(RunOptions(ROOT))
    # While it runs, and after a kill.
    assert [board["error"]["name"] for board in seen[0]["boards"]] == ["UnfinishedError"] * 2
    assert "is under way, or was killed" in seen[0]["boards"][0]["reasons"][0]
    assert [board["error"]["name"] for board in content_of(folder)["boards"]] == [name] * 2


def test_adding_to_a_report_keeps_the_other_boards(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_reports(folder, passed("nanoatmega328"))
    write_reports(folder, passed("uno"), append=True)
    stand_in(monkeypatch)
    monkeypatch.setattr(harness, "run_boards", failing(RuntimeError("a bug")))
    with pytest.raises(RuntimeError):
        run_and_report(RunOptions(ROOT, append=True))
    report = json.loads((folder / "report.json").read_text())
    verdicts = {board["name"]: board["verdict"] for board in report["boards"]}
    assert verdicts == {"nanoatmega328": "PASS", "uno": "ERROR", "pico": "ERROR"}
    assert report["exit_code"] == 4
    write_reports(folder, passed("uno"), append=True)
    write_reports(folder, passed("pico"), append=True)
    assert json.loads((folder / "report.json").read_text())["exit_code"] == 0


def test_a_quarantine_does_not_hide_a_run_that_failed() -> None:
    ill = dataclasses.replace(
        BOARDS["uno"], quarantine="loose wire", quarantine_until=date(2999, 1, 1)
    )
    report = unfinished([ill], UnfinishedError("killed"))
    assert (report["boards"][0]["verdict"], report["exit_code"]) == ("ERROR", 4)


def test_a_disk_that_fills_up_leaves_no_report_at_all(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(path: Path, content: bytes) -> None:
        if path.name == "junit.xml":
            raise OSError(errno.ENOSPC, "No space left on device")
        path.write_bytes(content)

    monkeypatch.setattr(files, "write_atomically", write)
    with pytest.raises(ReportError, match="No space left"):
        write_reports(folder, passed("pico"))
    assert list(folder.iterdir()) == []


def test_runs_that_end_at_the_same_time_lose_no_board(folder: Path) -> None:
    names = [f"board{number}" for number in range(12)]
    with ThreadPoolExecutor(len(names)) as pool:
        for written in [
            pool.submit(write_reports, folder, passed(name), append=True) for name in names
        ]:
            written.result()
    report = json.loads((folder / "report.json").read_text())
    assert {board["name"] for board in report["boards"]} == {"uno", *names}
