"""How a program gets into a board: a strategy a flashing method (docs/HARNESS.md, "Flashing")."""

from miniml.hil.flash.at_exporter import AtExporter
from miniml.hil.flash.avrdude import Avrdude
from miniml.hil.flash.dfu import Dfu
from miniml.hil.flash.method import FlashJob, FlashMethod
from miniml.hil.flash.picotool import Picotool
from miniml.hil.flash.platformio_upload import PlatformioUpload
from miniml.hil.flash.st_link import StLink
from miniml.hil.flash.stm32_loader import Stm32Loader
from miniml.hil.flash.uf2_copy import Uf2Copy

METHODS: dict[str, FlashMethod] = {
    "avrdude": Avrdude(),
    "dfu": Dfu(),
    "picotool": Picotool(),
    "pio": PlatformioUpload(),
    "stlink": StLink(),
    "stm32flash": Stm32Loader(),
    "uf2": Uf2Copy(),
}


def flash(job: FlashJob) -> None:
    """Flashes the board of a job by the method of its section; where it hangs, in a lab.

    Raises:
        BoardError: what failed, with the tool's own last line.
    """
    job.log.add("host", f"flash {job.build.elf} sha256 {job.build.elf_sha256}")
    method = AtExporter() if job.place.exporter else METHODS[job.board.flash_method]
    method.flash(job)


__all__ = ["METHODS", "FlashJob", "FlashMethod", "flash"]
