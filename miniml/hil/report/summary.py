"""summary.md: the report for a job's page, in the Markdown of GitHub and GitLab."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

from miniml.hil.report.terminal import HEADINGS, TEXT_COLUMNS, cells, remarks

# A page takes a megabyte from all steps of a job; the whole log is a file of its own.
MAX_LOG_LINES = 40


def summary(report: Mapping[str, Any]) -> str:
    """The whole page."""
    model, boards = report["model"], report["boards"]
    name = f": {text(model['name'])}" if model else ""
    lines = [f"## MiniML{name}: {counted(report)}", ""]
    aligned = ("---" if heading in TEXT_COLUMNS else "--:" for heading in HEADINGS)
    lines += [_row(HEADINGS), "|" + "|".join(aligned) + "|"]
    lines += [_row(cells(board)) for board in boards]
    lines += [f"- {text(line)}" if line else "" for line in remarks(report)]
    for board in boards:
        if board["log"]:
            log = "\n".join(board["log"][-MAX_LOG_LINES:])
            lines += [
                "",
                f"<details><summary>Last lines of {text(board['name'])}</summary>",
                "",
                f"<pre>{html.escape(log)}</pre>",
                "",
                "</details>",
            ]
    return "\n".join(lines) + "\n"


def counted(report: Mapping[str, Any]) -> str:
    """Such as "2 of 4 boards pass (all simulated)"; what isn't a pass is counted by name."""
    boards = report["boards"]
    verdicts = [board["verdict"] for board in boards]
    others = [
        f"{verdicts.count(verdict)} {verdict}"
        for verdict in dict.fromkeys(verdicts)
        if verdict != "PASS"
    ]
    simulated = sum(1 for board in boards if board["simulated"])
    if simulated:
        others.append("all simulated" if simulated == len(boards) else f"{simulated} simulated")
    words = f"{verdicts.count('PASS')} of {len(boards)} boards pass"
    return f"{words} ({', '.join(others)})" if others else words


def text(value: str) -> str:
    """A text that Markdown shows as it is: no table cell, tag, link or mention comes out of it."""
    escaped = re.sub(r"([\\`*_{}\[\]()#+\-.!|~])", r"\\\1", value)
    return html.escape(escaped, quote=False).replace("@", "&#64;")


def _row(values: tuple[str, ...]) -> str:
    return "| " + " | ".join(text(value) for value in values) + " |"
