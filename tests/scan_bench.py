"""A project and what is attached, for `miniml boards scan`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attached_boards import attached, ch340, pico, st_link, uno

from miniml.cli import main
from miniml.hil.finding import attached as attached_module
from miniml.hil.finding import probe

ROOT = Path(__file__).parents[1]
Plug = Callable[..., None]
# Exit code, stdout, stderr.
Scan = Callable[..., tuple[int, str, str]]


def make_project(folder: Path) -> Path:
    """A project of nothing but its boards."""
    for name in ("boards.ini", "platformio.ini"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def make_plug(monkeypatch: pytest.MonkeyPatch) -> Plug:
    """Says what is attached from now on: at first four boards; nobody is at the terminal."""

    def plug(*ports: Any) -> None:
        monkeypatch.setattr(attached_module, "attached_ports", lambda: attached(*ports))

    # Who answers isn't missed, however loaded the machine is.
    monkeypatch.setattr(probe, "PATIENCE", 10)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    plug(uno(), ch340(), st_link(), pico())
    return plug


def make_scan(project: Path, capsys: pytest.CaptureFixture[str]) -> Scan:
    """Runs the command."""

    def run(*words: str) -> tuple[int, str, str]:
        code = main(["boards", "scan", "--project-dir", str(project), *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def local(project: Path) -> str:
    """boards.local.ini."""
    return (project / "boards.local.ini").read_text(encoding="utf-8")


def answer(monkeypatch: pytest.MonkeyPatch, *replies: str) -> list[str]:
    """A person at a terminal who says this; returns the questions as they come."""
    left, questions = list(replies), []

    def say(question: str) -> str:
        questions.append(question)
        return left.pop(0)

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", say)
    return questions
