"""Run the boards and write the report: what `miniml run`, pytest and `pio test` share."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from miniml.boards import Board, pick_board
from miniml.errors import BundleError, ReportError, UnfinishedError, UsageError
from miniml.hil.project import miniml_dir
from miniml.hil.report import begin_reports, write_reports
from miniml.hil.report.content import content
from miniml.hil.report.required import unmet
from miniml.hil.report.unfinished import UNDER_WAY, unfinished
from miniml.hil.run import chosen_boards, run_boards
from miniml.hil.run_options import RunOptions
from miniml.hil.source import open_source


def run_and_report(options: RunOptions) -> tuple[dict[str, Any], Path]:
    """Runs the chosen boards; returns report.json's content and the HTML page.

    Once the boards are chosen, the last run's report is replaced by one that says ERROR, so that
    nobody takes it for this run's, however this one ends.

    Raises:
        UsageError: wrong options; the last report stays.
        MiniMLError: nothing could be run; the report says why.
    """
    folder = miniml_dir(options.project) / "report"
    simulated = options.simulated != "never"
    chosen: list[Board] = []
    try:
        with open_source(options) as source:
            for name in options.required:
                pick_board(source.boards, name)
            chosen = chosen_boards(options, source)
            begin = unfinished(chosen, UnfinishedError(UNDER_WAY))
            begin_reports(folder, begin, append=options.append)
            source.load_models(chosen)
            results = run_boards(options, source, chosen)
            report = content(source.model(), results, source.boards)
    except BaseException as error:
        if chosen or isinstance(error, BundleError) or not isinstance(error, UsageError):
            report = unmet(unfinished(chosen, error), options.required, simulated=simulated)
            with contextlib.suppress(ReportError):
                write_reports(folder, report, append=options.append)
        raise
    report = unmet(report, options.required, simulated=simulated)
    return report, write_reports(folder, report, append=options.append)
