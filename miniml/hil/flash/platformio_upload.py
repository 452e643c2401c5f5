"""Flashes by `pio run -t nobuild -t upload`: PlatformIO's own tool and the user's settings."""

from __future__ import annotations

from collections.abc import Sequence

from miniml.errors import FlashError
from miniml.hil.flash.method import FlashJob
from miniml.hil.project import pio_command, pio_environment

# Read by pio_extra/miniml_hook/upload.py: PlatformIO has no variable of its own for it.
SPEED_VARIABLE = "MINIML_UPLOAD_SPEED"
FLAGS_VARIABLE = "PLATFORMIO_UPLOAD_FLAGS"
NEEDS_PROJECT = (
    "flash_method = pio of {} needs PlatformIO's project, which a bundle is not: choose the tool "
    "itself in boards.local.ini, or run with --no-flash"
)


class PlatformioUpload:
    """PlatformIO's upload target, with the port always given.

    Without a port PlatformIO takes the first USB device it knows, whoever uses it.
    """

    def flash(self, job: FlashJob) -> None:
        """Uploads what is in the build folder; nothing is compiled."""
        if job.direct:
            raise FlashError(NEEDS_PROJECT.format(job.board.name))
        upload(job, port=job.port())


def upload(
    job: FlashJob, flags: Sequence[str] = (), *, port: str = "", speed: int | None = None
) -> None:
    """PlatformIO's upload target.

    Args:
        job: what is flashed.
        flags: put before the tool's own; the user's `upload_flags` stay.
        port: the board's; empty where the flags name the device.
        speed: of the bootloader in baud, unless the user's `upload_speed` says another.

    Raises:
        FlashError: the tool failed.
    """
    settings: dict[str, str] = {}
    if flags:
        # One flag a line, as upload_flags has them: a space within one stays.
        settings[FLAGS_VARIABLE] = "\n".join(flags)
    if speed is not None:
        settings[SPEED_VARIABLE] = str(speed)
    for name, value in settings.items():
        job.log.add("host", f"{name}={value!r}")
    environment = pio_environment(job.project, job.build.world) | settings
    # Output without colours and progress bars, one line a message, into the log.
    environment |= {"PLATFORMIO_NO_ANSI": "true", "PLATFORMIO_DISABLE_PROGRESSBAR": "true"}
    job.run(
        [
            *pio_command(),
            *("run", "--project-dir", str(job.project)),
            *("--environment", job.build.environment),
            *("--target", "nobuild", "--target", "upload"),
            # Else an edit of platformio.ini, or the flags above, wipe the very build that is to
            # be uploaded.
            "--disable-auto-clean",
            *(("--upload-port", port) if port else ()),
            "--verbose",
        ],
        environment,
    )
