"""miniml boards doctor: what keeps a board from being used, and what to do about it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence

from miniml.boards import Board, pick_board
from miniml.cli.project_command import (
    PROBE_WAIT_S,
    Subparsers,
    known_boards,
    project_command,
)
from miniml.hil.run_arguments import add_bundle_option, add_lock_timeout, names


def register(actions: Subparsers) -> None:
    """Add `doctor` to the group `boards`."""
    doctor = project_command(
        actions,
        "doctor",
        "look for what keeps a board from being used, and say what to do",
        "Looks at tools, rights, programs that take serial ports, drives, boards and, with "
        "--probe, their firmware: a line each, ok or a problem with its remedy. Exit code 1 if "
        "there is a problem.",
        inner=True,
    )
    doctor.add_argument(
        "--board",
        action="append",
        default=[],
        metavar="NAME",
        help="look at this board; may be repeated (default: the mapped and attached ones)",
    )
    doctor.add_argument(
        "--probe", action="store_true", help="open each board's port, under its lock, and ask"
    )
    doctor.add_argument(
        "--udev-rules",
        action="store_true",
        help="print rules that let you open the boards on Linux, and nothing else",
    )
    add_bundle_option(doctor)
    add_lock_timeout(doctor, PROBE_WAIT_S)
    doctor.set_defaults(run=run_doctor)


def run_doctor(arguments: argparse.Namespace) -> int:
    """`miniml boards doctor`."""
    from miniml.hil.doctor.examine import concerned, examine
    from miniml.hil.doctor.machine import Machine
    from miniml.hil.doctor.udev_rules import udev_rules
    from miniml.hil.finding.attached import attached_ports
    from miniml.hil.finding.probe import Answered, probe_ports

    _, boards = known_boards(arguments)
    if arguments.udev_rules:
        print(udev_rules(boards.values()), end="")
        return 0

    def probe(asked: Mapping[str, Sequence[Board]]) -> Mapping[str, Answered]:
        return probe_ports(asked, boards, arguments.lock_timeout)

    ports = attached_ports()
    named = [pick_board(boards, name) for name in names(arguments.board)]
    chosen = named or concerned(boards, ports)
    checks = examine(
        chosen,
        boards,
        ports,
        Machine(),
        probe if arguments.probe else None,
        direct=arguments.bundle is not None,
    )
    healthy = all(check.state != "problem" for check in checks)
    if arguments.json:
        print(json.dumps({"ok": healthy, "checks": [c.to_dict() for c in checks]}, indent=1))
    else:
        print(*checks, sep="\n")
    return 0 if healthy else 1
