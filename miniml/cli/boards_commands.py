"""miniml boards: what is known and what is attached."""

from __future__ import annotations

import argparse
import json
from typing import Any

from miniml.boards import load_boards
from miniml.cli import boards_doctor, boards_scan
from miniml.cli.project_command import Subparsers, project_command
from miniml.hil.project import find_project


def register(subparsers: Subparsers) -> None:
    """Add the group `boards` to the `miniml` parser."""
    group = project_command(
        subparsers,
        "boards",
        "list the known boards and what is attached; scan, map and check a bench",
        "Lists the sections of boards.ini, and the serial ports of this machine that fit them. "
        "Opens no port.",
    )
    group.set_defaults(run=run_list)
    actions = group.add_subparsers(dest="boards_action", metavar="ACTION")
    boards_scan.register(actions)
    boards_doctor.register(actions)


def run_list(arguments: argparse.Namespace) -> int:
    """`miniml boards`."""
    from miniml.hil.finding.attached import attached_ports
    from miniml.hil.finding.candidates import candidates, may_exist

    ports = attached_ports()
    boards = load_boards(find_project(arguments.project_dir))
    listed: list[dict[str, Any]] = [
        {
            "name": board.name,
            "title": board.title,
            "core": board.core,
            "simulator": board.simulator or None,
            "ports": [port for port in [board.port] if may_exist(port)]
            if board.port
            else [port.device for port in candidates(board, ports, boards.values())],
            "resource": board.resource or None,
        }
        for board in boards.values()
    ]
    if arguments.json:
        print(json.dumps({"boards": listed}, indent=1))
        return 0
    width = max(len(board["name"]) for board in listed)
    for board in listed:
        attached = ", ".join(board["ports"]) or board["resource"] or "not attached"
        stand_in = "simulated board available" if board["simulator"] else "no simulated board"
        print(f"{board['name']:<{width}} {board['title']}: {attached}; {stand_in}")
    return 0
