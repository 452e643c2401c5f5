"""Run the boards and write the report: what `miniml run`, pytest and `pio test` share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from miniml.boards import pick_board
from miniml.hil.project import miniml_dir
from miniml.hil.report import make_report_folder, write_reports
from miniml.hil.report.content import content
from miniml.hil.report.required import unmet
from miniml.hil.run import chosen_boards, run_boards
from miniml.hil.run_options import RunOptions
from miniml.hil.source import open_source


def run_and_report(options: RunOptions) -> tuple[dict[str, Any], Path]:
    """Runs the chosen boards; returns report.json's content and the HTML page.

    Raises:
        MiniMLError: nothing could be run, and no report was written.
    """
    folder = miniml_dir(options.project) / "report"
    with open_source(options) as source:
        for name in options.required:
            pick_board(source.boards, name)
        chosen = chosen_boards(options, source)
        # Before minutes of running, not after.
        make_report_folder(folder)
        source.load_models(chosen)
        results = run_boards(options, source, chosen)
        report = content(source.model(), results, source.boards)
    report = unmet(report, options.required, simulated=options.simulated != "never")
    page = write_reports(folder, report, append=options.append)
    return report, page
