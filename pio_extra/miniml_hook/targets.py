"""Which PlatformIO targets compile a program, so that the others train nothing."""

from __future__ import annotations

from collections.abc import Iterable

# PlatformIO ends before, or compiles nothing at all, when one of these is asked for, whatever
# stands beside it (platformio/builder/main.py, platformio/run/helpers.py).
NEVER_COMPILE = frozenset(
    ("clean", "cleanall", "fullclean", "envdump", "idedata", "__idedata", "nobuild")
)
# These compile nothing by themselves.
COMPILE_NOTHING = frozenset(("compiledb", "erase", "menuconfig", "monitor", "miniml-cost"))


def compiles(targets: Iterable[str]) -> bool:
    """Whether a run with these command line targets compiles firmware; none means yes."""
    asked = set(targets)
    if asked & NEVER_COMPILE:
        return False
    return not asked or bool(asked - COMPILE_NOTHING)
