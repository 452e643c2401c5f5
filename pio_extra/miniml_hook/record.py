"""build.json: what lies beside an ELF, made only for the very ELF that is there.

The harness flashes nothing without it. It is deleted before the linker runs and written after
the gate, so a killed or refused build leaves none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .interpreter import HookError
from .output_file import remove, write_if_changed

RECORD_FILE = "build.json"


def read_record(path: Path, elf_sha256: str, identity: str) -> dict[str, Any] | None:
    """The record at `path` if it describes this ELF and this build id, else None."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    fits = isinstance(record, dict) and (record.get("elf_sha256"), record.get("build_id"))
    return record if fits == (elf_sha256, identity) else None


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write build.json whole, and only if it changed."""
    write_if_changed(path, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode("utf-8"))


def check_budget(record: Mapping[str, Any], board: Mapping[str, Any], path: Path) -> None:
    """Refuse a firmware that its board can't hold; no record is left then.

    Raises:
        HookError: with both figures.
    """
    for what in ("flash", "sram"):
        used, there = record[what], board[f"{what}_bytes"]
        if used > there:
            remove(path)
            raise HookError(
                f"the firmware for {board['name']} takes {used:,} bytes of {what.upper()}, "
                f"boards.ini allows {there:,}: make the model smaller in "
                f"{record['model_dir']}/model.toml"
            )


def summary(record: Mapping[str, Any], board: Mapping[str, Any]) -> str:
    """One line for the build log."""
    link, world = record["link"], {"kit": "offline kit", "official": "official platform"}
    # None where it could not be told apart, or in a record of before.
    floats = f", float input {link['float_input']:,}" if link.get("float_input") else ""
    cost = (
        f"the link takes {link['flash']:,} and {link['sram']:,} of them ({link['method']}){floats}"
        if link["flash"]
        else "without the link"
    )
    return (
        f"MiniML: {record['model']} {record['model_id'][:8]} for {record['env']}: "
        f"flash {record['flash']:,} of {board['flash_bytes']:,}, "
        f"SRAM {record['sram']:,} of {board['sram_bytes']:,}; {cost}; "
        f"build {record['build_id'][:8]}, {world[record['world']]}"
    )
