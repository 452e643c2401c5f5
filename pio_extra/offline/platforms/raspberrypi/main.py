"""The kit's build script for the RP2040: ELF, .bin and UF2; upload copies the UF2."""

import sys
from pathlib import Path

from SCons.Script import DefaultEnvironment

env = DefaultEnvironment()
builder = Path(env.PioPlatform().get_dir()) / "builder"
sys.path.insert(0, str(builder))
import uf2  # noqa: E402  (a module beside this script, found only now)
from bootsel_drive import DriveError, find_drive  # noqa: E402

elf, image = env.SConscript("arm_program.py", exports="env")


def write_uf2(target, source, env):
    """As the official script: firmware.uf2 beside the ELF."""
    uf2.write(Path(str(target[0])), env.subst("$OBJCOPY"), env["ENV"]["PATH"])


def copy_uf2(target, source, env):
    """Copy firmware.uf2 onto the drive of a Pico in BOOTSEL mode."""
    try:
        drive = find_drive(env.subst("$UPLOAD_PORT"))
        uf2.copy(Path(env.subst("$BUILD_DIR/${PROGNAME}.uf2")), drive)
    except (DriveError, OSError) as error:
        sys.stderr.write(f"Error: {error}\n")
        env.Exit(1)
    print(f"Copied {env.subst('${PROGNAME}.uf2')} to {drive}")


if not isinstance(elf, str):
    env.AddPostAction(elf, env.VerboseAction(write_uf2, "Generating UF2 image"))

if env.subst("$UPLOAD_PROTOCOL") == "custom":
    upload = [env.VerboseAction("$UPLOADCMD", "Uploading $SOURCE")]
else:
    upload = [env.VerboseAction(copy_uf2, "Uploading $SOURCE")]
env.AddPlatformTarget("upload", elf, upload, "Upload")
