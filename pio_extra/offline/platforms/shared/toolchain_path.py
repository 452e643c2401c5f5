"""Put the toolchain that the kit was made from before others of the same name."""

import shutil
from pathlib import Path

Import("env", "kit")

found = shutil.which(kit["compiler"], path=env["ENV"]["PATH"])
if found is None or Path(found).parent != Path(kit["toolchain_bin"]):
    env.PrependENVPath("PATH", kit["toolchain_bin"])
