"""Flashes an STM32 through its ROM loader (AN3155) by stm32flash."""

from __future__ import annotations

from miniml.hil.flash.enter import enter_loader, leave_loader
from miniml.hil.flash.method import FlashJob
from miniml.hil.flash.platformio_upload import upload
from miniml.hil.flash.tools import find_tool

FLASH_START = 0x0800_0000


class Stm32Loader:
    """stm32flash through PlatformIO, or alone where there is no project."""

    def flash(self, job: FlashJob) -> None:
        """Into the loader, write, verify, start."""
        enter_loader(job)
        try:
            port = job.port()
            if job.direct:
                job.run(command(job, port))
            else:
                upload(job, [*line_flags(job), "-v"], port=port, speed=job.board.flash_baud)
        finally:
            leave_loader(job)


def line_flags(job: FlashJob) -> list[str]:
    """Parity, and how DTR and RTS drive NRST and BOOT0."""
    # A PTY has no parity bit, so what hangs on one can't talk the loader's 8E1.
    flags = ["-m", "8n1" if job.place.simulated else job.board.flash_parity]
    if job.board.flash_sequence and not job.place.simulated:
        flags += ["-i", job.board.flash_sequence]
    return flags


def command(job: FlashJob, port: str) -> list[str]:
    """stm32flash's command line."""
    tool = find_tool(job, "stm32flash", "tool-stm32flash*", "tool-stm32duino*")
    image = str(job.build.image(".bin"))
    rate = ["-b", str(job.board.flash_baud)]
    return [tool, *line_flags(job), *rate, "-w", image, "-v", "-g", f"{FLASH_START:#x}", port]
