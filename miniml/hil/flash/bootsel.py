"""One RP2040 at a time from the touch to the return: in BOOTSEL they look all alike."""

from __future__ import annotations

from contextlib import AbstractContextManager

from miniml.hil.flash.method import FlashJob
from miniml.hil.lock.board_lock import board_lock


def rp2040_lock(job: FlashJob) -> AbstractContextManager[None]:
    """This machine's lock; held from before the touch until the board's port is back."""
    return board_lock("rp2040 bootsel", "the RP2040 boot loader", job.lock_timeout_s, job.cancel)
