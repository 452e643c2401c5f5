"""Whether the drive of an RP2040 in BOOTSEL is mounted (Linux)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from miniml.hil.doctor.check import Check, ok, problem, unchecked
from miniml.hil.doctor.machine import Machine
from miniml.hil.finding.usb_devices import RP2040_BOOT, UsbDevice
from miniml.hil.flash.drives import DRIVE_NAME

# util-linux before 2.37 knows one mount point a device only.
COLUMNS = ("PATH,LABEL,MOUNTPOINTS", "PATH,LABEL,MOUNTPOINT")


def check_drives(devices: Iterable[UsbDevice], machine: Machine) -> list[Check]:
    """A line for each RP2040 drive that is there, or should be."""
    waiting = [device for device in devices if device.usb_id == RP2040_BOOT]
    if machine.system != "linux":
        return [unchecked("machine", f"whether a drive {DRIVE_NAME} is mounted: only on Linux")]
    said = None
    for columns in COLUMNS:
        said = said or machine.run(["lsblk", "--json", "--output", columns])
    if said is None:
        text = f"whether a drive {DRIVE_NAME} is mounted: lsblk is missing"
        return [unchecked("machine", text)] if waiting else []
    found = []
    for path, mounts in _drives(said):
        if mounts:
            found.append(ok("machine", f"the drive {DRIVE_NAME} on {path} is at {mounts[0]}"))
        else:
            remedy = (
                f"`udisksctl mount -b {path}`; or flash_method = picotool, which needs no drive"
            )
            text = f"the drive {DRIVE_NAME} on {path} isn't mounted"
            found.append(problem("machine", text, remedy))
    if waiting and not found:
        found.append(
            problem(
                "machine",
                f"{waiting[0]} shows no drive",
                "wait some seconds; else the machine blocks USB drives: flash_method = picotool",
            )
        )
    return found


def _drives(said: str) -> Iterator[tuple[str, list[str]]]:
    """Path and mount points of each device of that label in lsblk's JSON."""
    try:
        todo: list[Any] = list(json.loads(said)["blockdevices"])
    except (ValueError, KeyError, TypeError):
        return
    while todo:
        item = todo.pop()
        if not isinstance(item, dict):
            continue
        todo += item.get("children") or []
        if item.get("label") == DRIVE_NAME:
            mounts = item.get("mountpoints") or [item.get("mountpoint")]
            yield str(item.get("path")), [str(mount) for mount in mounts if mount]
