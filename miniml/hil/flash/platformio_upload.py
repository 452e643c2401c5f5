"""Flashes by `pio run -t nobuild -t upload`: PlatformIO's own tool and the user's settings."""

from __future__ import annotations

from miniml.hil.flash.method import FlashJob
from miniml.hil.project import pio_command, pio_environment


class PlatformioUpload:
    """PlatformIO's upload target, with the port always given.

    Without a port PlatformIO takes the first USB device it knows, whoever uses it.
    """

    def flash(self, job: FlashJob) -> None:
        """Uploads what is in the build folder; nothing is compiled."""
        environment = pio_environment(job.project, job.build.world)
        # Output without colours and progress bars, one line a message, into the log.
        environment |= {"PLATFORMIO_NO_ANSI": "true", "PLATFORMIO_DISABLE_PROGRESSBAR": "true"}
        job.run(
            [
                *pio_command(),
                *("run", "--project-dir", str(job.project)),
                *("--environment", job.build.environment),
                *("--target", "nobuild", "--target", "upload"),
                # Else an edit of platformio.ini wipes the very build that is to be uploaded.
                "--disable-auto-clean",
                *("--upload-port", job.port(), "--verbose"),
            ],
            environment,
        )
