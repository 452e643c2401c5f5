"""Run the boards and write the report: what `miniml run`, pytest and `pio test` share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from miniml.hil.project import miniml_dir
from miniml.hil.report import make_report_folder, write_reports
from miniml.hil.report.content import content
from miniml.hil.run import chosen_boards, load_models, run_boards
from miniml.hil.run_options import RunOptions


def run_and_report(
    options: RunOptions, *, optional: bool = False, append: bool = False
) -> tuple[dict[str, Any], Path]:
    """Runs the chosen boards; returns report.json's content and the HTML page.

    Raises:
        MiniMLError: nothing could be run, and no report was written.
    """
    _, chosen = chosen_boards(options)
    folder = miniml_dir(options.project) / "report"
    # Before minutes of running, not after.
    make_report_folder(folder)
    results = run_boards(options, optional=optional)
    models = list(load_models(options.project, chosen).values())
    report = content(models[0].model if models else None, results)
    page = write_reports(folder, report, append=append)
    return report, page
