"""miniml boards scan: every port, which board it is, and the map of this bench."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from miniml.boards import BOARDS_FILE, LOCAL_FILE, Board, pick_board
from miniml.cli.project_command import (
    PROBE_WAIT_S,
    Subparsers,
    known_boards,
    project_command,
)
from miniml.errors import PortError, SettingsError, UsageError
from miniml.hil.run_arguments import add_bundle_option, add_lock_timeout

if TYPE_CHECKING:
    from miniml.hil.finding.attached import AttachedPort
    from miniml.hil.finding.bench_map import Proposal
    from miniml.hil.finding.scan import Sighting


def register(actions: Subparsers) -> None:
    """Add `scan` to the group `boards`."""
    scan = project_command(
        actions,
        "scan",
        "show every port and which board it is; --write maps them",
        "Shows every serial port, its USB socket and serial number, and which board it is. Opens "
        "no port without --probe: opening one resets an Arduino that someone else is using.",
        inner=True,
    )
    scan.add_argument(
        "--probe",
        action="store_true",
        help="open each port that may be a board, under its lock, and ask the firmware",
    )
    scan.add_argument(
        "--write", action="store_true", help=f"write what was found into {LOCAL_FILE}"
    )
    scan.add_argument(
        "--file",
        choices=(LOCAL_FILE, BOARDS_FILE),
        default=LOCAL_FILE,
        help="the file that --write changes (default: %(default)s)",
    )
    scan.add_argument("--yes", action="store_true", help="write without asking")
    scan.add_argument("--board", metavar="NAME", help="with --port: this board is on that port")
    scan.add_argument("--port", metavar="PORT", help="look at this port only")
    scan.add_argument(
        "--import",
        dest="import_file",
        type=Path,
        metavar="FILE",
        help="propose what a hardware map of Zephyr's Twister says, not what is attached",
    )
    scan.add_argument(
        "--export",
        dest="export_file",
        type=Path,
        metavar="FILE",
        help="write the boards as a hardware map of Zephyr's Twister",
    )
    add_bundle_option(scan)
    add_lock_timeout(scan, PROBE_WAIT_S)
    scan.set_defaults(run=run_scan)


def run_scan(arguments: argparse.Namespace) -> int:
    """`miniml boards scan`."""
    from miniml.hil.finding.bench_map import propose

    if arguments.board and not arguments.port:
        raise UsageError("--board says who is on --port: give both")
    asking = arguments.write and not arguments.yes
    if asking and (arguments.json or not sys.stdin.isatty()):
        raise UsageError("--write asks before it writes, and here is nobody to ask: add --yes")
    if arguments.bundle is not None and arguments.file != LOCAL_FILE:
        raise UsageError(f"a bundle has its own {BOARDS_FILE}: --file {LOCAL_FILE}")
    project, boards = known_boards(arguments)
    ports = _ports(arguments)
    sightings: list[Sighting] = []
    remarks: list[str] = []
    if arguments.import_file:
        proposals, remarks = _imported(arguments.import_file, boards, ports)
    elif arguments.board:
        proposals = [_assigned(pick_board(boards, arguments.board), arguments.port, ports)]
    else:
        sightings = _sightings(arguments, boards, ports)
        if not arguments.json:
            _show(sightings, boards, ports)
        try:
            proposals = propose(sightings, boards)
        except PortError as error:
            if arguments.write:
                raise
            proposals, remarks = [], [str(error)]
        proposals += _asked(sightings, boards, ports) if asking else []
    if arguments.export_file:
        _export(arguments.export_file, boards, ports)
    written = _write(arguments, project, boards, proposals) if arguments.write else []
    if arguments.json:
        content = {
            "ports": [sighting.to_dict() for sighting in sightings],
            "proposed": [{"board": p.board, "keys": dict(p.keys)} for p in proposals],
            "written": [proposal.board for proposal in written],
            "remarks": remarks,
        }
        print(json.dumps(content, indent=1))
        return 0
    for remark in remarks:
        print(f"left out: {remark}")
    for proposal in proposals if not arguments.write else []:
        print(f"--write would set {proposal}")
    for proposal in written:
        print(f"{arguments.file}: {proposal}")
    if arguments.write and not written:
        print(f"{arguments.file}: nothing to write")
    return 0


def _ports(arguments: argparse.Namespace) -> list[AttachedPort]:
    from miniml.hil.finding.attached import attached_ports

    ports = attached_ports()
    if arguments.port and not any(port.is_at(arguments.port) for port in ports):
        raise PortError(f"port {arguments.port} is not attached: `miniml boards scan` lists them")
    return ports


def _sightings(
    arguments: argparse.Namespace, boards: Mapping[str, Board], ports: list[AttachedPort]
) -> list[Sighting]:
    from miniml.hil.finding.probe import probe_ports
    from miniml.hil.finding.scan import sight

    seen = sight(boards, [p for p in ports if not arguments.port or p.is_at(arguments.port)])
    if not arguments.probe:
        return seen
    # A port that no section fits is only opened if it was named.
    asked = {
        sighting.port.device: [boards[name] for name in sighting.fitting or boards]
        for sighting in seen
        if sighting.fitting or arguments.port
    }
    answers = probe_ports(asked, boards, arguments.lock_timeout)
    return sight(boards, [sighting.port for sighting in seen], answers)


def _show(
    sightings: list[Sighting], boards: Mapping[str, Board], ports: list[AttachedPort]
) -> None:
    from miniml.hil.finding.usb_devices import NAMES, usb_devices

    for sighting in sightings:
        title = f" {sighting.port.title}" if sighting.port.usb_id else ""
        print(f"{sighting.port}{title}: {sighting.words()}")
    sockets = {port.socket for port in ports}
    for device in usb_devices():
        if device.usb_id in NAMES and device.location not in sockets:
            here = [b.name for b in boards.values() if device.location == b.usb_location]
            whose = f"; the map has {' and '.join(here)} there" if here else ""
            print(f"{device}: no serial port{whose}")
    if not sightings:
        print("no serial port is attached: `miniml boards doctor` looks for the reason")


def _imported(
    file: Path, boards: Mapping[str, Board], ports: list[AttachedPort]
) -> tuple[list[Proposal], list[str]]:
    from miniml.hil.finding.twister_map import import_map

    try:
        return import_map(file.read_text(encoding="utf-8"), boards, ports)
    except OSError as error:
        raise UsageError(f"can't read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8 text (byte {error.start})") from error
    except SettingsError as error:
        raise SettingsError(f"{file}: {error}") from error


def _export(file: Path, boards: Mapping[str, Board], ports: list[AttachedPort]) -> None:
    from miniml.atomic_file import write_atomically
    from miniml.hil.finding.twister_map import export_map

    text = export_map(boards, ports)
    try:
        write_atomically(file, text.encode("utf-8"))
    except OSError as error:
        raise UsageError(f"can't write {file}: {error.strerror}") from error


def _assigned(board: Board, device: str, ports: list[AttachedPort]) -> Proposal:
    from miniml.hil.finding.bench_map import assign

    return assign(board, next(port for port in ports if port.is_at(device)), ports)


def _asked(
    sightings: list[Sighting], boards: Mapping[str, Board], ports: list[AttachedPort]
) -> list[Proposal]:
    """Asks which board a port is, where neither ids nor an answer tell."""
    from miniml.hil.finding.bench_map import assign

    found = []
    for sighting in sightings:
        if sighting.board is not None or not sighting.fitting:
            continue
        names = ", ".join(sighting.fitting)
        reply = _reply(f"which board is {sighting.port}? {names}, or Enter for none of them: ")
        if reply:
            found.append(assign(pick_board(boards, reply), sighting.port, ports))
    return found


def _write(
    arguments: argparse.Namespace,
    project: Path,
    boards: Mapping[str, Board],
    proposals: list[Proposal],
) -> list[Proposal]:
    from miniml.hil.finding.bench_map import write_map

    def ask(proposal: Proposal, replaced: list[str]) -> bool:
        if arguments.yes:
            return True
        instead = f" (instead of {', '.join(replaced)})" if replaced else ""
        question = f"{arguments.file}: write {proposal}{instead}? [y/N] "
        return _reply(question).casefold() in ("y", "yes")

    return write_map(project / arguments.file, proposals, boards, ask)


def _reply(question: str) -> str:
    """What a person answers; the end of the input is no answer."""
    try:
        return input(question).strip()
    except EOFError:
        print()
        return ""
