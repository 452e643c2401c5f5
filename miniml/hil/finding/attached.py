"""The serial ports of this machine, as pyserial lists them. Opens none."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from miniml.errors import PortError

# A USB string descriptor holds at most 126 characters (USB 2.0, 9.6.7).
MAX_TEXT = 126
LIST_ATTEMPTS = 5
LIST_INTERVAL_S = 0.02


@dataclass(frozen=True)
class AttachedPort:
    """A serial port that the system lists.

    Attributes:
        device: what is opened.
        usb_id: (vendor, product); None where it isn't a USB adapter.
        serial: the adapter's serial number; may be empty.
        location: the USB socket, the only name that every adapter has; may be empty.
        title: what the adapter or the system calls it.
    """

    device: str
    usb_id: tuple[int, int] | None = None
    serial: str = ""
    location: str = ""
    title: str = ""

    @property
    def socket(self) -> str:
        """The USB socket without the interface: a board's bootloader may have others."""
        return self.location.partition(":")[0]

    def is_at(self, path: str) -> bool:
        """Whether a path, or what a symbolic link such as /dev/serial/by-id/... leads to, is it."""
        return self.device == path or ("://" not in path and self.device == os.path.realpath(path))

    def __str__(self) -> str:
        """Such as `/dev/ttyUSB0 (1a86:7523, USB socket 1-1.4, no serial number)`."""
        if self.usb_id is None:
            return self.device
        vendor, product = self.usb_id
        where = f", USB socket {self.location}" if self.location else ""
        serial = f"serial number {self.serial}" if self.serial else "no serial number"
        return f"{self.device} ({vendor:04x}:{product:04x}{where}, {serial})"


def attached_ports() -> list[AttachedPort]:
    """Every serial port of this machine, by name.

    Raises:
        PortError: the system's list can't be read.
    """
    from serial.tools import list_ports

    for attempt in range(LIST_ATTEMPTS):
        try:
            return sorted(map(from_pyserial, list_ports.comports()), key=lambda port: port.device)
        except (OSError, TypeError, ValueError) as error:
            # pyserial reads sysfs file by file: a board that vanishes meanwhile leaves it with
            # the number None.
            failure = error
        time.sleep(LIST_INTERVAL_S * (attempt + 1))
    raise PortError(f"the list of serial ports can't be read ({failure}): try again") from failure


def from_pyserial(port: Any) -> AttachedPort:
    """A port from pyserial's ListPortInfo; what the device says of itself is made harmless."""
    return AttachedPort(
        device=port.device,
        usb_id=(port.vid, port.pid) if port.vid is not None else None,
        serial=harmless(port.serial_number),
        location=port.location or "",
        title=harmless(port.product or port.description),
    )


def harmless(text: str | None) -> str:
    """Text from a device: bounded, one line, nothing that drives a terminal."""
    shown = (char if " " <= char <= "~" else "?" for char in (text or "")[:MAX_TEXT])
    return "".join(shown).strip()


def is_pty(port: str) -> bool:
    """Whether a simulated board must be behind a port: no real one hangs on a PTY."""
    return os.name != "nt" and str(Path(port).resolve()).startswith(("/dev/pts/", "/dev/ttys"))
