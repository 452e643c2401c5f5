"""A small project of its own for the build hook's tests, built by the real pio and kit."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from pio_extra.offline import kit

ROOT = Path(__file__).resolve().parent.parent
NAME = "tiny"
MODEL = f"""\
[model]
name = "{NAME}"
hidden = [3]

[data]
file = "{NAME}.csv"
label = "side"

[training]
seed = 1
epochs = 4
restarts = 1
"""
# The board whose core compiles fastest; one is as good as another for most tests.
BOARD = "pico"
# What the hook's process prints when it was started at all.
STARTED = f"MiniML: {NAME} "
TRAINED = " trained, "


@dataclass(frozen=True)
class Run:
    """What one pio said."""

    code: int
    output: str

    @property
    def compiled(self) -> set[str]:
        """Names of the source files that were compiled."""
        found = re.findall(r"^Compiling (\S+)\.o$", self.output, re.MULTILINE)
        return {Path(file).name for file in found}

    @property
    def trainings(self) -> int:
        return self.output.count(TRAINED)

    @property
    def error(self) -> str:
        """The hook's only error line."""
        lines = [line for line in self.output.splitlines() if "Error: MiniML: " in line]
        assert len(lines) == 1, self.output
        assert "Traceback" not in self.output, self.output
        return lines[0]


@dataclass(frozen=True)
class Project:
    """A copy of the checkout's sources with a model that trains in a moment."""

    folder: Path
    core: Path

    @property
    def model(self) -> Path:
        return self.folder / "firmware" / "models" / NAME

    @property
    def lock(self) -> Path:
        return self.model / "model.lock.json"

    def out(self, env: str = BOARD, build_dir: Path | None = None) -> Path:
        return (build_dir or self.folder / ".pio" / "build") / env / "miniml"

    def header(self, env: str = BOARD) -> Path:
        return self.out(env) / f"{NAME}_model.h"

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "platformio", *arguments]

    def environment(self, **more: str) -> dict[str, str]:
        """Surroundings without PlatformIO's."""
        kept = {k: v for k, v in os.environ.items() if "PLATFORMIO" not in k}
        return {**kept, "PLATFORMIO_CORE_DIR": str(self.core), **more}

    def pio(
        self,
        *arguments: str,
        code: int | None = 0,
        cwd: Path | None = None,
        wrap: Sequence[str] = (),
        **environment: str,
    ) -> Run:
        """Run pio in the project; `wrap` are words before it, `environment` goes over ours."""
        done = subprocess.run(
            [*wrap, *self.command(*arguments)],
            cwd=cwd or self.folder,
            env=self.environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        assert code is None or done.returncode == code, done.stdout
        return Run(done.returncode, done.stdout)

    def build(self, *envs: str, code: int | None = 0, **environment: str) -> Run:
        """`pio run` for some environments, BOARD if none is given."""
        words = [word for env in envs or (BOARD,) for word in ("-e", env)]
        return self.pio("run", *words, code=code, cwd=None, wrap=(), **environment)

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace a text that is there in one of the project's files."""
        path = self.folder / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    def append(self, file: str, text: str) -> None:
        with (self.folder / file).open("a", encoding="utf-8") as stream:
            stream.write(text)

    def options(self, text: str) -> None:
        """Add lines to [env] of platformio.ini."""
        self.edit("platformio.ini", "[env]\n", f"[env]\n{text}\n")


def make_project(folder: Path, shared: pytest.TempPathFactory) -> Project:
    """A project in `folder`; the kit is made once for the whole test session."""
    base = shared.getbasetemp()
    common = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    core = common / "kit-of-build-hook"
    with FileLock(common / "kit-of-build-hook.filelock"):
        kit.prepare(core)
    folder.mkdir(parents=True)
    ignored = shutil.ignore_patterns("__pycache__", "models", "sim", "offline", "hil")
    for name in ("firmware", "miniml", "pio_extra"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "boards.ini", folder)
    ini = (ROOT / "platformio.ini").read_text(encoding="utf-8")
    ini = re.sub(r"(?m)^test_framework.*\n", "", ini)
    ini = re.sub(
        r"(?m)^custom_miniml_model.*$", f"custom_miniml_model = firmware/models/{NAME}", ini
    )
    (folder / "platformio.ini").write_text(ini, encoding="utf-8")
    project = Project(folder, core)
    project.model.mkdir(parents=True)
    (project.model / "model.toml").write_text(MODEL, encoding="utf-8")
    rows = [f"{i % 7},{i % 5},{'left' if i % 7 < i % 5 else 'right'}" for i in range(60)]
    (project.model / f"{NAME}.csv").write_text("a,b,side\n" + "\n".join(rows) + "\n", "utf-8")
    return project
