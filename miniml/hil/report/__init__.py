"""The report of a run: a terminal table, report.json, JUnit XML, Markdown and one HTML page."""

from miniml.hil.report.files import begin_reports, write_reports
from miniml.hil.report.terminal import table

__all__ = ["begin_reports", "table", "write_reports"]
