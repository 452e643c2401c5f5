"""macOS and Windows: what isn't there is imported by nothing but the simulators, which say so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Keeps modules that only Linux has out of our reach; pyserial and PlatformIO choose their own.
GUARD = """
import builtins, importlib, pkgutil, sys
LINUX_ONLY = {"fcntl", "pty", "termios", "tty", "resource", "pwd", "grp", "unicorn"}
OURS = ("miniml", "miniml_hook", "test_custom_runner")
# Chooses by sys.platform between fcntl and msvcrt; mypy checks both halves.
CHOOSES = "miniml.hil.lock.os_lock"
real = builtins.__import__
def guarded(name, globals=None, locals=None, fromlist=(), level=0):
    importer = (globals or {}).get("__name__", "")
    linux_only = name.partition(".")[0] in LINUX_ONLY and importer != CHOOSES
    if linux_only and importer.partition(".")[0] in OURS:
        raise ImportError(f"{importer} imports {name}")
    return real(name, globals, locals, fromlist, level)
builtins.__import__ = guarded
"""
IMPORT_ALL = """
sys.path[:0] = ["test_hil", "pio_extra"]
seen = 0
for name in ("miniml.hil", "miniml.cli", "miniml_hook"):
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        importlib.import_module(module.name)
        seen += 1
for name in ("miniml.build", "test_custom_runner"):
    importlib.import_module(name)
print(seen)
"""


def python(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_harness_hook_and_pio_test_import_nothing_that_only_linux_has() -> None:
    done = python(GUARD + IMPORT_ALL)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50


def test_the_guard_would_see_it() -> None:
    done = python(GUARD + "importlib.import_module('miniml.sim.arm.port')")
    assert "ImportError: miniml.sim.arm.port imports pty" in done.stderr


@pytest.mark.parametrize("system", ["darwin", "win32"])
@pytest.mark.parametrize(
    "command", [["avr", "--state", "x"], ["arm", "--board", "rp2040", "--state", "x"]]
)
def test_simulators_say_that_they_are_for_linux(command: list[str], system: str) -> None:
    name, *options = command
    done = python(
        f"import runpy, sys; sys.argv[1:] = {options!r}; sys.platform = {system!r}; "
        f"runpy.run_module('miniml.sim.{name}', run_name='__main__', alter_sys=True)"
    )
    assert done.returncode == 4
    assert done.stderr.count("\n") == 1
    assert "simulated boards need Linux: attach a real board" in done.stderr
