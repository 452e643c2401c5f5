"""Where a flashing tool is: on the PATH, or among PlatformIO's packages."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from miniml.errors import FlashError
from miniml.hil.flash.method import FlashJob
from miniml.hil.project import pio_environment

# Debian's package where it isn't called like the tool.
PACKAGES = {"st-flash": "stlink-tools", "st-info": "stlink-tools"}


def find_tool(job: FlashJob, name: str, *packages: str) -> str:
    """The program `name`: the PATH's, else one of PlatformIO's packages (globs of folders).

    Raises:
        FlashError: it is nowhere.
    """
    # uhubctl is in sbin on Debian, which a user's PATH leaves out.
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    if found := shutil.which(name, path=places):
        return found
    core = pio_environment(job.project, job.build.world).get("PLATFORMIO_CORE_DIR")
    folder = (Path(core) if core else Path.home() / ".platformio") / "packages"
    file = f"{name}.exe" if os.name == "nt" else name
    for pattern in packages:
        for inner in ("", "bin/", f"{name}/"):
            for path in sorted(folder.glob(f"{pattern}/{inner}{file}")):
                if path.is_file():
                    return str(path)
    raise FlashError(f"{name} is missing: install the package {PACKAGES.get(name, name)}")
