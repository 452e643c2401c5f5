"""What a key of model.toml may hold: each check returns the value or says what it must be."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import Any, Literal

NAME_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,31}")
RESERVED_PREFIX = "miniml"
# C99 and C++11 keywords that match NAME_PATTERN, and the library's own prefix.
_KEYWORDS = """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl const
constexpr const_cast continue decltype default delete do double dynamic_cast else enum explicit
export extern false float for friend goto if inline int long mutable namespace new noexcept not
not_eq nullptr operator or or_eq private protected public register reinterpret_cast restrict
return short signed sizeof static static_assert static_cast struct switch template this
thread_local throw true try typedef typeid typename union unsigned using virtual void volatile
wchar_t while xor xor_eq miniml
"""
RESERVED = frozenset(_KEYWORDS.split())
MAX_WIDTH = 4096
MAX_LAYERS = 64

Check = Callable[[Any], Any]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def integer(low: int, high: int) -> Check:
    """A whole number in [low, high]."""

    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return value

    return check


def number(low: float, high: float, *, above_low: bool = False) -> Check:
    """A number in [low, high], or in (low, high]."""

    def check(value: Any) -> float:
        if _is_number(value) and low <= value <= high and not (above_low and value == low):
            return float(value)
        first = f"above {low:g}" if above_low else f"from {low:g}"
        raise ValueError(f"must be a number {first} to {high:g}")

    return check


def choice(*names: str) -> Check:
    """One of some words."""

    def check(value: Any) -> str:
        if isinstance(value, str) and value in names:
            return value
        near = difflib.get_close_matches(str(value), names, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"must be one of {', '.join(map(repr, names))}{hint}")

    return check


def boolean(value: Any) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def text(value: Any) -> str:
    """A text, not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a text in quotes, not empty")
    return value


def columns(value: Any) -> tuple[str, ...]:
    """A list of column names."""
    if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
        raise ValueError("must be a list of column names")
    return tuple(value)


def label(value: Any) -> tuple[str, ...]:
    """One column name or several, none twice."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names:
        raise ValueError("must be a column name, or a list of them for regression")
    if len(set(map(str, names))) != len(names):
        raise ValueError("must not name a column twice")
    return columns(names)


def widths(value: Any) -> tuple[int, ...]:
    """Widths of the hidden layers."""
    fits = isinstance(value, list) and len(value) <= MAX_LAYERS
    if not fits or not all(
        isinstance(v, int) and not isinstance(v, bool) and 1 <= v <= MAX_WIDTH for v in value
    ):
        raise ValueError(
            f"must be a list of at most {MAX_LAYERS} whole numbers from 1 to {MAX_WIDTH}"
        )
    return tuple(value)


def split(value: Any) -> tuple[float, float, float] | Literal["all"]:
    """Three shares, or "all"."""
    if value == "all":
        return "all"
    if isinstance(value, list) and len(value) == 3 and all(_is_number(v) and v > 0 for v in value):
        train, calibration, test = map(float, value)
        if abs(train + calibration + test - 1.0) <= 1e-9:
            return train, calibration, test
    raise ValueError(
        'must be "all" or three numbers above 0 that sum to 1 (train, calibration, test)'
    )


def identifier(value: Any) -> str:
    """A name that can prefix C symbols."""
    if not isinstance(value, str) or not NAME_PATTERN.fullmatch(value):
        raise ValueError("must be a lower-case C identifier of at most 32 characters")
    if value.startswith(RESERVED_PREFIX):
        raise ValueError(f"must not begin with {RESERVED_PREFIX!r}, the library's own prefix")
    if value in RESERVED:
        raise ValueError("must be no keyword of C or C++")
    return value


def by_board(check: Check) -> Check:
    """One value for all boards, or a table of them by board: a tuple of pairs, sorted."""

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            return check(value)
        return tuple(sorted((name, check(found)) for name, found in value.items()))

    return read
