"""How a board gets into its boot loader before a tool talks to it."""

from __future__ import annotations

import contextlib

from miniml.errors import PortError
from miniml.hil.flash.method import FlashJob
from miniml.hil.link.line_port import LinePort

TOUCH_BAUD = 1200


def enter_loader(job: FlashJob) -> None:
    """By the `reset` of the section; `none` and `dtr` leave it to the tool or to a person.

    Raises:
        BoardError: the port is missing, or the simulated board is.
    """
    if job.board.reset == "touch1200":
        port = job.port()
        job.log.add("host", f"open {port} at {TOUCH_BAUD} baud to enter the boot loader")
        with contextlib.suppress(PortError):  # it may vanish while it is being opened
            LinePort(port, TOUCH_BAUD, dtr=False).close()
    elif job.place.ours is not None:
        job.place.ours.control("boot0 1")
        job.place.ours.control("reset")


def leave_loader(job: FlashJob) -> None:
    """What a person does with BOOT0 afterwards, on a simulated board."""
    if job.place.ours is not None and job.board.reset != "touch1200":
        job.place.ours.control("boot0 0")
