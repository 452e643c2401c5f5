"""The report of a run: a terminal table, report.json, JUnit XML, Markdown and one HTML page."""

from miniml.hil.report.files import make_report_folder, write_reports
from miniml.hil.report.terminal import table

__all__ = ["make_report_folder", "table", "write_reports"]
