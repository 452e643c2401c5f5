"""manifest.json of a bundle: its format, its files with their hashes, and its boards."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from miniml.hil.firmware_build import FirmwareBuild

FORMAT = "miniml.bundle/1"
MANIFEST_FILE = "manifest.json"
# Files of one build: what the flashing methods write, and the ELF that they were made from.
IMAGES = ("firmware.elf", "firmware.hex", "firmware.bin", "firmware.uf2")
# A part of a name: no "..", nothing that a shell, a drive letter or a device name could be.
_PART = r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_]+)*"
NAME = re.compile(rf"{_PART}(/{_PART}){{0,3}}")
MAX_NAME = 200


@dataclass(frozen=True)
class BoardEntry:
    """What the manifest tells of one board's build.

    Attributes:
        model: name of the model.
        model_id, build_id, elf_sha256: 64 hex digits each; the model's files are in
            models/<model_id>.
        mode, world, platform, toolchain: as in build.json.
    """

    model: str
    model_id: str
    build_id: str
    elf_sha256: str
    mode: str
    world: str
    platform: str
    toolchain: str

    @classmethod
    def of(cls, build: FirmwareBuild) -> BoardEntry:
        """The entry of a build."""
        return cls(**{name: getattr(build, name) for name in cls.__dataclass_fields__})


def make_manifest(
    version: str, boards: Mapping[str, BoardEntry], files: Mapping[str, bytes]
) -> bytes:
    """The file's bytes: sorted, without a date.

    Args:
        version: of MiniML.
        boards: by name.
        files: content by name, without the manifest.
    """
    content = {
        "format": FORMAT,
        "miniml": version,
        "boards": {name: asdict(entry) for name, entry in boards.items()},
        "files": {
            name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in files.items()
        },
    }
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()


def parse_manifest(text: bytes, files: Mapping[str, bytes]) -> tuple[str, dict[str, BoardEntry]]:
    """MiniML's version that made it, and the boards.

    Args:
        text: manifest.json.
        files: every other file that is there; each must be the one that is described.

    Raises:
        ValueError: says what is wrong.
    """
    content = json.loads(text)
    if not isinstance(content, dict) or not isinstance(content.get("format"), str):
        raise ValueError(f"its {MANIFEST_FILE} is none")
    if content["format"] != FORMAT:
        raise ValueError(f"its format is {content['format'][:40]!r}, this MiniML reads {FORMAT!r}")
    listed = _mapping(content, "files")
    if missing := sorted(set(listed) - set(files)):
        raise ValueError(f"{missing[0][:MAX_NAME]!r} is missing")
    if extra := sorted(set(files) - set(listed)):
        raise ValueError(f"{extra[0]!r} is not in its {MANIFEST_FILE}")
    for name, data in files.items():
        if listed[name] != {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}:
            raise ValueError(f"{name!r} is damaged")
    boards = {
        _text(name, r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}"): _entry(entry)
        for name, entry in _mapping(content, "boards").items()
    }
    if not boards:
        raise ValueError("it has no board")
    return _text(content.get("miniml"), r"[0-9A-Za-z.+]{1,40}"), boards


def _entry(value: Any) -> BoardEntry:
    if not isinstance(value, dict) or set(value) != set(BoardEntry.__dataclass_fields__):
        raise ValueError("a board's entry has other keys")
    ids = ("model_id", "build_id", "elf_sha256")
    return BoardEntry(
        **{
            name: _text(text, r"[0-9a-f]{64}" if name in ids else r"[ -~]{1,200}")
            for name, text in value.items()
        }
    )


def _mapping(content: dict[str, Any], key: str) -> dict[str, Any]:
    value = content.get(key)
    if not isinstance(value, dict):
        raise ValueError(f"{key!r} of its {MANIFEST_FILE} is no object")
    return value


def _text(value: Any, pattern: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise ValueError(f"its {MANIFEST_FILE} has the value {str(value)[:40]!r}")
    return value
