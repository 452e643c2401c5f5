"""All checks, in the order in which a person should care."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from miniml.boards import Board
from miniml.errors import PortError
from miniml.hil.doctor.boards import check_answer, check_presence
from miniml.hil.doctor.check import Check, problem, unchecked
from miniml.hil.doctor.drives import check_drives
from miniml.hil.doctor.machine import Machine
from miniml.hil.doctor.meddlers import check_brltty, check_modem_manager
from miniml.hil.doctor.rights import check_device, check_port
from miniml.hil.doctor.tools import check_tools
from miniml.hil.finding.attached import AttachedPort
from miniml.hil.finding.candidates import find_port, is_mapped
from miniml.hil.finding.probe import Answered
from miniml.hil.finding.usb_devices import NAMES

Probe = Callable[[Mapping[str, Sequence[Board]]], Mapping[str, Answered]]


def concerned(boards: Mapping[str, Board], ports: list[AttachedPort]) -> list[Board]:
    """The boards that this bench is about: mapped ones, and those that are attached."""

    def is_here(board: Board) -> bool:
        try:
            return is_mapped(board) or find_port(board, ports, boards.values()) is not None
        except PortError:
            return True

    return [board for board in boards.values() if is_here(board)]


def examine(
    chosen: Sequence[Board],
    boards: Mapping[str, Board],
    ports: list[AttachedPort],
    machine: Machine,
    probe: Probe | None,
    *,
    direct: bool = False,
) -> list[Check]:
    """A line for each thing that was looked at.

    Args:
        chosen: the boards to look at.
        boards: all boards.
        ports: what is attached.
        machine: what is asked about tools, rights, programs and drives.
        probe: opens ports and asks who is there; None: none is opened.
        direct: whether tools run without PlatformIO, as from a bundle.
    """
    if not chosen:
        remedy = "plug one in, with a cable that has data lines, or name it by --board"
        checks = [problem("machine", "no board is attached", remedy)]
    else:
        checks = check_tools(chosen, machine, direct=direct)
    devices = machine.usb()
    present: dict[str, list[Board]] = {}
    for board in chosen:
        check, port = check_presence(board, boards, ports, devices)
        checks.append(check)
        if port is not None:
            present.setdefault(port, []).append(board)
            listed = next((item for item in ports if item.is_at(port)), AttachedPort(port))
            if "://" not in port:
                checks.append(check_port(board.name, listed, machine))
    sockets = {port.socket for port in ports}
    for device in devices:
        if device.usb_id in NAMES and device.location not in sockets:
            checks.append(check_device("machine", device, machine))
    if machine.system == "linux":
        used = [port for port in ports if any(port.is_at(name) for name in present)]
        checks += check_modem_manager(used, machine)
        checks += check_brltty(ports, devices, machine)
    else:
        text = "ModemManager, brltty, USB devices without a port: only on Linux"
        checks.append(unchecked("machine", text))
    if any(board.flash_method == "uf2" for board in chosen):
        checks += check_drives(devices, machine)
    answers = probe(present) if probe is not None else {}
    for port, here in present.items():
        for board in here:
            checks.append(check_answer(board, port, ports, boards, answers.get(port)))
    return checks
