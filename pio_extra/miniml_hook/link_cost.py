"""What the link costs: the same program linked once more, without it.

A sketch leaves the link out where MINIML_LINK is 0 (firmware/src/main.cpp). Only the sources
that name this switch are compiled again, so that the figure is cheap enough to be taken after
every linking. Symbols named after the link tell less: with -flto most of them are merged into
others, and what only the link calls (Serial, conversions) bears other names.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SWITCH = "MINIML_LINK"
# Keeps the conversion of floats, which the sketch's own driver would call, where the link is left
# out: what goes then is the link alone.
KEEP_INPUT = "MINIML_KEEP_INPUT"
_C_SUFFIXES = (".c",)


def link_without(elf: Any, folder: Path, *, keep_input: bool) -> Path | None:
    """Link a program without the link.

    Args:
        elf: SCons node of the linked program.
        folder: where the second program goes.
        keep_input: whether the conversion of float features stays.

    Returns:
        The second program; None where no source has the switch, or it can't be built.
    """
    from SCons.Script import File

    folder.mkdir(parents=True, exist_ok=True)
    objects, compiled = [], False
    for node in elf.sources:
        source = node.sources[0] if node.sources else None
        if source is None or not _has_switch(Path(source.srcnode().get_abspath())):
            objects.append(node)
            continue
        scope = _quiet(node.get_env())
        scope.Append(CPPDEFINES=[(SWITCH, 0), *([KEEP_INPUT] if keep_input else [])])
        second = File(str(folder / f"{Path(str(source)).name}.o"))
        command = "$CCCOM" if Path(str(source)).suffix in _C_SUFFIXES else "$CXXCOM"
        if not _run(command, scope, second, [source]):
            return None
        objects.append(second)
        compiled = True
    if not compiled:
        return None
    scope = _quiet(elf.get_env())
    # The map file and the like belong to the program that is flashed.
    scope.Replace(LINKFLAGS=[flag for flag in scope["LINKFLAGS"] if "-Map" not in str(flag)])
    program = File(str(folder / "without_link.elf"))
    return Path(program.get_abspath()) if _run("$LINKCOM", scope, program, objects) else None


def _has_switch(source: Path) -> bool:
    try:
        text = source.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return re.search(rf"\b{SWITCH}\b", text) is not None


def _quiet(env: Any) -> Any:
    """A copy of an environment whose commands show nothing: their figure is what counts."""
    copy = env.Clone()
    copy.Replace(SPAWN=_spawn)
    return copy


def _spawn(
    shell: str, escape: Any, program: str, words: Sequence[str], environment: Mapping[str, str]
) -> int:
    return subprocess.run(
        " ".join(words),
        shell=True,
        env=dict(environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ).returncode


def _run(command: str, env: Any, target: Any, sources: Sequence[Any]) -> bool:
    from SCons.Script import Action

    return not Action(command, cmdstr=None)([target], list(sources), env)
