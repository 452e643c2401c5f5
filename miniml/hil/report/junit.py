"""JUnit XML: a test case a board and suite, as CI servers read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree


def junit(report: Mapping[str, Any]) -> bytes:
    """The XML of a report; a board that could not run is an error, not a failure."""
    root = ElementTree.Element("testsuites", name="miniml")
    for board in report["boards"]:
        where = "simulated" if board["simulated"] else "real"
        suite = ElementTree.SubElement(root, "testsuite", name=f"{board['name']} ({where})")
        cases = [_case(suite, board, part["name"], part["mismatches"]) for part in board["suites"]]
        whole = _case(suite, board, "board", 0)
        message = "; ".join(board["reasons"])
        if board["verdict"] == "FAIL":
            ElementTree.SubElement(whole, "failure", message=message)
        elif board["verdict"] == "ERROR":
            kind = board["error"]["name"]
            error = ElementTree.SubElement(whole, "error", message=message, type=kind)
            error.text = "\n".join(board["log"])
        elif board["verdict"] == "SKIP":
            ElementTree.SubElement(whole, "skipped", message=message)
        suite.set("tests", str(len(cases) + 1))
        for tag, attribute in (
            ("failure", "failures"),
            ("error", "errors"),
            ("skipped", "skipped"),
        ):
            suite.set(attribute, str(len(suite.findall(f"testcase/{tag}"))))
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _case(
    suite: ElementTree.Element, board: Mapping[str, Any], name: str, mismatches: int
) -> ElementTree.Element:
    where = "simulated" if board["simulated"] else "real"
    case = ElementTree.SubElement(
        suite, "testcase", classname=f"miniml.{board['name']}", name=f"{name} ({where})"
    )
    if mismatches:
        ElementTree.SubElement(case, "failure", message=f"{mismatches} bytes differ")
    return case
