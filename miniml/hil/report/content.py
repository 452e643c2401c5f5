"""report.json: schema miniml.report/1 (docs/HARNESS.md), and what a run adds to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from miniml import __version__
from miniml.hil.proof.verdict import BoardResult, exit_code
from miniml.model import QuantizedModel

SCHEMA = "miniml.report/1"


def content(model: QuantizedModel | None, results: Sequence[BoardResult]) -> dict[str, Any]:
    """Plain JSON types; what was not measured is null."""
    described = None
    if model is not None:
        described = {
            "name": model.name,
            "model_id": model.model_id,
            "macs": model.macs,
            "widths": list(model.widths),
        }
    return {
        "schema": SCHEMA,
        "miniml": __version__,
        "exit_code": exit_code(results),
        "model": described,
        "boards": [board_content(result) for result in results],
    }


def board_content(result: BoardResult) -> dict[str, Any]:
    """One board."""
    build, cost, cycles = result.build, result.cost, result.cycles
    return {
        "name": result.name,
        "title": result.title,
        "simulated": result.simulated,
        "mode": build.mode if build else None,
        "verdict": result.verdict,
        "exit_code": result.exit_code,
        "reasons": result.reasons,
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
            "unmasked_min": min(cycles.unmasked, default=None),
            "unmasked_max": max(cycles.unmasked, default=None),
            "worst_error": result.worst_cycle_error,
            "memory": cost.memory if cost else None,
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
        "build_id": build.build_id if build else None,
        "elf_sha256": build.elf_sha256 if build else None,
        "clock_hz": result.identity.clock_hz if result.identity else None,
        "retries": result.retries,
        "notes": result.notes,
        "log": result.log_tail if result.verdict == "ERROR" else [],
    }
