"""`make demo`, `make lock`, `make clean`, and the offline kit that every task has made."""

from __future__ import annotations

import shutil
import subprocess

from pio_extra.provision import firmware_build, world
from pio_extra.provision.errors import SetupError
from pio_extra.provision.surroundings import KIT, PYTHON, ROOT, child_environment

LOCK_HEAD = """\
# Exact versions and hashes for Python 3.11 to 3.13; made by `make lock`,
# installed by `make setup`.
"""


def demo() -> int:
    """Train, build for the four boards, run the test split on each, report.

    Returns the exit code of `miniml run`: 0 pass, 1 fail, 3 no board, 4 infrastructure.
    """
    worlds = world.choose()
    print(worlds.line(), flush=True)
    # The build would train as well, but can't show how it goes: its output is a pipe.
    for model in world.models():
        if code := _miniml("train", model):
            return code
    if firmware_build.build(worlds):
        return 4
    # Its last line says where the report is.
    return _miniml("run", kit=not worlds.official)


def lock() -> int:
    """Resolve requirements.lock anew, for all supported Pythons and systems.

    Raises:
        SetupError: uv can't be had, or found no solution.
    """
    tools = ROOT / ".pio" / "miniml" / "uv"
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "install", "-qq", "--upgrade"]
    _checked([*pip, "--target", str(tools), "uv"], "", "pip could not install uv")
    text = _checked(
        [
            *(str(tools / "bin" / "uv"), "pip", "compile", "--quiet", "--universal"),
            *("--python-version", "3.11", "--generate-hashes", "--no-emit-index-url"),
            *("--no-header", "--no-annotate", "--upgrade"),
            *("--extra", "pio", "--extra", "sim", "--extra", "dev", "pyproject.toml", "-"),
        ],
        # Building the project itself without a network takes setuptools in the environment.
        "setuptools>=77\n",
        "uv could not resolve the packages",
    )
    partial = ROOT / "requirements.lock.tmp"
    partial.write_text(LOCK_HEAD + text, encoding="utf-8")
    partial.replace(ROOT / "requirements.lock")
    return 0


def clean() -> int:
    """Remove what a build makes: `.pio`, caches; with the kit, which is made again at once."""
    for name in (".pio", KIT.name, ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis"):
        shutil.rmtree(ROOT / name, ignore_errors=True)
    return 0


def make_kit() -> None:
    """Make or renew the offline kit.

    Raises:
        SetupError: it could not be made; the reason is on stderr.
    """
    command = [str(PYTHON), "-m", "pio_extra.offline", str(KIT)]
    if subprocess.run(command, cwd=ROOT, env=child_environment(), check=False).returncode:
        raise SetupError("the offline kit could not be made (the reason is above)")


def _miniml(*words: str, kit: bool = False) -> int:
    # For what the kit built the harness finds the kit itself, if nobody chose another.
    variables = child_environment(kit=kit)
    if not kit and variables.get("PLATFORMIO_CORE_DIR") == str(KIT):
        del variables["PLATFORMIO_CORE_DIR"]
    command = [str(PYTHON), "-m", "miniml", *words]
    return subprocess.run(command, cwd=ROOT, env=variables, check=False).returncode


def _checked(command: list[str], text: str, failure: str) -> str:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=child_environment(),
        input=text,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SetupError(f"{failure} (its words are above)")
    return done.stdout
