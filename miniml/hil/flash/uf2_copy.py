"""Flashes an RP2040 by copying a UF2 file onto the drive that its boot ROM shows."""

from __future__ import annotations

import contextlib
import os
import shutil
import string
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from miniml.errors import FlashError
from miniml.hil.flash.bootsel import rp2040_lock
from miniml.hil.flash.enter import enter_loader
from miniml.hil.flash.method import FlashJob

DRIVE_NAME = "RPI-RP2"
# Present on every RP2040 drive (datasheet RP2040, 2.8.4, "USB Mass Storage Interface").
MARKER_FILE = "INFO_UF2.TXT"
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
            self._await(job, lambda: not _is_drive(drive), LEAVE_TIMEOUT_S, f"{drive} stayed")
            job.port()  # within the lock, until it is back

    def _enter_bootsel(self, job: FlashJob) -> Path:
        before = set(drives(job))
        if job.place.ours is None and before:
            raise FlashError(
                f"another RP2040 is already in BOOTSEL ({min(before)}): finish or unplug it"
            )
        if not before:
            enter_loader(job)
        found: list[Path] = []

        def appeared() -> bool:
            found[:] = drives(job)
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


def drives(job: FlashJob) -> list[Path]:
    """The boot drives that are there: the simulated board's own, else the machine's."""
    if job.place.ours is not None:
        own = job.place.ours.state / DRIVE_NAME
        return [own] if own.is_dir() else []
    return [path for path in _mount_points() if _is_drive(path)]


def _mount_points() -> Iterator[Path]:
    if override := os.environ.get("MINIML_UF2_DRIVE"):
        yield Path(override)
    elif sys.platform == "win32":
        yield from (Path(f"{letter}:/") for letter in string.ascii_uppercase[3:])
    elif sys.platform == "darwin":
        yield Path("/Volumes") / DRIVE_NAME
    else:
        for base in ("/media", "/run/media", "/mnt"):
            with contextlib.suppress(OSError):
                yield Path(base) / DRIVE_NAME
                yield from Path(base).glob(f"*/{DRIVE_NAME}*")


def _is_drive(path: Path) -> bool:
    try:
        return (path / MARKER_FILE).is_file()
    except OSError:
        return False


def _flush(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("rb") as file:
        os.fsync(file.fileno())
