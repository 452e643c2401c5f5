"""The stamp that lets the hook skip Python's heavy half: what was read, what was written.

`miniml.build` leaves `stamp.json` in the output folder:

    key      the options of the run that wrote it
    inputs   absolute path -> SHA-256 of the content, null for a file that was not there
    outputs  file name in the output folder -> SHA-256 of the content
    model    name, model_id, dir
    board    name, flash_bytes, sram_bytes, and the limits of the project

Contents are compared, never times: a checkout, a copy and a `touch` change nothing, an edited
or deleted output counts as much as an edited input.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .output_file import sha256_of

STAMP_FILE = "stamp.json"
FORMAT = "miniml.stamp/1"


def key_of(arguments: Sequence[str], surroundings: Sequence[str]) -> str:
    """One short word for the options of a run; `surroundings` are those not in its arguments."""
    text = json.dumps([list(arguments), list(surroundings)])
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def read_stamp(out_dir: Path) -> dict[str, Any] | None:
    """The stamp of the last finished run, or None where there is none to trust."""
    try:
        stamp = json.loads((out_dir / STAMP_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(stamp, dict) or stamp.get("format") != FORMAT:
        return None
    return stamp


def is_current(stamp: dict[str, Any] | None, key: str, out_dir: Path) -> bool:
    """Whether nothing that was read or written has another content now."""
    if stamp is None or stamp["key"] != key:
        return False
    return all(sha256_of(Path(path)) == digest for path, digest in stamp["inputs"].items()) and all(
        sha256_of(out_dir / name) == digest for name, digest in stamp["outputs"].items()
    )
