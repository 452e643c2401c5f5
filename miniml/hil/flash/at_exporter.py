"""Flashes a board of a lab where it hangs: by ssh, with the command that its section gives."""

from __future__ import annotations

import re
import shlex

from miniml.board_keys import LAB_IMAGES
from miniml.errors import FlashError
from miniml.hil.flash.method import FlashJob

# As labgrid itself calls ssh (labgrid.util.ssh): keys only, nobody is asked.
SSH = ("ssh", "-x", "-o", "LogLevel=ERROR", "-o", "PasswordAuthentication=no")
SSH_BOUNDED = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=15")


class AtExporter:
    """`lab_flash` of the board's section, run on the exporter's machine."""

    def flash(self, job: FlashJob) -> None:
        """Sends the image, runs the command and removes the image again.

        ser2net opens the device for a connection only, so the tool has it alone.
        """
        exporter, template = job.place.exporter, job.board.lab_flash
        assert exporter is not None
        if not template:
            raise FlashError(
                f"{job.board.name} hangs on {exporter.host}, and its section has no lab_flash: "
                "set it (docs/LAB.md), or flash the board there and run with --no-flash"
            )
        kind = next(name for name in LAB_IMAGES if f"{{{name}}}" in template)
        if "{port}" in template and not exporter.device:
            raise FlashError(
                f"the exporter of place {exporter.place} doesn't tell its device: "
                "write it into lab_flash instead of {port}"
            )
        values = {
            kind: f'"$d"/firmware.{kind}',
            "port": shlex.quote(exporter.device),
            "baud": str(job.board.flash_baud or ""),
        }
        command = re.sub(r"{(\w+)}", lambda match: values[match[1]], template)
        script = (
            "d=$(mktemp -d) && trap 'rm -rf \"$d\"' EXIT && "
            f'cat > "$d"/firmware.{kind} && {command}'
        )
        if exporter.host.startswith("-"):
            raise FlashError(f"{exporter.host!r} is no name of a machine: ask who runs the lab")
        # By sh, whatever the login shell on the other machine is.
        remote = f"sh -c {shlex.quote(script)}"
        job.run([*SSH, *SSH_BOUNDED, exporter.host, remote], stdin=job.build.image(f".{kind}"))
