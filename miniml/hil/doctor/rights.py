"""Whether this user may open the boards' ports and USB devices (Linux)."""

from __future__ import annotations

from miniml.hil.doctor.check import Check, ok, problem, unchecked
from miniml.hil.doctor.machine import Machine
from miniml.hil.finding.attached import AttachedPort
from miniml.hil.finding.usb_devices import UsbDevice

UDEV_REMEDY = (
    "`miniml boards doctor --udev-rules | sudo tee /etc/udev/rules.d/60-miniml.rules`, then "
    "`sudo udevadm control --reload`, then replug it"
)


def check_port(board: str, port: AttachedPort, machine: Machine) -> Check:
    """Whether a serial port may be opened, and if not, which of the usual reasons it is."""
    if machine.system != "linux":
        return unchecked(board, f"rights of {port.device}: only on Linux")
    if machine.may_use(port.device):
        return ok(board, f"{port.device} may be opened")
    user, own = machine.user()
    gid = machine.group_of(port.device)
    name, members = groups(machine).get(gid, ("", ())) if gid is not None else ("", ())
    text = f"{user or 'you'} may not open {port.device}"
    if not name or gid == 0:
        return problem(board, text, UDEV_REMEDY)
    if user in members and gid not in own:
        return problem(board, text, f"log out and in: you are in the group {name} since then")
    if gid in own:
        return problem(board, f"{text}, though in its group {name}", UDEV_REMEDY)
    return problem(board, text, f"`sudo usermod -aG {name} {user}`, then log out and in")


def check_device(board: str, device: UsbDevice, machine: Machine) -> Check:
    """Whether a flashing tool may open a USB device that has no serial port."""
    if machine.may_use(device.node):
        return ok(board, f"{device} may be opened")
    return problem(board, f"no right to open {device}", UDEV_REMEDY)


def groups(machine: Machine) -> dict[int, tuple[str, tuple[str, ...]]]:
    """Names and members of the groups in /etc/group, by id."""
    found = {}
    for line in (machine.text("/etc/group") or "").splitlines():
        fields = line.split(":")
        if len(fields) == 4 and fields[2].isdecimal():
            members = tuple(name for name in fields[3].split(",") if name)
            found[int(fields[2])] = (fields[0], members)
    return found
