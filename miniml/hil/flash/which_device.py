"""Which ST-LINK or boot loader belongs to a board: one, or an error that lists them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from miniml.errors import FlashError
from miniml.hil.finding.loaders import loader_at
from miniml.hil.finding.usb_devices import STM32_CDC, UsbDevice
from miniml.hil.flash.method import FlashJob


def pick_device(
    devices: Iterable[UsbDevice],
    usb_ids: Iterable[tuple[int, int]],
    *,
    what: str,
    serial: str = "",
    socket: str = "",
) -> UsbDevice | None:
    """The device of a board; None if there is none.

    Args:
        devices: all that are attached.
        usb_ids: those that it may have.
        what: how a person calls it, such as "ST-LINK".
        serial: its serial number, if the section says it.
        socket: the USB socket that it must hang in, if that is known.

    Raises:
        FlashError: several fit.
    """
    wanted = set(usb_ids)
    fitting = [device for device in devices if device.usb_id in wanted]
    if serial:
        fitting = [device for device in fitting if device.serial == serial]
    elif socket:
        fitting = [device for device in fitting if device.location == socket]
    if len(fitting) > 1:
        names = ", ".join(f"{device.serial or '?'} at {device.location}" for device in fitting)
        raise FlashError(
            f"{len(fitting)} devices may be the board's {what} ({names}): say which by "
            "`flash_serial` in boards.local.ini"
        )
    return fitting[0] if fitting else None


def loader_socket(job: FlashJob) -> str:
    """The USB socket where the board's loader is or will be; empty where it can't be told.

    It is the board's own, if its port is the chip's and no adapter's.
    """
    if in_loader(job):
        return job.place.socket
    port = job.adapter()
    own = job.board.reset == "touch1200" or (port is not None and port.usb_id == STM32_CDC)
    if not own:
        return ""
    return port.socket if port is not None else job.board.usb_location.partition(":")[0]


def in_loader(job: FlashJob) -> bool:
    """Whether the board is in its loader already, as a new one, or after a flash that failed."""
    return job.place.port() is None and loader_at(job.place.socket)


def one_word(serial: str) -> str:
    """The serial number, if it can't be anything else in another program's command line.

    OpenOCD reads its commands as Tcl, where brackets run what a device calls itself.

    Raises:
        FlashError: it has other characters.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.:-]+", serial):
        raise FlashError(
            f"USB serial number {serial!r} can't be given to a tool: use another adapter"
        )
    return serial
