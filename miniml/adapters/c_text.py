"""How values become C: names, numbers and tables that read as if written by hand."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable
from functools import cache
from typing import Any

import jinja2
import numpy as np

from miniml.errors import ModelNameError
from miniml.setting_checks import NAME_PATTERN, RESERVED

# Between the halves of what C would act on inside a comment: its end, its start, trigraphs.
_JOINED = re.compile(r"(?<=\*)(?=/)|(?<=/)(?=\*)|(?<=\?)(?=\?)")


def check_name(name: str) -> str:
    """The model's name, if it can prefix C symbols.

    Raises:
        ModelNameError: not `[a-z][a-z0-9_]{0,31}`, a C or C++ keyword, or `miniml`.
    """
    if not NAME_PATTERN.fullmatch(name):
        raise ModelNameError(
            f"model name {name!r} can't prefix C symbols: use a lower-case letter, then up to "
            "31 lower-case letters, digits or underscores"
        )
    if name in RESERVED:
        raise ModelNameError(f"model name {name!r} is reserved in C or C++: choose another")
    return name


def integers(values: Iterable[int]) -> str:
    """Comma-separated integers in lines of at most 96 columns, indented by two."""
    return _lines(str(int(value)) for value in values)


def floats(values: Iterable[float]) -> str:
    """binary32 literals that read back to the same bits."""
    return _lines(float_literal(value) for value in values)


def float_literal(value: float) -> str:
    """The shortest decimal of a binary32 value, with a point and an f."""
    text = str(np.float32(value))
    return (text if "." in text or "e" in text else text + ".0") + "f"


def comment(text: str) -> str:
    """Text in ASCII that can't end a comment, begin one, or hold a trigraph."""
    return _JOINED.sub(" ", json.dumps(text)[1:-1].replace('\\"', '"'))


def listing(names: Iterable[str]) -> str:
    """Numbered names as lines of a comment, of at most 100 columns where they can be broken."""
    items = ", ".join(f"{index} {comment(name)}" for index, name in enumerate(names))
    return textwrap.fill(
        items,
        width=100,
        initial_indent=" *   ",
        subsequent_indent=" *   ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _lines(items: Iterable[str]) -> str:
    return textwrap.fill(
        ", ".join(items), width=98, initial_indent="    ", subsequent_indent="    "
    )


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("miniml", "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(integers=integers, floats=floats, float_literal=float_literal)
    environment.filters.update(comment=comment, listing=listing)
    return environment


def render(template: str, **values: Any) -> str:
    """Fill in a template of miniml/templates."""
    return _environment().get_template(template).render(**values)
