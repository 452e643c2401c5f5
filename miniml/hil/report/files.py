"""Writes the report's files; a reader never sees half of one."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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


def write_reports(folder: Path, report: Mapping[str, Any], *, append: bool = False) -> Path:
    """Writes report.json, junit.xml, summary.md and report.html; returns the HTML page.

    The summary is also appended to the file that GITHUB_STEP_SUMMARY names.

    Args:
        folder: made if it is missing.
        report: as `content` makes it.
        append: keep the boards of the report that is there, replaced where they ran again.

    Raises:
        ReportError: no rights, no room; no file is half-written.
    """
    merged = _merged(folder / JSON_FILE, report) if append else report
    text = json.dumps(merged, indent=1, ensure_ascii=False) + "\n"
    rows = [
        {"cells": cells(board), "verdict": board["verdict"], "board": board}
        for board in merged["boards"]
    ]
    html = render(
        "report.html.j2", report=merged, headings=HEADINGS, rows=rows, counted=counted(merged)
    )
    files = {
        JSON_FILE: text.encode(),
        JUNIT_FILE: junit(merged),
        SUMMARY_FILE: summary(merged).encode(),
        HTML_FILE: html.encode(),
    }
    make_report_folder(folder)
    for name, content in files.items():
        try:
            write_atomically(folder / name, content)
        except OSError as error:
            raise _not_written(folder / name, error) from error
    if page := os.environ.get(GITHUB_VARIABLE):
        try:
            with Path(page).open("a", encoding="utf-8") as file:
                file.write(summary(report) + "\n")
        except OSError as error:
            raise _not_written(Path(page), error) from error
    return folder / HTML_FILE


def make_report_folder(folder: Path) -> None:
    """Makes the folder, or says that nothing could be written there.

    Raises:
        ReportError: names it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(LEAST_ROOM))
    except OSError as error:
        raise _not_written(folder, error) from error


def _not_written(path: Path, error: OSError) -> ReportError:
    return ReportError(f"{path}: can't be written ({error.strerror}): check rights and room")


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
        codes += [int(one["exit_code"]) for one in (before, report) if one.get("unmet")]
        lacking = [*before.get("unmet", ()), *report["unmet"]]
    except (OSError, ValueError, KeyError, TypeError):
        return report
    return {**report, "exit_code": worst_code(codes), "boards": boards, "unmet": lacking}
