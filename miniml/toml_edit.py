"""Set keys of a model.toml and leave every other byte, comments included."""

from __future__ import annotations

import json
import re
from typing import Any

_SECTION = re.compile(r"^\s*\[\s*([A-Za-z_]+)\s*\]\s*(#.*)?$")


def set_keys(text: str, section: str, values: dict[str, Any]) -> str:
    """The text with these keys of a section set.

    A key that is there keeps its place and its comment; others go to the section's end, and
    a section that isn't there to the end of the text.

    Args:
        text: of a TOML file with plain sections and a key a line, such as model.toml.
        section: its name.
        values: booleans, numbers and strings by key.
    """
    lines = text.split("\n")
    start = next((i for i, line in enumerate(lines) if _name(line) == section), None)
    if start is None:
        while lines and not lines[-1].strip():
            lines.pop()
        lines += ["", f"[{section}]", ""]
        start = len(lines) - 2
    end = next((i for i in range(start + 1, len(lines)) if _name(lines[i])), len(lines))
    for key, value in values.items():
        entry = re.compile(rf"^(\s*{re.escape(key)}\s*=\s*)(\"[^\"]*\"|'[^']*'|[^\s#]+)(.*)$")
        for index in range(start + 1, end):
            found = entry.match(lines[index])
            if found:
                lines[index] = f"{found[1]}{json.dumps(value)}{found[3]}"
                break
        else:
            last = end
            while last > start + 1 and not lines[last - 1].strip():
                last -= 1
            lines.insert(last, f"{key} = {json.dumps(value)}")
            end += 1
    return "\n".join(lines)


def _name(line: str) -> str | None:
    found = _SECTION.match(line.rstrip("\r"))
    return found[1] if found else None
