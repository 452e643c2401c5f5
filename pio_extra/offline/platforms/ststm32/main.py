"""The kit's build script for STM32: a .bin, written through the ROM loader by stm32flash."""

import os
import sys

from SCons.Script import DefaultEnvironment

env = DefaultEnvironment()
board = env.BoardConfig()
elf, image = env.SConscript("arm_program.py", exports="env")

protocol = env.subst("$UPLOAD_PROTOCOL")
upload = [env.VerboseAction("$UPLOADCMD", "Uploading $SOURCE")]


def line_mode(env):
    """No parity on a pseudo-terminal, which has none to offer; the ROM loader's 8E1 elsewhere.

    As upload_flags it would change the project's configuration, and PlatformIO would wipe
    the build folder before uploading what was in it.
    """
    port = os.path.realpath(env.subst("$UPLOAD_PORT"))
    return "-m 8n1" if port.startswith("/dev/pts/") else ""


if protocol == "serial":
    # The command line of the official builder/main.py; upload_flags come before these.
    env.Replace(
        __line_mode=line_mode,
        UPLOADER="stm32flash",
        UPLOADERFLAGS=[
            "-g",
            board.get("upload.offset_address", "0x08000000"),
            "-b",
            env.subst("$UPLOAD_SPEED") or "115200",
            "-w",
        ],
        UPLOADCMD='$UPLOADER ${__line_mode(__env__)} $UPLOADERFLAGS "$SOURCE" "$UPLOAD_PORT"',
    )
    upload.insert(0, env.VerboseAction(env.AutodetectUploadPort, "Looking for upload port..."))
elif protocol != "custom":
    sys.stderr.write(
        f"Warning! The offline kit can't upload with {protocol}: use upload_protocol = serial, "
        "or the official platform\n"
    )
env.AddPlatformTarget("upload", image, upload, "Upload")
