"""The reports' files: what CI servers read, hostile text in them, and boards under quarantine."""

from __future__ import annotations

import dataclasses
import json
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from miniml.boards import Board, load_boards
from miniml.errors import NoBoardError, SettingsError, SilentBoardError
from miniml.hil.proof.verdict import BoardResult, record_error
from miniml.hil.report import table, write_reports
from miniml.hil.report.content import content
from miniml.hil.report.junit import junit
from miniml.hil.report.required import unmet
from miniml.hil.report.standing import standing
from miniml.hil.report.summary import text
from miniml.hil.report.terminal import HEADINGS
from miniml.hil.run_arguments import names

BOARDS = load_boards(Path(__file__).parent.parent)
DAY = date(2026, 3, 1)
HOSTILE = '\x1b[2J\x00 </pre>]]><script>alert(1)</script> | `x` [a](b) @all \u202e \ud800 &amp; "q"'


def result(verdict: Any, name: str = "uno", simulated: bool | None = True) -> BoardResult:
    """A result whose verdict is given, as `judge` or `record_error` would leave it."""
    made = BoardResult(name, name.title(), simulated=simulated)
    if verdict in ("ERROR", "SKIP"):
        error = NoBoardError(HOSTILE) if verdict == "SKIP" else SilentBoardError(HOSTILE)
        record_error(made, error, optional=verdict == "SKIP")
        return made
    made.verdict, made.exit_code = verdict, 0 if verdict == "PASS" else 1
    made.reasons = [] if verdict == "PASS" else [f"it is {verdict}"]
    return made


def quarantined(until: str, name: str = "uno") -> dict[str, Board]:
    ill = dataclasses.replace(
        BOARDS[name], quarantine="loose wire", quarantine_until=date.fromisoformat(until)
    )
    return {**BOARDS, name: ill}


@pytest.mark.parametrize("verdict", ["PASS", "FAIL", "FLAKY", "ERROR"])
def test_a_quarantined_board_neither_fails_nor_passes(verdict: str) -> None:
    results = [result(verdict), result("PASS", "pico")]
    report = content(None, results, quarantined("2026-03-01"), DAY)
    board = report["boards"][0]
    assert (report["exit_code"], board["exit_code"]) == (0, 0)
    assert (board["verdict"], board["true_verdict"]) == ("QUARANTINED", verdict)
    assert board["quarantine"] == {"reason": "loose wire", "until": "2026-03-01", "ended": False}
    assert f"quarantined until 2026-03-01 (loose wire), in truth {verdict}" in table(report)
    suite = ElementTree.fromstring(junit(report))[0]
    assert (suite.get("skipped"), suite.get("failures"), suite.get("errors")) == ("1", "0", "0")


@pytest.mark.parametrize(
    ("verdict", "reported", "code"),
    [("PASS", "FAIL", 1), ("SKIP", "FAIL", 1), ("FLAKY", "FLAKY", 1), ("ERROR", "ERROR", 4)],
)
def test_a_quarantine_ends(verdict: str, reported: str, code: int) -> None:
    report = content(None, [result(verdict)], quarantined("2026-02-28"), DAY)
    board = report["boards"][0]
    assert (board["verdict"], board["true_verdict"]) == (reported, verdict)
    assert (report["exit_code"], board["quarantine"]["ended"]) == (code, True)
    assert "its quarantine ended on 2026-02-28 (loose wire)" in board["reasons"][-1]


def test_its_last_day_belongs_to_a_quarantine() -> None:
    boards = quarantined("2026-03-01")
    assert standing(result("FAIL"), boards["uno"], DAY).exit_code == 0
    assert standing(result("FAIL"), boards["uno"], date(2026, 3, 2)).exit_code == 1
    assert standing(result("FAIL"), BOARDS["uno"], DAY).verdict == "FAIL"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("quarantine = wire", "needs both its reason and its last day"),
        ("quarantine_until = 2026-12-31", "needs both its reason and its last day"),
        ("quarantine = wire\nquarantine_until = 31.12.2026", "must be a date such as 2026-12-31"),
        ("quarantine = wire\nquarantine_until = 2026-02-30", "[uno] quarantine_until"),
    ],
)
def test_a_quarantine_without_an_end_is_refused(tmp_path: Path, keys: str, message: str) -> None:
    (tmp_path / "boards.ini").write_text((Path(__file__).parent.parent / "boards.ini").read_text())
    (tmp_path / "boards.local.ini").write_text(f"[uno]\n{keys}\n")
    with pytest.raises(SettingsError) as caught:
        load_boards(tmp_path)
    assert message in str(caught.value)


# What Jenkins' junit-10.xsd and the schema of Ant's JUnit reports have in common.
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"testcase"},
    "testcase": {"failure", "error", "skipped"},
    "failure": set(),
    "error": set(),
    "skipped": set(),
}
ATTRIBUTES = {
    "testsuites": {"name"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped"},
    "testcase": {"name", "classname"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "skipped": {"message"},
}


def test_junit_has_the_form_that_servers_read() -> None:
    verdicts = ("PASS", "FAIL", "FLAKY", "ERROR", "SKIP")
    results = [result(verdict, f"b{number}") for number, verdict in enumerate(verdicts)]
    results[0].simulated, results[4].simulated = False, None
    root = ElementTree.fromstring(junit(content(None, results)))
    for element in root.iter():
        assert {child.tag for child in element} <= CHILDREN[element.tag]
        assert set(element.keys()) == ATTRIBUTES[element.tag]
    for suite in root:
        cases = suite.findall("testcase")
        assert suite.get("tests") == str(len(cases))
        for tag, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            assert suite.get(name) == str(sum(case.find(tag) is not None for case in cases))
        assert all(len(case) <= 1 for case in cases)
    assert [suite.get("name") for suite in root] == [
        *("b0 (real)", "b1 (simulated)", "b2 (simulated)", "b3 (simulated)", "b4 (no board)")
    ]
    assert [f.get("type") for f in root.iter("failure")] == ["fail", "flaky"]


class Tags(HTMLParser):
    """The names of all elements of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.names.add(tag)


def test_text_of_a_device_breaks_out_of_no_report(tmp_path: Path) -> None:
    hostile = result("ERROR")
    hostile.notes, hostile.log_tail, hostile.title = [HOSTILE], ["", HOSTILE], HOSTILE
    report = content(None, [hostile])
    write_reports(tmp_path, report)
    assert "\x1b" not in table(report)
    for name in ("report.json", "junit.xml", "summary.md", "report.html"):
        raw = (tmp_path / name).read_bytes().decode("utf-8")
        assert not {c for c in raw if not c.isprintable()} - {"\n"}, name
    assert json.loads((tmp_path / "report.json").read_bytes())["boards"][0]["notes"]
    (error,) = ElementTree.parse(tmp_path / "junit.xml").getroot().iter("error")
    assert "<script>" in str(error.get("message"))
    assert "script" not in Tags((tmp_path / "report.html").read_text()).names
    page = (tmp_path / "summary.md").read_text()
    assert Tags(page).names == {"details", "summary", "pre"}
    (row,) = [line for line in page.splitlines() if line.startswith("| uno |")]
    assert row.count(" | ") == len(HEADINGS) - 1
    assert "@all" not in page.replace(page[page.index("<pre>") : page.index("</pre>")], "")


def test_an_error_is_one_line_that_drives_no_terminal() -> None:
    said = str(SilentBoardError(f"avrdude said\n{HOSTILE}"))
    assert said.isprintable()
    assert said.startswith(r"avrdude said \x1b[2J\x00 </pre>")


def test_a_board_that_is_named_twice_runs_once() -> None:
    assert names(["uno,pico", "uno", "pico,,nano"]) == ("uno", "pico", "nano")


def test_markdown_is_escaped() -> None:
    assert text("a|b") == "a\\|b"
    assert text("<b> [x](y) `c` *d* _e_") == ("&lt;b&gt; \\[x\\]\\(y\\) \\`c\\` \\*d\\* \\_e\\_")


def test_the_summary_is_appended_to_githubs_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    report = content(None, [result("PASS"), result("FLAKY", "pico", simulated=False)])
    write_reports(tmp_path / "report", report)
    own = (tmp_path / "report" / "summary.md").read_text()
    assert own.startswith("## MiniML: 1 of 2 boards pass (1 FLAKY, 1 simulated)\n")
    assert page.read_text() == f"before\n{own}\n"
    write_reports(tmp_path / "report", report)
    assert page.read_text().count("## MiniML") == 2


def test_a_report_that_is_added_to_has_the_worst_exit_code(tmp_path: Path) -> None:
    write_reports(tmp_path, content(None, [result("FAIL"), result("ERROR", "pico")]))
    write_reports(tmp_path, content(None, [result("PASS")]), append=True)
    merged = json.loads((tmp_path / "report.json").read_text())
    assert (merged["exit_code"], len(merged["boards"])) == (4, 2)


@pytest.mark.parametrize(
    ("board", "enough", "code", "line"),
    [
        (result("PASS"), True, 0, None),
        (result("PASS", simulated=False), False, 0, None),
        (result("PASS"), False, 1, "required board uno is simulated, and --simulated is never"),
        (result("PASS", simulated=None), False, 1, "nothing tells that required board uno is real"),
        (result("FLAKY"), True, 1, "required board uno did not pass: FLAKY"),
        (result("ERROR"), True, 4, "required board uno did not pass: ERROR"),
        (result("SKIP", simulated=None), True, 3, "required board uno did not run: "),
        (result("PASS", "pico"), True, 3, "required board uno did not run"),
    ],
)
def test_a_required_board_must_have_run_and_passed(
    board: BoardResult, enough: bool, code: int, line: str | None
) -> None:
    report = unmet(content(None, [board]), ["uno"], simulated=enough)
    assert report["exit_code"] == code
    assert [text[: len(line or "")] for text in report["unmet"]] == ([line] if line else [])
    whole = table(report)
    assert all(text in whole for text in report["unmet"])
    suites = ElementTree.fromstring(junit(report))
    assert suites[-1].get("name") == ("required boards" if line else suites[0].get("name"))
