"""`make test`, `make lint`, `make format` and `make campaign`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pio_extra.provision import firmware_build, world
from pio_extra.provision.errors import SetupError
from pio_extra.provision.surroundings import BIN, KIT, PYTHON, ROOT, child_environment

C_FOLDERS = ("firmware", "miniml", "pio_extra")
# The harness, the hook and `pio test`; what they import is checked with them. Simulators are
# for Linux, and so is what makes the offline kit.
PORTABLE = ("miniml/hil", "miniml/cli", "miniml/build.py", "test_hil", "pio_extra/miniml_hook")
C_SUFFIXES = (".c", ".h", ".cpp")


@dataclass(frozen=True)
class Check:
    """One step: its name, and what runs it; returns an exit code.

    Attributes:
        quiet: its output is shown only if it failed.
    """

    name: str
    command: Sequence[str] | Callable[[], int]
    quiet: bool = True


def test() -> int:
    """Every check, also after one has failed; returns 1 if any did."""
    return _run_all([*_readers(), Check("pio run", _build), Check("pytest", _pytest(), False)])


def lint() -> int:
    """The checks of `test` that only read the sources."""
    return _run_all(_readers())


def format_sources() -> int:
    """Bring Python and C sources into the project's form."""
    return _run_all(
        [
            Check("ruff check", [_tool("ruff"), "check", "--fix-only", "."]),
            Check("ruff format", [_tool("ruff"), "format", "."]),
            Check("clang-format", ["clang-format", "-i", *c_files()]),
        ]
    )


def campaign() -> int:
    """The long tests that `test` leaves out: every tests/campaign_*.py is a program."""
    files = sorted((ROOT / "tests").glob("campaign_*.py"))
    return _run_all([Check(file.stem, [str(PYTHON), str(file)], False) for file in files])


def c_files() -> list[str]:
    """The C and C++ sources of the project, relative to its root."""
    return [
        str(file.relative_to(ROOT))
        for folder in C_FOLDERS
        for file in sorted((ROOT / folder).rglob("*"))
        if file.suffix in C_SUFFIXES
    ]


def _readers() -> list[Check]:
    return [
        Check("ruff check", [_tool("ruff"), "check", "."]),
        Check("ruff format", [_tool("ruff"), "format", "--check", "."]),
        Check("clang-format", ["clang-format", "--dry-run", "-Werror", *c_files()]),
        Check("mypy", [_tool("mypy")]),
        *(Check(f"mypy {platform}", _mypy_for(platform)) for platform in ("darwin", "win32")),
    ]


def _mypy_for(platform: str) -> list[str]:
    """Of what must run on other systems; with a cache of its own, which others would empty."""
    cache = str(ROOT / ".mypy_cache" / platform)
    return [_tool("mypy"), "--platform", platform, "--cache-dir", cache, *PORTABLE]


def _pytest() -> list[str]:
    return [_tool("pytest"), "-q", "-n", "2", "--durations", "5"]


def _build() -> int:
    # The tests simulate every board, whatever is attached.
    return firmware_build.build(world.Worlds(tuple(world.environments()), ()))


def _run_all(checks: Sequence[Check]) -> int:
    failed = []
    for check in checks:
        since = time.monotonic()
        code = check.command() if callable(check.command) else _run(check.command, check.quiet)
        seconds = time.monotonic() - since
        print(f"{check.name:<14}{'FAILED' if code else 'ok':<8}{seconds:7.1f} s", flush=True)
        if code:
            failed.append(check.name)
    print(f"failed: {', '.join(failed)}" if failed else "all passed", flush=True)
    return 1 if failed else 0


def _run(command: Sequence[str], quiet: bool) -> int:
    # A user's PlatformIO, boards and choices must not reach the tests.
    variables = child_environment(kit=KIT.is_dir())
    variables.pop(world.CHOICE, None)
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=variables, check=False, capture_output=quiet, text=True
        )
    except FileNotFoundError as error:
        raise SetupError(f"{command[0]} is missing: run make setup") from error
    if quiet and done.returncode:
        sys.stdout.write(done.stdout + done.stderr)
    return done.returncode


def _tool(name: str) -> str:
    return str(BIN / (f"{name}.exe" if os.name == "nt" else name))
