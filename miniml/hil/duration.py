"""Durations as they are typed: 90s, 30m, 8h, 2d."""

from __future__ import annotations

import argparse
import re

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST_S = 366 * 86400


def seconds(text: str) -> float:
    """The seconds of a duration; a number alone is seconds.

    Raises:
        argparse.ArgumentTypeError: no duration, none at all, or more than a year.
    """
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smhd]?)", text.strip().lower())
    value = float(match[1]) * _SECONDS[match[2] or "s"] if match else 0.0
    if not 0 < value <= LONGEST_S:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration such as 90s, 30m or 8h")
    return value
