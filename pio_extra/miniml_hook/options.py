"""The `custom_miniml_*` options of one environment, as platformio.ini gives them."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .interpreter import HookError

PREFIX = "custom_miniml_"
OPTIONS = ("model", "board", "mode", "train", "python", "install")
TRAIN = ("", "auto", "frozen")
INSTALL = ("yes", "no")


@dataclass(frozen=True)
class Options:
    """What the hook was asked to do for one environment (docs/BUILD_HOOK.md).

    Attributes:
        project_dir: the folder of platformio.ini.
        model_dir: the folder of model.toml.
        board: section of boards.ini.
        mode: how the model computes, or "" (what boards.ini says of the board).
        train: "auto", "frozen" or "" (what model.toml says).
        python: an interpreter, or "".
        install: "yes" where pip may install what is missing, or "no".
        out_dir: where the headers go.
        cache_dir: what outlives `-t clean`.
        unknown: option names that MiniML does not have.
    """

    project_dir: Path
    model_dir: Path
    board: str
    mode: str
    train: str
    python: str
    install: str
    out_dir: Path
    cache_dir: Path
    unknown: tuple[str, ...]

    def arguments(self) -> list[str]:
        """The argument list of `python -m miniml.build`."""
        found = ["--project-dir", str(self.project_dir), "--model-dir", str(self.model_dir)]
        found += ["--board", self.board, "--out", str(self.out_dir), "--cache", str(self.cache_dir)]
        found += ["--mode", self.mode] if self.mode else []
        return found + (["--train", self.train] if self.train else [])


def read_options(env: Any) -> Options:
    """Options of a SCons environment."""

    def option(name: str, default: str) -> str:
        return str(env.subst(str(env.GetProjectOption(PREFIX + name, default)))).strip()

    project_dir = Path(env.subst("$PROJECT_DIR")).absolute()
    given = [name for name, _ in env.GetProjectOptions() if name.startswith(PREFIX)]
    return Options(
        project_dir=project_dir,
        model_dir=project_dir / option("model", "firmware/models"),
        board=option("board", env["PIOENV"]),
        mode=option("mode", ""),
        train=option("train", ""),
        python=option("python", ""),
        install=option("install", "no").lower(),
        out_dir=Path(env.subst("$BUILD_DIR")).absolute() / "miniml",
        cache_dir=Path(env.subst("$PROJECT_WORKSPACE_DIR")).absolute() / "miniml" / "cache",
        unknown=tuple(name for name in given if name[len(PREFIX) :] not in OPTIONS),
    )


def check(options: Options) -> None:
    """Refuse what platformio.ini has wrong, before anything is started.

    Raises:
        HookError: an unknown option or a value out of range.
    """
    for name in options.unknown:
        known = [PREFIX + valid for valid in OPTIONS]
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
        raise HookError(f"platformio.ini: unknown option {name}; {hint}")
    if options.train not in TRAIN:
        raise HookError(f"platformio.ini: {PREFIX}train = {options.train}: must be auto or frozen")
    if options.install not in INSTALL:
        raise HookError(f"platformio.ini: {PREFIX}install = {options.install}: must be yes or no")
