"""Flashes an RP2040 by copying a UF2 file onto the drive that its boot ROM shows."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from miniml.errors import FlashError
from miniml.hil.flash.bootsel import rp2040_lock
from miniml.hil.flash.drives import DRIVE_NAME, drive_socket, is_drive, mounted_drives
from miniml.hil.flash.enter import enter_loader
from miniml.hil.flash.method import FlashJob
from miniml.hil.flash.which_device import loader_socket

DRIVE_TIMEOUT_S = 15.0
LEAVE_TIMEOUT_S = 30.0


class Uf2Copy:
    """Into BOOTSEL, wait for the drive, copy, wait until it has gone and the board is back."""

    def flash(self, job: FlashJob) -> None:
        """Leaves when the drive has vanished and the port is back."""
        image = job.build.image(".uf2")
        # In BOOTSEL all RP2040 look alike: one at a time on this machine.
        lock = contextlib.nullcontext() if job.place.ours is not None else rp2040_lock(job)
        with lock:
            drive = self._enter_bootsel(job)
            job.log.add("host", f"copy {image} to {drive}")
            try:
                shutil.copyfile(image, drive / "NEW.UF2")
                _flush(drive / "NEW.UF2")
            except OSError as error:
                # The ROM reboots with the last block; the file may be gone before it is closed.
                if drive.exists():
                    raise FlashError(f"can't copy {image.name} to {drive}: {error}") from error
            self._await(job, lambda: not is_drive(drive), LEAVE_TIMEOUT_S, f"{drive} stayed")
            job.port()  # within the lock, until it is back

    def _enter_bootsel(self, job: FlashJob) -> Path:
        socket = loader_socket(job)
        found = boards_drives(job, socket)
        if found and job.place.ours is None and drive_socket(found[0]) != (socket or None):
            raise FlashError(
                f"another RP2040 is already in BOOTSEL ({found[0]}): finish or unplug it"
            )
        if not found:
            enter_loader(job, ask=True)

        def appeared() -> bool:
            found[:] = boards_drives(job, socket)
            return bool(found)

        self._await(job, appeared, DRIVE_TIMEOUT_S, f"no drive {DRIVE_NAME} appeared")
        if len(found) > 1:
            raise FlashError(f"two RP2040 are in BOOTSEL ({found[0]}, {found[1]}): unplug one")
        return found[0]

    def _await(
        self, job: FlashJob, condition: Callable[[], bool], timeout_s: float, failure: str
    ) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            job.place.check()
            if job.cancel.is_set():
                raise FlashError("flashing was interrupted")
            if time.monotonic() > deadline:
                raise FlashError(
                    f"{failure} within {timeout_s:g} s: hold BOOTSEL, replug the board, and retry"
                ).of_the_board()
            time.sleep(0.05)


def boards_drives(job: FlashJob, socket: str) -> list[Path]:
    """The drives that may be this board's: not those that are known to hang in other sockets."""
    if job.place.ours is not None:
        own = job.place.ours.state / DRIVE_NAME
        return [own] if own.is_dir() else []
    drives = mounted_drives()
    return [drive for drive in drives if not socket or drive_socket(drive) in ("", socket)]


def _flush(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("rb") as file:
        os.fsync(file.fileno())
