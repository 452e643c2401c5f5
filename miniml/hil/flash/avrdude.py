"""Flashes an AVR through its bootloader by avrdude, at the rate that the bootloader has."""

from __future__ import annotations

from miniml.errors import FlashError
from miniml.hil.flash.method import FlashJob
from miniml.hil.flash.platformio_upload import upload
from miniml.hil.flash.speeds import remember_speed, remembered_speed
from miniml.hil.flash.tools import find_tool

# The only AVR of the boards here; avrdude compares the signature and refuses another.
PART = "atmega328p"
# stk500.c of avrdude 5 to 7: what it says when no bootloader answers at this rate.
NO_ANSWER = ("not in sync", "not responding")


class Avrdude:
    """avrdude through PlatformIO, or alone where there is no project."""

    def flash(self, job: FlashJob) -> None:
        """Tries the rate that worked last, then those of the section."""
        port, rates = job.port(), rates_of(job)
        for number, rate in enumerate(rates):
            try:
                if job.direct:
                    job.run(command(job, port, rate))
                else:
                    upload(job, port=port, speed=rate)
            except FlashError as error:
                if number + 1 == len(rates) or not any(text in str(error) for text in NO_ANSWER):
                    raise
                job.log.add("host", f"no bootloader answers at {rate} baud: {rates[number + 1]}")
                port = job.port()
            else:
                # A PTY's name says nothing of the board behind it.
                if len(rates) > 1 and not job.place.simulated:
                    remember_speed(job.project, job.board.name, port, rate)
                return


def rates_of(job: FlashJob) -> list[int]:
    """What is tried in turn, without repeats."""
    board = job.board
    known = None
    if not job.place.simulated:
        known = remembered_speed(job.project, board.name, job.port())
    rates = (known, board.flash_baud, board.flash_baud_fallback)
    return list(dict.fromkeys(rate for rate in rates if rate is not None))


def command(job: FlashJob, port: str, rate: int) -> list[str]:
    """avrdude's command line, as platform-atmelavr's builder/main.py makes it."""
    image = job.build.image(".hex")
    tool = find_tool(job, "avrdude", "tool-avrdude*")
    # -D: a bootloader can't erase the chip; -U verifies what it wrote.
    return [
        *(tool, "-p", PART, "-c", "arduino", "-P", port, "-b", str(rate), "-D"),
        *("-U", f"flash:w:{image}:i"),
    ]
