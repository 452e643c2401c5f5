"""Flashes an STM32 through the USB loader in its ROM (DfuSe, AN3156) by dfu-util."""

from __future__ import annotations

import time

from miniml.errors import FlashError
from miniml.hil.finding.usb_devices import STM32_DFU, usb_devices
from miniml.hil.flash.enter import enter_loader, leave_loader
from miniml.hil.flash.method import FlashJob
from miniml.hil.flash.platformio_upload import upload
from miniml.hil.flash.tools import find_tool
from miniml.hil.flash.which_device import loader_socket, one_word, pick_device

FLASH_START = 0x0800_0000
LOADER_TIMEOUT_S = 10.0


class Dfu:
    """The device's serial number or USB socket is always given."""

    def flash(self, job: FlashJob) -> None:
        """Into the loader, write, leave: the program starts."""
        known = device_flags(job)
        enter_loader(job, ask=True)
        try:
            flags = known or self._await_loader(job)
            if job.direct:
                job.run(command(job, flags))
            else:
                upload(job, flags)
        finally:
            leave_loader(job)

    def _await_loader(self, job: FlashJob) -> list[str]:
        deadline = time.monotonic() + LOADER_TIMEOUT_S
        while not job.cancel.is_set():
            if found := pick_device(usb_devices(), [STM32_DFU], what="DFU device"):
                return ["-p", found.location]
            if time.monotonic() > deadline:
                raise FlashError(
                    f"no DFU device of {job.board.name} appeared: hold BOOT0, press reset, and "
                    "retry, or set `flash_serial` to what `dfu-util -l` shows"
                ).of_the_board()
            time.sleep(0.1)
        raise FlashError("flashing was interrupted")


def device_flags(job: FlashJob) -> list[str]:
    """What tells this board's loader from others, while the board still has its port."""
    if job.board.flash_serial:
        return ["-S", one_word(job.board.flash_serial)]
    socket = loader_socket(job)
    return ["-p", socket] if socket else []


def command(job: FlashJob, flags: list[str]) -> list[str]:
    """dfu-util's command line, as platform-ststm32's builder/main.py makes it."""
    vendor, product = STM32_DFU
    return [
        *(find_tool(job, "dfu-util", "tool-dfuutil*"), *flags),
        *("-d", f"{vendor:04x}:{product:04x}", "-a", "0", "-s", f"{FLASH_START:#x}:leave"),
        *("-D", str(job.build.image(".bin"))),
    ]
