"""What the targets of make run once everything is set up."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from pio_extra.provision.errors import SetupError
from pio_extra.provision.surroundings import BIN, KIT, PYTHON, ROOT, child_environment

C_FOLDERS = ("firmware", "miniml", "pio_extra")
C_SUFFIXES = (".c", ".h", ".cpp")


def build(*arguments: str) -> int:
    """`pio run` with the offline kit: simulated boards run what it builds."""
    return run(_tool("pio"), "run", "-d", str(ROOT), *arguments)


def demo() -> int:
    """Train, build for the four boards, run the test split on each, report."""
    return build() or run(_tool("miniml"), "run")


def test() -> int:
    """Every check, also after one has failed; returns 1 if any did."""
    checks = {
        "ruff check": [_tool("ruff"), "check", "."],
        "ruff format": [_tool("ruff"), "format", "--check", "."],
        "clang-format": ["clang-format", "--dry-run", "-Werror", *c_files()],
        "mypy": [_tool("mypy")],
        "pio run": [_tool("pio"), "run", "-d", str(ROOT)],
        "pytest": [_tool("pytest"), "-n", "2"],
    }
    failed = [name for name, command in checks.items() if run(*command)]
    print(f"failed: {', '.join(failed)}" if failed else "all checks passed", flush=True)
    return 1 if failed else 0


def lint() -> int:
    """The checks of `test` that read the sources only."""
    commands = (
        [_tool("ruff"), "check", "."],
        [_tool("ruff"), "format", "--check", "."],
        ["clang-format", "--dry-run", "-Werror", *c_files()],
        [_tool("mypy")],
    )
    return max(run(*command) for command in commands) and 1


def format_sources() -> int:
    """Bring Python and C sources into the project's form."""
    commands = (
        [_tool("ruff"), "check", "--fix-only", "."],
        [_tool("ruff"), "format", "."],
        ["clang-format", "-i", *c_files()],
    )
    return max(run(*command) for command in commands) and 1


def campaign() -> int:
    """The long tests that `test` leaves out."""
    return run(_tool("pytest"), "-n", "2", "-m", "campaign")


def lock() -> int:
    """Resolve requirements.lock anew, for all supported Pythons and systems."""
    tools = ROOT / ".pio" / "miniml" / "uv"
    run(str(PYTHON), "-m", "pip", "install", "--quiet", "--upgrade", "--target", str(tools), "uv")
    text = subprocess.run(
        [
            *(str(tools / "bin" / "uv"), "pip", "compile", "--quiet", "--universal"),
            *("--python-version", "3.11", "--generate-hashes", "--no-emit-index-url"),
            *("--no-header", "--no-annotate", "--upgrade"),
            *("--extra", "pio", "--extra", "sim", "--extra", "dev", "pyproject.toml", "-"),
        ],
        cwd=ROOT,
        env=child_environment(),
        # Building the project itself without a network takes setuptools in the environment.
        input="setuptools>=77\n",
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if text.returncode:
        raise SetupError("uv could not resolve the packages (its words are above)")
    head = "# Exact versions and hashes for Python 3.11 to 3.13; made by `make lock`,\n"
    head += "# installed by `make setup`.\n"
    partial = ROOT / "requirements.lock.tmp"
    partial.write_text(head + text.stdout, encoding="utf-8")
    partial.replace(ROOT / "requirements.lock")
    return 0


def clean() -> int:
    """Remove what a build makes: `.pio`, caches; with the kit, which is made again at once."""
    for name in (".pio", KIT.name, ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis"):
        shutil.rmtree(ROOT / name, ignore_errors=True)
    return 0


def c_files() -> list[str]:
    """The C and C++ sources of the project, relative to its root."""
    return [
        str(file.relative_to(ROOT))
        for folder in C_FOLDERS
        for file in sorted((ROOT / folder).rglob("*"))
        if file.suffix in C_SUFFIXES
    ]


def make_kit() -> None:
    """Make or renew the offline kit.

    Raises:
        SetupError: it could not be made; the reason is on stderr.
    """
    if run(str(PYTHON), "-m", "pio_extra.offline", str(KIT), quiet=True):
        raise SetupError("the offline kit could not be made (the reason is above)")


def run(*command: str, quiet: bool = False) -> int:
    """Run one command from the project's root, with the kit; returns its exit code."""
    if not quiet:
        words = [Path(command[0]).name, *command[1:]]
        print("+ " + " ".join(words if len(words) < 12 else [*words[:3], "..."]), flush=True)
    try:
        return subprocess.run(
            command, cwd=ROOT, env=child_environment(kit=True), check=False
        ).returncode
    except FileNotFoundError as error:
        raise SetupError(f"{command[0]} is missing: run make setup") from error


def _tool(name: str) -> str:
    return str(BIN / name)
