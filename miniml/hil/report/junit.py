"""JUnit XML: a test case a board and suite, as CI servers read it.

What was flaky is a failure: `flakyFailure`, which some servers know, counts as passed there. All
of a quarantined board is skipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from miniml.hil.report.standing import QUARANTINED
from miniml.hil.report.where import title, where


def junit(report: Mapping[str, Any]) -> bytes:
    """The XML of a report; a board that could not run is an error, not a failure."""
    root = ElementTree.Element("testsuites", name="miniml")
    for board in report["boards"]:
        suite = ElementTree.SubElement(root, "testsuite", name=title(board))
        cases = [_suite_case(suite, board, part) for part in board["suites"]]
        whole = _case(suite, board, "board")
        message = "; ".join(board["reasons"])
        if board["verdict"] in ("FAIL", "FLAKY"):
            kind = board["verdict"].lower()
            ElementTree.SubElement(whole, "failure", message=message, type=kind)
        elif board["verdict"] == "ERROR":
            kind = board["error"]["name"]
            error = ElementTree.SubElement(whole, "error", message=message, type=kind)
            error.text = "\n".join(board["log"])
        elif board["verdict"] in ("SKIP", QUARANTINED):
            ElementTree.SubElement(whole, "skipped", message=message)
        suite.set("tests", str(len(cases) + 1))
        for tag, attribute in (
            ("failure", "failures"),
            ("error", "errors"),
            ("skipped", "skipped"),
        ):
            suite.set(attribute, str(len(suite.findall(f"testcase/{tag}"))))
    if error := report["error"]:
        counts = {"tests": "1", "failures": "0", "errors": "1", "skipped": "0"}
        suite = ElementTree.SubElement(root, "testsuite", {"name": "run", **counts})
        case = ElementTree.SubElement(suite, "testcase", classname="miniml.run", name="run")
        ElementTree.SubElement(case, "error", message=error["message"], type=error["name"])
    if report["unmet"]:
        number = str(len(report["unmet"]))
        counts = {"tests": number, "failures": number, "errors": "0", "skipped": "0"}
        suite = ElementTree.SubElement(root, "testsuite", {"name": "required boards", **counts})
        for line in report["unmet"]:
            words = {"classname": "miniml.required", "name": line}
            case = ElementTree.SubElement(suite, "testcase", words)
            ElementTree.SubElement(case, "failure", message=line, type="required")
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _suite_case(
    suite: ElementTree.Element, board: Mapping[str, Any], part: Mapping[str, Any]
) -> ElementTree.Element:
    case = _case(suite, board, part["name"])
    if board["verdict"] == QUARANTINED:
        ElementTree.SubElement(case, "skipped", message="quarantined")
    elif part["mismatches"]:
        message = f"{part['mismatches']} bytes differ"
        ElementTree.SubElement(case, "failure", message=message, type="fail")
    elif part.get("flaky"):
        message = f"{part['flaky']} rows differed once and were right when run again"
        ElementTree.SubElement(case, "failure", message=message, type="flaky")
    return case


def _case(suite: ElementTree.Element, board: Mapping[str, Any], name: str) -> ElementTree.Element:
    return ElementTree.SubElement(
        suite, "testcase", classname=f"miniml.{board['name']}", name=f"{name} ({where(board)})"
    )
