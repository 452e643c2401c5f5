"""report.json: schema miniml.report/1 (docs/HARNESS.md), and what a run adds to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from miniml import __version__
from miniml.boards import Board
from miniml.hil.proof.verdict import BoardResult, worst_code
from miniml.hil.report.standing import ended, standing, today
from miniml.model import QuantizedModel

SCHEMA = "miniml.report/1"


def content(
    model: QuantizedModel | None,
    results: Sequence[BoardResult],
    boards: Mapping[str, Board] | None = None,
    day: date | None = None,
) -> dict[str, Any]:
    """Plain JSON types, all text printable; what was not measured is null.

    Args:
        model: of the headline; None: there was none.
        results: one a board that ran.
        boards: their sections, which may put them under quarantine; None: none does.
        day: on which; None: today.
    """
    day = day or today()
    described = None
    if model is not None:
        described = {
            "name": model.name,
            "model_id": model.model_id,
            "macs": model.macs,
            "widths": list(model.widths),
        }
    listed = [board_content(result, (boards or {}).get(result.name), day) for result in results]
    report = {
        "schema": SCHEMA,
        "miniml": __version__,
        "exit_code": worst_code(board["exit_code"] for board in listed),
        "model": described,
        "boards": listed,
        # Of the run itself, where it failed before any board was chosen.
        "error": None,
        "unmet": [],
    }
    printable_report: dict[str, Any] = printable(report)
    return printable_report


def printable(value: Any) -> Any:
    """The same JSON value, control characters and lone surrogates in its texts as \\xNN.

    Reasons, notes and logs quote what boards and tools said; a report may end on a terminal.
    """
    if isinstance(value, str):
        return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in value)
    if isinstance(value, dict):
        return {key: printable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [printable(item) for item in value]
    return value


def board_content(result: BoardResult, board: Board | None, day: date) -> dict[str, Any]:
    """One board as it is reported on a day."""
    build, cost, cycles = result.build, result.cost, result.cycles
    counted = standing(result, board, day)
    quarantine = None
    if board is not None and board.quarantine_until is not None:
        quarantine = {
            "reason": board.quarantine,
            "until": board.quarantine_until.isoformat(),
            "ended": ended(board, day),
        }
    return {
        "name": result.name,
        "title": result.title,
        "simulated": result.simulated,
        "place": (
            {"name": result.exporter.place, "host": result.exporter.host}
            if result.exporter
            else None
        ),
        "mode": build.mode if build else None,
        "verdict": counted.verdict,
        "true_verdict": result.verdict,
        "quarantine": quarantine,
        "exit_code": counted.exit_code,
        "reasons": list(counted.reasons),
        "error": ({"name": result.error, "message": result.reasons[0]} if result.error else None),
        "samples": result.samples,
        "mismatches": result.mismatches,
        "suites": [
            {
                "name": comparison.suite,
                "rows": comparison.rows,
                "bytes_compared": comparison.bytes_compared,
                "mismatches": comparison.mismatches,
                "first": str(comparison.first) if comparison.first else None,
                "flaky": comparison.flaky,
                "first_flaky": str(comparison.first_flaky) if comparison.first_flaky else None,
            }
            for comparison in result.comparisons
        ],
        "cycles": {
            "predicted": cost.cycles if cost else None,
            "min": min(cycles.masked, default=None),
            "median": result.median_cycles,
            "max": max(cycles.masked, default=None),
            "cold": cycles.cold,
            "unmasked_median": result.median_unmasked,
            "unmasked_min": min(cycles.unmasked, default=None),
            "unmasked_max": max(cycles.unmasked, default=None),
            "worst_error": result.worst_cycle_error,
            "memory": cost.memory if cost else None,
            "placement": cost.placement if cost and cost.cycles is not None else None,
            "judged": result.cycle_judgement.judged or None,
            "limit": result.cycle_judgement.limit,
            "baseline": result.baseline.median if result.baseline else None,
            "rows": len(cycles.masked),
        },
        "divergence": dataclasses.asdict(result.divergence) if result.divergence else None,
        "replay": result.replay or None,
        "endurance": dataclasses.asdict(result.endurance) if result.endurance else None,
        "flash": build.flash if build else None,
        "sram": build.sram if build else None,
        "stack": result.stack.used if result.stack else None,
        "stack_untouched": result.stack.untouched if result.stack else None,
        "stack_simulator": result.simulator_stack,
        "link": {"flash": build.link_flash, "sram": build.link_sram} if build else None,
        "accuracy": result.accuracy,
        "rmse": result.rmse,
        "world": build.world if build else None,
        "platform": build.platform if build else None,
        "toolchain": build.toolchain if build else None,
        "model_id": build.model_id if build else None,
        "build_id": build.build_id if build else None,
        "elf_sha256": build.elf_sha256 if build else None,
        "clock_hz": result.identity.clock_hz if result.identity else None,
        "retries": result.retries,
        "notes": result.notes,
        "log": result.log_tail if result.verdict == "ERROR" else [],
    }
