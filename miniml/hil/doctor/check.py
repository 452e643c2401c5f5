"""One thing that was looked at."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["ok", "problem", "unchecked"]


@dataclass(frozen=True)
class Check:
    """What was found, and what to do about it.

    Attributes:
        subject: a board's name, or "machine".
        state: "problem" makes the doctor's exit code 1; "unchecked" says that nobody looked.
        text: what was found.
        remedy: what to do; empty where all is well.
    """

    subject: str
    state: State
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        """In one line."""
        name = "not checked" if self.state == "unchecked" else self.state
        return f"{name:<11} {self.subject}: {self.text}{f': {self.remedy}' if self.remedy else ''}"

    def to_dict(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self)


def ok(subject: str, text: str) -> Check:
    """All is well."""
    return Check(subject, "ok", text)


def problem(subject: str, text: str, remedy: str) -> Check:
    """Something a person has to do something about."""
    return Check(subject, "problem", text, remedy)


def unchecked(subject: str, text: str, remedy: str = "") -> Check:
    """Nobody looked."""
    return Check(subject, "unchecked", text, remedy)
