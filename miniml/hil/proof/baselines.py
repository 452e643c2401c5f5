"""Cycles that were recorded on a board, to hold later runs to: test_hil/baselines.json.

A baseline belongs to a board, its clock, the toolchain, and a model in a mode; simulated and real
ones are never mixed. Schema miniml.baselines/1 (docs/HARNESS.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from miniml.atomic_file import write_atomically
from miniml.errors import SettingsError
from miniml.hil.firmware_build import FirmwareBuild

SCHEMA = "miniml.baselines/1"
FILE = Path("test_hil") / "baselines.json"
MAX_FILE_BYTES = 1_000_000
MAX_CYCLES = 2**32


@dataclass(frozen=True)
class BaselineKey:
    """What cycles belong to.

    Attributes:
        board: its section in boards.ini.
        simulated: whether a simulated board counted.
        clock_hz: as the board told it.
        toolchain: as build.json says it.
        mode: of the build.
        model_id: 64 hex digits.
    """

    board: str
    simulated: bool
    clock_hz: int
    toolchain: str
    mode: str
    model_id: str


@dataclass(frozen=True)
class Baseline:
    """Cycles of one inference over `rows` test rows; masked but for `unmasked`.

    Attributes:
        cold: of the first inference; shown, never judged. None: not measured.
        unmasked: the median with interrupts as they are; shown, never judged.
    """

    key: BaselineKey
    rows: int
    median: int
    min: int
    max: int
    cold: int | None
    unmasked: int | None


def load_baselines(project: Path) -> dict[BaselineKey, Baseline]:
    """Those of a project; empty where there is no file.

    Raises:
        SettingsError: the file can't be read, or isn't one; names what is wrong.
    """
    path = project / FILE
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsError(f"can't read {path}: {error.strerror}") from error
    try:
        if len(text) > MAX_FILE_BYTES:
            raise ValueError(f"more than {MAX_FILE_BYTES:,} bytes")
        content = json.loads(text)
        if not isinstance(content, dict) or content.get("schema") != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA}")
        entries = content.get("baselines")
        if not isinstance(entries, list):
            raise ValueError("baselines is no list")
        found = [_baseline(number, entry) for number, entry in enumerate(entries, 1)]
    except (ValueError, RecursionError) as error:
        what = str(error).splitlines()[0][:200]
        raise SettingsError(
            f"{path} is damaged: {what}: restore it, or record it again (miniml baseline)"
        ) from error
    return {baseline.key: baseline for baseline in found}


def find_baseline(
    baselines: Mapping[BaselineKey, Baseline], build: FirmwareBuild, simulated: bool, clock_hz: int
) -> Baseline | None:
    """The one that fits a build on a board that tells its clock."""
    return baselines.get(
        BaselineKey(
            board=build.environment,
            simulated=simulated,
            clock_hz=clock_hz,
            toolchain=build.toolchain,
            mode=build.mode,
            model_id=build.model_id,
        )
    )


def save_baselines(project: Path, baselines: Iterable[Baseline]) -> Path:
    """Writes the project's file, sorted, whole or not at all; returns it.

    Raises:
        SettingsError: no rights, no room.
    """
    path = project / FILE
    ordered = sorted(baselines, key=lambda baseline: tuple(asdict(baseline.key).values()))
    entries = [
        {**asdict(baseline.key), **{k: v for k, v in asdict(baseline).items() if k != "key"}}
        for baseline in ordered
    ]
    text = json.dumps({"schema": SCHEMA, "baselines": entries}, indent=1) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.encode())
    except OSError as error:
        raise SettingsError(f"{path}: can't be written ({error.strerror})") from error
    return path


def _baseline(number: int, entry: object) -> Baseline:
    where = f"baseline {number}"
    names = [field.name for field in (*fields(BaselineKey), *fields(Baseline)[1:])]
    if not isinstance(entry, dict) or sorted(entry) != sorted(names):
        raise ValueError(f"{where} doesn't have the keys {', '.join(names)}")
    if not isinstance(entry["simulated"], bool):
        raise ValueError(f"{where}: simulated is not true or false")
    key = BaselineKey(
        board=_text(where, entry, "board", r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}"),
        simulated=entry["simulated"],
        clock_hz=_count(where, entry, "clock_hz"),
        toolchain=_text(where, entry, "toolchain", r"[ -~]{1,200}"),
        mode=_text(where, entry, "mode", r"[a-z0-9_]{1,32}"),
        model_id=_text(where, entry, "model_id", r"[0-9a-f]{64}"),
    )
    optional = {
        name: None if entry[name] is None else _count(where, entry, name)
        for name in ("cold", "unmasked")
    }
    figures = {name: _count(where, entry, name) for name in ("rows", "median", "min", "max")}
    return Baseline(key, **figures, **optional)  # type: ignore[arg-type]  # by name


def _text(where: str, entry: Mapping[str, Any], key: str, pattern: str) -> str:
    value = entry[key]
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise ValueError(f"{where}: {key} is malformed")
    return value


def _count(where: str, entry: Mapping[str, Any], key: str) -> int:
    value = entry[key]
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_CYCLES:
        raise ValueError(f"{where}: {key} is no whole number from 1 to {MAX_CYCLES}")
    return value
