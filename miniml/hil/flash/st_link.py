"""Flashes an STM32 through an ST-LINK: OpenOCD by PlatformIO; OpenOCD or st-flash alone."""

from __future__ import annotations

from miniml.errors import FlashError
from miniml.hil.finding.usb_devices import ST, ST_LINKS, usb_devices
from miniml.hil.flash.method import FlashJob
from miniml.hil.flash.platformio_upload import upload
from miniml.hil.flash.tools import find_tool
from miniml.hil.flash.which_device import one_word, pick_device

FLASH_START = 0x0800_0000


class StLink:
    """The adapter's serial number is always given: without it the first ST-LINK is taken."""

    def flash(self, job: FlashJob) -> None:
        """Writes, verifies and starts the program; no button, no boot loader."""
        serial = one_word(adapter_serial(job))
        if not job.direct:
            upload(job, ["-c", f"adapter serial {serial}"])
            return
        try:
            command = openocd(job, serial)
        except FlashError:  # it isn't installed
            command = st_flash(job, serial)
        job.run(command)


def adapter_serial(job: FlashJob) -> str:
    """The serial number of the board's ST-LINK.

    Raises:
        FlashError: there is none, or several and nothing says which.
    """
    if job.board.flash_serial:
        return job.board.flash_serial
    port = job.adapter()
    st_links = [(ST, product) for product in ST_LINKS]
    if port is not None and port.usb_id in st_links and port.serial:
        return port.serial
    found = pick_device(usb_devices(), st_links, what="ST-LINK")
    if found is None or not found.serial:
        raise FlashError(
            f"no ST-LINK of {job.board.name} is found: plug it in, or set `flash_serial` in "
            "boards.local.ini to what `st-info --probe` shows"
        )
    return found.serial


def openocd(job: FlashJob, serial: str) -> list[str]:
    """OpenOCD's command line for any STM32F4 (0.12; older ones say hla_serial)."""
    tool = find_tool(job, "openocd", "tool-openocd*")
    return [
        *(tool, "-f", "interface/stlink.cfg", "-c", "transport select hla_swd"),
        *("-f", "target/stm32f4x.cfg", "-c", f"adapter serial {serial}"),
        *("-c", f"program {{{job.build.elf}}} verify reset; shutdown;"),
    ]


def st_flash(job: FlashJob, serial: str) -> list[str]:
    """st-flash's command line (stlink-tools 1.7); it verifies what it wrote."""
    tool = find_tool(job, "st-flash")
    image = str(job.build.image(".bin"))
    return [tool, "--serial", serial, "--reset", "write", image, f"{FLASH_START:#x}"]
