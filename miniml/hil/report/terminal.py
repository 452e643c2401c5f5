"""The table that a run ends with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HEADINGS = (
    *("board", "where", "verdict", "rows", "bytes wrong", "foretold", "median"),
    *("min", "max", "unmasked", "cold"),
    *("flash", "SRAM", "stack", "accuracy", "built by"),
)
# "-": no board was found, or nothing tells.
WHERE = {True: "simulated", False: "real", None: "-"}
TEXT_COLUMNS = {"board", "where", "verdict", "built by"}


def cells(board: Mapping[str, Any]) -> tuple[str, ...]:
    """One row, from a board of report.json."""
    cycles = board["cycles"]
    where = WHERE[board["simulated"]]
    accuracy = board["accuracy"]
    foretold = number(cycles["predicted"])
    if cycles["predicted"] is None and cycles["median"] is not None:
        foretold = "not foretold"
    return (
        board["name"],
        where,
        board["verdict"],
        number(board["samples"]),
        number(board["mismatches"]) if board["samples"] else "-",
        foretold,
        number(cycles["median"]),
        number(cycles["min"]),
        number(cycles["max"]),
        number(cycles.get("unmasked_median")),
        number(cycles["cold"]),
        number(board["flash"]),
        number(board["sram"]),
        number(board["stack"]),
        "-" if accuracy is None else f"{100 * accuracy:.2f} %",
        board["world"] or "-",
    )


def number(value: int | None) -> str:
    """12,345, or a dash for what was not measured."""
    return "-" if value is None else f"{value:,}"


def table(report: Mapping[str, Any]) -> str:
    """The whole table, then a line for every reason and note."""
    rows = [HEADINGS, *(cells(board) for board in report["boards"])]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADINGS))]
    lines = []
    if model := report["model"]:
        shape = "-".join(map(str, model["widths"]))
        lines += [
            f"model {model['name']} {shape}, {model['macs']:,} MACs, {model['model_id'][:16]}",
            "",
        ]
    for row in rows:
        lines.append("  ".join(_aligned(row[i], i, widths[i]) for i in range(len(row))).rstrip())
    lines += remarks(report)
    return "\n".join(lines)


def remarks(report: Mapping[str, Any]) -> list[str]:
    """Suites, reasons and notes, a line each; at last what --require lacks."""
    lines, boards = [""], report["boards"]
    if error := report["error"]:
        lines.append(f"{error['name']}: {error['message']}")
    for board in boards:
        suites = ", ".join(
            f"{suite['name']} {suite['rows']:,} rows {suite['bytes_compared']:,} bytes"
            for suite in board["suites"]
        )
        if suites:
            lines.append(f"{board['name']}: compared {suites}")
        if again := board.get("endurance"):
            lines.append(f"{board['name']}: {endurance(again)}")
        name = f"{board['error']['name']}: " if board["error"] else ""
        lines += [f"{board['name']}: {name}{reason}" for reason in board["reasons"]]
        lines += [f"{board['name']}: {note}" for note in board["notes"]]
    if any(board["simulated"] for board in boards):
        lines.append("Simulated boards count cycles by the makers' tables, not on silicon.")
    return [*lines, *report["unmet"]]


def endurance(again: Mapping[str, Any]) -> str:
    """What --repeat or --soak came to, in one phrase."""
    text = (
        f"ran the rows {again['passes']:,} times, {again['inferences']:,} inferences, "
        f"{again['seconds']:.0f} s"
    )
    return f"{text}; stopped: {again['stopped']}" if again["stopped"] else text


def _aligned(text: str, column: int, width: int) -> str:
    return text.ljust(width) if HEADINGS[column] in TEXT_COLUMNS else text.rjust(width)
