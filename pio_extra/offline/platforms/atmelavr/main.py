"""The kit's build script for AVR: ELF to Intel HEX, size check, avrdude."""

import json
from pathlib import Path

from SCons.Script import (
    ARGUMENTS,
    COMMAND_LINE_TARGETS,
    AlwaysBuild,
    Builder,
    Default,
    DefaultEnvironment,
)

env = DefaultEnvironment()
kit = json.loads((Path(env.PioPlatform().get_dir()) / "miniml_kit.json").read_text("utf-8"))
env.SConscript("toolchain_path.py", exports=["env", "kit"])

# The names, and the expressions that count a section as flash or RAM, are those of the
# official platform-atmelavr 5.2.0 (builder/main.py), so that both worlds print one figure.
env.Replace(
    AR="avr-gcc-ar",
    AS="avr-as",
    CC="avr-gcc",
    GDB="avr-gdb",
    CXX="avr-g++",
    OBJCOPY="avr-objcopy",
    RANLIB="avr-gcc-ranlib",
    SIZETOOL="avr-size",
    ARFLAGS=["rc"],
    SIZEPROGREGEXP=r"^(?:\.text|\.data|\.bootloader)\s+(\d+).*",
    SIZEDATAREGEXP=r"^(?:\.data|\.bss|\.noinit)\s+(\d+).*",
    SIZECHECKCMD="$SIZETOOL -A -d $SOURCES",
    SIZEPRINTCMD="$SIZETOOL -A -d $SOURCES",
    PROGSUFFIX=".elf",
)
if env.get("PROGNAME", "program") == "program":
    env.Replace(PROGNAME="firmware")
env.Append(
    BUILDERS={
        "ElfToHex": Builder(
            action=env.VerboseAction(
                "$OBJCOPY -O ihex -R .eeprom $SOURCES $TARGET", "Building $TARGET"
            ),
            suffix=".hex",
        )
    }
)

if "nobuild" in COMMAND_LINE_TARGETS:
    elf = str(Path("$BUILD_DIR") / "${PROGNAME}.elf")
    image = str(Path("$BUILD_DIR") / "${PROGNAME}.hex")
else:
    elf = env.BuildProgram()
    image = env.ElfToHex(str(Path("$BUILD_DIR") / "${PROGNAME}"), elf)
    env.Depends(image, "checkprogsize")

AlwaysBuild(env.Alias("nobuild", image))
build = env.Alias("buildprog", image, image)
size = env.AddPlatformTarget(
    "size",
    elf,
    env.VerboseAction("$SIZEPRINTCMD", "Calculating size $SOURCE"),
    "Program Size",
    "Calculate program size",
)


def find_port(target, source, env):
    """Choose the port as the official script does, which also toggles DTR on real adapters."""
    env.AutodetectUploadPort()
    env.Append(UPLOADERFLAGS=["-D", "-P", "$UPLOAD_PORT", "-b", "$UPLOAD_SPEED"])


if env.subst("$UPLOAD_PROTOCOL") == "custom":
    upload = [env.VerboseAction("$UPLOADCMD", "Uploading $SOURCE")]
else:
    env.Replace(
        UPLOADER="avrdude",
        UPLOADERFLAGS=["-p", "$BOARD_MCU", "-c", "$UPLOAD_PROTOCOL"],
        UPLOADCMD="$UPLOADER $UPLOADERFLAGS -U flash:w:$SOURCES:i",
    )
    if int(ARGUMENTS.get("PIOVERBOSE", 0)):
        env.Prepend(UPLOADERFLAGS=["-v"])
    upload = [
        env.VerboseAction(find_port, "Looking for upload port..."),
        env.VerboseAction("$UPLOADCMD", "Uploading $SOURCE"),
    ]
env.AddPlatformTarget("upload", image, upload, "Upload")
Default([build, size])
