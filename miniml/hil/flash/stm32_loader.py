"""Flashes an STM32 through its ROM loader (AN3155) by stm32flash."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from miniml.errors import FlashError
from miniml.hil.flash.method import FlashJob
from miniml.hil.project import pio_environment

FLASH_START = 0x0800_0000


class Stm32Loader:
    """stm32flash, directly: PlatformIO's upload has neither parity nor reset sequence."""

    def flash(self, job: FlashJob) -> None:
        """BOOT0 high and a reset, write, verify, start; BOOT0 low again."""
        simulated = job.place.ours
        if simulated is not None:
            simulated.control("boot0 1")
            simulated.control("reset")
        try:
            job.run(self.command(job))
        finally:
            if simulated is not None:
                simulated.control("boot0 0")

    def command(self, job: FlashJob) -> list[str]:
        """The command line of stm32flash."""
        # A PTY has no parity bit, so what hangs on one can't talk the loader's 8E1.
        mode = "8n1" if job.place.simulated else job.board.flash_parity
        command = [stm32flash(job), "-m", mode, "-b", str(job.board.flash_baud)]
        if job.board.flash_sequence and not job.place.simulated:
            command += ["-i", job.board.flash_sequence]
        image = str(job.build.image(".bin"))
        return [*command, "-w", image, "-v", "-g", f"{FLASH_START:#x}", job.port()]


def stm32flash(job: FlashJob) -> str:
    """stm32flash on the PATH, or in PlatformIO's package for STM32Duino.

    Raises:
        FlashError: it is nowhere.
    """
    if found := shutil.which("stm32flash"):
        return found
    core = pio_environment(job.project, job.build.world).get("PLATFORMIO_CORE_DIR")
    packages = (Path(core) if core else Path.home() / ".platformio") / "packages"
    name = "stm32flash.exe" if os.name == "nt" else "stm32flash"
    for path in sorted(packages.glob(f"tool-stm32duino*/stm32flash/{name}")):
        return str(path)
    raise FlashError("stm32flash is missing: install the package stm32flash")
