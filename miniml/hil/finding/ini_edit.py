"""Set keys of a boards file and leave every other byte, comments included."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator, Mapping

from miniml.errors import SettingsError

_SECTION = re.compile(r"\[(.+)\]")
_KEY = re.compile(r"(.*?)\s*[=:]")


def read_ini(text: str) -> dict[str, dict[str, str]]:
    """Sections and keys as `load_boards` reads them.

    Raises:
        configparser.Error: no sections, something twice, a line that is neither.
    """
    parser = configparser.ConfigParser(interpolation=None, default_section="\n")
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys as typed
    parser.read_string(text)
    return {name: dict(parser.items(name)) for name in parser.sections()}


def set_keys(text: str, section: str, values: Mapping[str, str | None]) -> str:
    """The text with these keys of a section set; a key whose value is None is taken out.

    A key that is there keeps its place, others go behind the section's last key, and a section
    that isn't there to the end of the text.

    Args:
        text: of a file that configparser reads; LF or CRLF.
        section: its name.
        values: texts of one line without space at the ends, by key.

    Raises:
        SettingsError: the file can't be read, or would say something else than it should
            (continuation lines in odd places): nothing is returned then.
    """
    try:
        wanted = read_ini(text) if text.strip() else {}
    except configparser.Error as error:
        raise SettingsError(f"can't be edited: {' '.join(str(error).split())}") from error
    keys = wanted.setdefault(section, {})
    for key, value in values.items():
        if value is None:
            keys.pop(key, None)
        else:
            keys[key] = value
    edited = _edit(text, section, values)
    try:
        same = read_ini(edited) == wanted
    except configparser.Error:
        same = False
    if not same:
        raise SettingsError(f"[{section}] can't be edited safely: set {', '.join(values)} by hand")
    return edited


def _edit(text: str, section: str, values: Mapping[str, str | None]) -> str:
    end_of_line = "\r\n" if "\r\n" in text else "\n"
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    kinds = list(_kinds(lines))
    start = next((i for i, kind in enumerate(kinds) if kind == ("section", section)), None)
    if start is None:
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += end_of_line
        if lines and lines[-1].strip():
            lines.append(end_of_line)
        added = [f"{key} = {value}" for key, value in values.items() if value is not None]
        return "".join([*lines, *(line + end_of_line for line in (f"[{section}]", *added))])
    end = next((i for i in range(start + 1, len(kinds)) if kinds[i][0] == "section"), len(kinds))
    last = max((i for i in range(start, end) if kinds[i][0] != "other"), default=start)
    indent, missing = "", []
    for key, value in values.items():
        at = next((i for i in range(start, end) if kinds[i] == ("key", key)), None)
        if at is None:
            missing += [] if value is None else [f"{key} = {value}"]
            continue
        line_end = re.search(r"\r?\n?$", lines[at])
        head = re.match(r"\s*" + re.escape(key) + r"\s*[=:]", lines[at])
        assert line_end is not None
        assert head is not None
        lines[at] = "" if value is None else f"{head[0]} {value}{line_end[0]}"
        following = at + 1
        while following < end and kinds[following][0] in ("more", "other"):
            if kinds[following][0] == "more":
                lines[following] = ""
            following += 1
    for i in range(start + 1, end):
        if kinds[i][0] == "key":
            indent = lines[i][: len(lines[i]) - len(lines[i].lstrip(" \t"))] or indent
    if missing:
        if not "".join(lines[: last + 1]).endswith("\n"):
            lines[last] += end_of_line
        lines.insert(last + 1, "".join(indent + line + end_of_line for line in missing))
    return "".join(lines)


def _kinds(lines: list[str]) -> Iterator[tuple[str, str]]:
    """What each line is, by configparser's rules: section, key, more (of a value) or other."""
    in_section, in_value, indent = False, False, 0
    for line in lines:
        content = line.strip()
        if not content or content[0] in "#;":
            yield "other", ""
            continue
        depth = len(line) - len(line.lstrip())
        if in_section and in_value and depth > indent:
            yield "more", ""
            continue
        indent = depth
        if match := _SECTION.match(content):
            in_section, in_value = True, False
            yield "section", match[1]
        elif match := _KEY.match(content):
            in_value = True
            yield "key", match[1]
        else:
            yield "other", ""
