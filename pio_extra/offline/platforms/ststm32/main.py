"""The kit's build script for STM32: a .bin, written through the ROM loader by stm32flash."""

import sys

from SCons.Script import DefaultEnvironment

env = DefaultEnvironment()
board = env.BoardConfig()
elf, image = env.SConscript("arm_program.py", exports="env")

protocol = env.subst("$UPLOAD_PROTOCOL")
upload = [env.VerboseAction("$UPLOADCMD", "Uploading $SOURCE")]
if protocol == "serial":
    # The command line of the official builder/main.py; upload_flags come before these.
    env.Replace(
        UPLOADER="stm32flash",
        UPLOADERFLAGS=[
            "-g",
            board.get("upload.offset_address", "0x08000000"),
            "-b",
            env.subst("$UPLOAD_SPEED") or "115200",
            "-w",
        ],
        UPLOADCMD='$UPLOADER $UPLOADERFLAGS "$SOURCE" "$UPLOAD_PORT"',
    )
    upload.insert(0, env.VerboseAction(env.AutodetectUploadPort, "Looking for upload port..."))
elif protocol != "custom":
    sys.stderr.write(
        f"Warning! The offline kit can't upload with {protocol}: use upload_protocol = serial, "
        "or the official platform\n"
    )
env.AddPlatformTarget("upload", image, upload, "Upload")
