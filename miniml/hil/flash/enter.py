"""How a board gets into its boot loader before a tool talks to it."""

from __future__ import annotations

import contextlib

from miniml.errors import LinkError, PortError, SilentBoardError
from miniml.hil.flash.method import FlashJob
from miniml.hil.flash.which_device import in_loader
from miniml.hil.link.line_port import LinePort
from miniml.hil.link.session import Session

TOUCH_BAUD = 1200
# What a person's fingers do, by simulated board.
BUTTONS = {"stm32f405": ("boot0 1", "reset"), "rp2040": ("bootsel",)}
# An empty board says nothing: it is asked, but not for long.
PATIENCE = 0.25


def enter_loader(job: FlashJob, *, ask: bool = False) -> None:
    """By the `reset` of the section; `none` and `dtr` leave it to the tool or to a person.

    Args:
        job: what is flashed.
        ask: the loader is a USB device: the firmware, if the board has one, may be asked without
            harm. One on a UART would take the question for its host's first byte.

    Raises:
        BoardError: the port is missing, or the simulated board is.
    """
    if in_loader(job):
        return
    if job.board.reset == "verb" and ask_for_loader(job):
        return
    if ask and job.board.reset == "none" and job.place.port() is not None:
        try:
            if ask_for_loader(job):
                return
        except PortError as error:  # then a person has to press its buttons
            job.log.add("host", f"no boot loader by the link's BOOT: {error}")
    if job.board.reset == "touch1200":
        port = job.port()
        job.log.add("host", f"open {port} at {TOUCH_BAUD} baud to enter the boot loader")
        with contextlib.suppress(PortError):  # it may vanish while it is being opened
            LinePort(port, TOUCH_BAUD, dtr=False).close()
    elif job.place.ours is not None:
        for command in BUTTONS[job.board.simulator]:
            job.place.ours.control(command)


def leave_loader(job: FlashJob) -> None:
    """What a person does with BOOT0 afterwards, on a simulated board."""
    if job.place.ours is not None and job.board.simulator == "stm32f405":
        job.place.ours.control("boot0 0")


def ask_for_loader(job: FlashJob) -> bool:
    """Asks the firmware by the link's BOOT; False if nobody answers who knows it.

    A board without our firmware still gets into its loader by hand, so it is no error.

    Raises:
        PortError: the port is missing or in use.
    """
    board = job.board
    with contextlib.closing(
        LinePort(
            job.port(), board.link_baud, dtr=board.port_dtr, rts=board.port_rts, cancel=job.cancel
        )
    ) as line:
        session = Session(line, job.log, patience=PATIENCE)
        try:
            session.hello(board.reset_settle_ms / 1000)
        except (SilentBoardError, LinkError) as error:
            job.log.add("host", f"no boot loader by the link's BOOT: {error}")
            return False
        with contextlib.suppress(PortError):  # gone before its answer was fetched
            if not session.boot():
                job.log.add("host", "the firmware knows no BOOT")
                return False
    return True
