"""Flashes an RP2040 in BOOTSEL by picotool, which also works where drives aren't mounted."""

from __future__ import annotations

import time

from miniml.errors import FlashError
from miniml.hil.finding.usb_devices import RP2040_BOOT, UsbDevice, usb_devices
from miniml.hil.flash.bootsel import rp2040_lock
from miniml.hil.flash.enter import enter_loader
from miniml.hil.flash.method import FlashJob
from miniml.hil.flash.tools import find_tool
from miniml.hil.flash.which_device import loader_socket, pick_device

LOADER_TIMEOUT_S = 15.0


class Picotool:
    """Directly, also where there is a project: PlatformIO's uploader for the Pico takes no device.

    platform-raspberrypi 1.19 calls `rp2040load -v -D`, which takes the first that it finds.
    """

    def flash(self, job: FlashJob) -> None:
        """Into BOOTSEL, write, verify, start."""
        with rp2040_lock(job):
            socket = loader_socket(job)
            device = pick_device(usb_devices(), [RP2040_BOOT], what="boot loader", socket=socket)
            if device is not None and not socket:
                raise FlashError(
                    f"another RP2040 is already in BOOTSEL (USB {device.location}): finish or "
                    "unplug it"
                )
            if device is None:
                enter_loader(job, ask=True)
                device = self._await_loader(job, socket)
            job.run(command(job, device))
            job.port()  # within the lock: until it is back, its socket tells it from another

    def _await_loader(self, job: FlashJob, socket: str) -> UsbDevice:
        deadline = time.monotonic() + LOADER_TIMEOUT_S
        while not job.cancel.is_set():
            found = pick_device(usb_devices(), [RP2040_BOOT], what="boot loader", socket=socket)
            if found is not None:
                return found
            if time.monotonic() > deadline:
                raise FlashError(
                    f"{job.board.name} did not enter BOOTSEL within {LOADER_TIMEOUT_S:g} s: hold "
                    "BOOTSEL, replug the board, and retry"
                ).of_the_board()
            time.sleep(0.1)
        raise FlashError("flashing was interrupted")


def command(job: FlashJob, device: UsbDevice) -> list[str]:
    """picotool's command line (2.x). By bus and address: in BOOTSEL all serial numbers are one."""
    tool = find_tool(job, "picotool", "tool-picotool*", "tool-rp2040tools*")
    where = ["--bus", str(device.bus), "--address", str(device.address)]
    return [tool, "load", "-v", "-x", str(job.build.image(".uf2")), *where]
