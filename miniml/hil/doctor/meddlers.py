"""Programs of a desktop that take serial ports for something else (Linux)."""

from __future__ import annotations

from collections.abc import Iterable

from miniml.hil.doctor.check import Check, ok, problem
from miniml.hil.doctor.machine import Machine
from miniml.hil.doctor.rights import UDEV_REMEDY
from miniml.hil.finding.attached import AttachedPort
from miniml.hil.finding.usb_devices import UsbDevice

# Adapters that brltty's udev rules have named as braille displays, the CH340 until Ubuntu 22.04.
BRLTTY_IDS = ((0x1A86, 0x7523), (0x10C4, 0xEA60), (0x0403, 0x6001))
RULES = ("/etc/udev/rules.d", "/run/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d")
MARKS = ("ID_MM_DEVICE_IGNORE=1", "ID_MM_PORT_IGNORE=1")


def check_modem_manager(ports: Iterable[AttachedPort], machine: Machine) -> list[Check]:
    """ModemManager opens every new ttyACM and sends AT commands, into bootloaders too."""
    if "ModemManager" not in machine.processes():
        return [ok("machine", "ModemManager doesn't run")]
    found = []
    for port in ports:
        if "ttyACM" not in port.device:
            continue  # it probes only what says that it is a modem: a CDC-ACM device
        said = machine.run(["udevadm", "info", "--query=property", f"--name={port.device}"]) or ""
        if port.socket:
            device = f"--path=/sys/bus/usb/devices/{port.socket}"
            said += machine.run(["udevadm", "info", "--query=property", device]) or ""
        if any(mark in said.splitlines() for mark in MARKS):
            found.append(ok("machine", f"ModemManager runs and leaves {port.device} alone"))
        else:
            found.append(
                problem(
                    "machine",
                    f"ModemManager runs and sends AT commands to {port.device} when it appears",
                    f"{UDEV_REMEDY}; or `sudo systemctl disable --now ModemManager`",
                )
            )
    return found or [ok("machine", "ModemManager runs; no board is on a ttyACM port")]


def check_brltty(
    ports: Iterable[AttachedPort], devices: Iterable[UsbDevice], machine: Machine
) -> list[Check]:
    """brltty, for braille displays, takes a CH340 away a second after it was plugged in."""
    sockets = {port.socket for port in ports}
    adapters = [device for device in devices if device.usb_id in BRLTTY_IDS]
    if not adapters:
        return []
    rules = _rules(machine)
    running = "brltty" in machine.processes()
    found = []
    for device in adapters:
        # The kernel writes PRODUCT without leading zeros.
        product = '=="{:x}/{:x}/'.format(*device.usb_id)
        file = next((name for name, text in rules.items() if product in text.lower()), "")
        if not file and device.location in sockets:
            continue
        if file or running:
            hide = f", or, if you need it, `sudo ln -s /dev/null /etc/udev/rules.d/{file}`"
            remedy = f"`sudo apt remove brltty`{hide if file else ''}; then replug the board"
            found.append(problem("machine", f"brltty takes {device} for a braille display", remedy))
        else:
            remedy = "its driver (ch341, cp210x, ftdi_sio) is missing: look at `sudo dmesg`"
            found.append(problem("machine", f"{device} has no serial port", remedy))
    return found or [ok("machine", "brltty leaves the USB adapters alone")]


def _rules(machine: Machine) -> dict[str, str]:
    """The rules of brltty that take a device by its ids alone; one in /etc hides its namesake."""
    found: dict[str, str] = {}
    for folder in RULES:
        for name in machine.names(folder):
            if "brltty" in name and name.endswith(".rules") and name not in found:
                lines = (machine.text(f"{folder}/{name}") or "").splitlines()
                found[name] = "\n".join(
                    line for line in lines if line.lstrip()[:1] != "#" and "ATTRS{" not in line
                )
    return found
