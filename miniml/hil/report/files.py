"""Writes the report's files; a reader never sees half of one."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from miniml.adapters.c_text import render
from miniml.atomic_file import write_atomically
from miniml.errors import ReportError
from miniml.hil.proof.verdict import worst_code
from miniml.hil.report.junit import junit
from miniml.hil.report.summary import counted, summary
from miniml.hil.report.terminal import HEADINGS, cells

JSON_FILE, JUNIT_FILE, HTML_FILE = "report.json", "junit.xml", "report.html"
SUMMARY_FILE = "summary.md"
# Where GitHub's runner wants Markdown for the job's page.
GITHUB_VARIABLE = "GITHUB_STEP_SUMMARY"
LEAST_ROOM = 65536
LOCK_WAIT_S = 30.0


def begin_reports(folder: Path, report: Mapping[str, Any], *, append: bool = False) -> None:
    """Replaces the last run's report by one that tells how things stand, until the run's own comes.

    Raises:
        ReportError: no rights, no room for what is to come; no earlier report is left then.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(LEAST_ROOM))
    except OSError as error:
        remove_reports(folder)
        raise _not_written(folder, error) from error
    _write_files(folder, report, append=append)


def write_reports(folder: Path, report: Mapping[str, Any], *, append: bool = False) -> Path:
    """Writes report.json, junit.xml, summary.md and report.html; returns the HTML page.

    The summary is also appended to the file that GITHUB_STEP_SUMMARY names.

    Args:
        folder: made if it is missing.
        report: as `content` makes it.
        append: keep the boards of the report that is there, replaced where they ran again.

    Raises:
        ReportError: no rights, no room; no file is half-written, and no earlier report is left.
    """
    _write_files(folder, report, append=append)
    if page := os.environ.get(GITHUB_VARIABLE):
        try:
            with Path(page).open("a", encoding="utf-8") as file:
                file.write(summary(report) + "\n")
        except OSError as error:
            raise _not_written(Path(page), error) from error
    return folder / HTML_FILE


def remove_reports(folder: Path) -> None:
    """Takes away what an earlier run left: a server would show it as this run's."""
    for name in (JSON_FILE, JUNIT_FILE, SUMMARY_FILE, HTML_FILE):
        with contextlib.suppress(OSError):
            (folder / name).unlink(missing_ok=True)


def _write_files(folder: Path, report: Mapping[str, Any], *, append: bool) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Two runs may end at once; beside the folder, which servers collect.
        with FileLock(folder.parent / "report.filelock", timeout=LOCK_WAIT_S):
            merged = _merged(folder / JSON_FILE, report) if append else report
            for name, content in _rendered(merged).items():
                write_atomically(folder / name, content)
    except OSError as error:
        remove_reports(folder)
        raise _not_written(folder, error) from error


def _rendered(report: Mapping[str, Any]) -> dict[str, bytes]:
    text = json.dumps(report, indent=1, ensure_ascii=False) + "\n"
    rows = [
        {"cells": cells(board), "verdict": board["verdict"], "board": board}
        for board in report["boards"]
    ]
    html = render(
        "report.html.j2", report=report, headings=HEADINGS, rows=rows, counted=counted(report)
    )
    return {
        JSON_FILE: text.encode(),
        JUNIT_FILE: junit(report),
        SUMMARY_FILE: summary(report).encode(),
        HTML_FILE: html.encode(),
    }


def _not_written(path: Path, error: OSError) -> ReportError:
    why = "another run writes it" if isinstance(error, Timeout) else error.strerror
    return ReportError(f"{path}: can't be written ({why}): check rights and room")


def _merged(file: Path, report: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        before = json.loads(file.read_text(encoding="utf-8"))
        kept = [
            board
            for board in before["boards"]
            if board["name"] not in {new["name"] for new in report["boards"]}
        ]
        boards = [*kept, *report["boards"]]
        codes = [int(board["exit_code"]) for board in boards]
        whole = [one for one in (before, report) if one.get("unmet") or one.get("error")]
        codes += [int(one["exit_code"]) for one in whole]
        lacking = [*before.get("unmet", ()), *report["unmet"]]
    except (OSError, ValueError, KeyError, TypeError):
        return report
    return {
        **report,
        "exit_code": worst_code(codes),
        "boards": boards,
        "error": report["error"] or before.get("error"),
        "unmet": lacking,
    }
