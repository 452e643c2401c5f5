"""Keeps test_hil/baselines.json by the last report: what `miniml baseline` does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from miniml.errors import UsageError
from miniml.hil.project import miniml_dir
from miniml.hil.proof.baselines import Baseline, BaselineKey, load_baselines, save_baselines


def record(project: Path, names: tuple[str, ...]) -> tuple[list[Baseline], list[str], Path]:
    """Records the cycles of the last report's boards.

    Args:
        project: its folder.
        names: boards; empty: all whose cycles no foretold figure judges.

    Returns:
        What was recorded, why what was not, and the file.

    Raises:
        UsageError: there is no report, or a named board, or any, is not fit to be recorded.
        SettingsError: the file of baselines is damaged, or can't be written.
    """
    boards = _reported(project)
    for name in names:
        if name not in boards:
            raise UsageError(
                f"the last report has no board {name!r}: run it first (miniml run --board {name})"
            )
    recorded, refused = [], []
    for name, board in boards.items():
        if names and name not in names:
            continue
        why = _why_not(board)
        if why and names:
            raise UsageError(f"{name}: {why}")
        if why:
            refused.append(f"{name}: {why}")
        else:
            recorded.append(_baseline(board))
    if not recorded:
        raise UsageError(f"nothing to record: {'; '.join(refused) or 'the report has no boards'}")
    kept = load_baselines(project) | {baseline.key: baseline for baseline in recorded}
    return recorded, refused, save_baselines(project, kept.values())


def forget(project: Path, names: tuple[str, ...]) -> list[Baseline]:
    """Takes the boards' baselines out; returns them.

    Raises:
        UsageError: a board has none.
        SettingsError: the file is damaged, or can't be written.
    """
    there = load_baselines(project)
    for name in names:
        if not any(key.board == name for key in there):
            raise UsageError(f"{name} has no baseline: `miniml baseline show` lists them")
    gone = [baseline for key, baseline in there.items() if key.board in names]
    save_baselines(project, (b for key, b in there.items() if key.board not in names))
    return gone


def _reported(project: Path) -> dict[str, Mapping[str, Any]]:
    file = miniml_dir(project) / "report" / "report.json"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {str(board["name"]): board for board in content["boards"]}
    except FileNotFoundError as error:
        raise UsageError(f"{file} is missing: run the boards first (miniml run)") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file} is no report: run the boards again (miniml run)") from error


def _why_not(board: Mapping[str, Any]) -> str:
    """Why a board of a report gives no baseline; empty: it does."""
    cycles = board["cycles"]
    verdict = board.get("true_verdict", board["verdict"])
    if board["error"] or board["simulated"] is None:
        return "it came to no verdict"
    if board["mismatches"] or verdict == "FLAKY":
        return "it computed wrong bytes"
    if cycles["median"] is None or board["clock_hz"] is None:
        return "its cycles were not measured"
    if cycles.get("judged") == "foretold":
        return "its cycles are judged by the foretold figure"
    return ""


def _baseline(board: Mapping[str, Any]) -> Baseline:
    cycles = board["cycles"]
    key = BaselineKey(
        board=board["name"],
        simulated=board["simulated"],
        clock_hz=board["clock_hz"],
        toolchain=board["toolchain"],
        mode=board["mode"],
        model_id=board["model_id"],
    )
    return Baseline(
        key,
        rows=cycles["rows"],
        median=cycles["median"],
        min=cycles["min"],
        max=cycles["max"],
        cold=cycles["cold"],
        unmasked=cycles["unmasked_median"],
    )
