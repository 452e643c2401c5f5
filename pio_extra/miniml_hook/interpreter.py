"""Finds a Python that has MiniML's packages, and runs the package in it.

Order: `custom_miniml_python`, the project's `.venv`, that of MiniML's checkout where the scripts
lie in one, PlatformIO's own. VS Code's PlatformIO lives in an environment of its own that knows
nothing of the project's packages.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

# miniml.build ends with this code, and a line "missing: ..." on stdout, where it can't run.
MISSING_PACKAGES = 78


class HookError(Exception):
    """One line for the user; the build stops."""


def candidates(project_dir: Path, checkout: Path, option: str, own: str) -> list[str]:
    """Interpreters to try, best first.

    Args:
        project_dir: of platformio.ini.
        checkout: folder above these scripts; the project's own, or MiniML's beside it.
        option: `custom_miniml_python`, or "".
        own: PlatformIO's.

    Raises:
        HookError: `custom_miniml_python` names no file.
    """
    if option:
        chosen = Path(option).expanduser()
        if not chosen.is_absolute():
            chosen = project_dir / chosen
        if not chosen.is_file():
            raise HookError(
                f"custom_miniml_python = {option}: there is no such file; correct it in "
                "platformio.ini or remove it"
            )
        return [str(chosen)]
    venvs = [folder / ".venv" for folder in dict.fromkeys((project_dir, checkout))]
    inside = [venv / name for venv in venvs for name in ("bin/python", "Scripts/python.exe")]
    return [str(python) for python in inside if python.is_file()] + [own]


def run_package(
    pythons: Sequence[str], checkout: Path, arguments: Sequence[str], install: bool
) -> str:
    """Run `python -m miniml.build ARGUMENTS` in the first interpreter that can.

    Args:
        checkout: folder that holds the `miniml` package; where it doesn't, the package must
            be installed in the interpreter.
        install: let pip install what is missing, into the first interpreter.

    Returns:
        What it printed.

    Raises:
        HookError: no interpreter has the packages.
        SystemExit: the package ended with an error, which it has printed.
    """
    environment = _environment(checkout)
    missing = []
    for python in pythons:
        wants = _try(python, environment, arguments)
        if isinstance(wants, _Output):
            return wants.text
        missing.append((python, wants))
    python, packages = missing[0]
    if install:
        _install(python, packages, environment)
        wants = _try(python, environment, arguments)
        if isinstance(wants, _Output):
            return wants.text
        packages = wants
    raise HookError(_advice(python, packages))


class _Output:
    def __init__(self, text: str) -> None:
        self.text = text


def _environment(checkout: Path) -> dict[str, str]:
    environment = dict(os.environ)
    # A virtual environment's Python started from another one's must not inherit its home.
    environment.pop("PYTHONHOME", None)
    if (checkout / "miniml" / "build.py").is_file():
        paths = [str(checkout), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    environment["PYTHONIOENCODING"] = "utf-8"
    return environment


def _try(
    python: str, environment: Mapping[str, str], arguments: Sequence[str]
) -> _Output | list[str]:
    """What it printed, or the packages that are missing there."""
    probe = "import importlib.util as u, sys; sys.exit(u.find_spec('miniml') is None)"
    try:
        if subprocess.run([python, "-c", probe], env=environment).returncode != 0:
            return ["miniml-pio"]
        done = subprocess.run(
            [python, "-m", "miniml.build", *arguments],
            env=environment,
            stdout=subprocess.PIPE,
        )
    except OSError as error:
        raise HookError(f"can't start {python}: {error.strerror}") from None
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode == MISSING_PACKAGES:
        return text.strip().rpartition("missing: ")[2].split()
    if done.returncode != 0:
        sys.stdout.write(text)
        raise SystemExit(1)
    return _Output(text)


def _pip(python: str, packages: Sequence[str]) -> list[str]:
    return [python, "-m", "pip", "install", *packages]


def _typed(command: Sequence[str]) -> str:
    """A command as one types it, in sh and in cmd alike: `>` in a version must be quoted."""
    return " ".join(f'"{word}"' if set(word) & set(" <>=~!&()") else word for word in command)


def _install(python: str, packages: Sequence[str], environment: Mapping[str, str]) -> None:
    command = _pip(python, packages)
    print(f"MiniML: custom_miniml_install = yes: {_typed(command)}", flush=True)
    done = subprocess.run(
        [*command, "--quiet", "--disable-pip-version-check"], env=dict(environment)
    )
    if done.returncode != 0:
        raise HookError(f"pip failed: run it by hand: {_typed(command)}")


def _advice(python: str, packages: Sequence[str]) -> str:
    if any(package.startswith("python>=") for package in packages):
        return (
            f"{python} is too old, MiniML needs Python 3.11 or newer; run: python3.11 -m venv "
            ".venv (in the project), or set custom_miniml_python in platformio.ini"
        )
    command = _typed(_pip(python, packages))
    return (
        f"{python} lacks {', '.join(packages)}; run: {command}   (or set custom_miniml_install = "
        "yes, or custom_miniml_python to a Python that has them)"
    )
