"""What both ARM build scripts of the kit share: tools, outputs, size check, targets."""

import json
from pathlib import Path

from SCons.Script import COMMAND_LINE_TARGETS, AlwaysBuild, Builder, Default

Import("env")

kit = json.loads((Path(env.PioPlatform().get_dir()) / "miniml_kit.json").read_text("utf-8"))
env.SConscript("toolchain_path.py", exports=["env", "kit"])

# Names and expressions of the official platform-ststm32 19.6.0 and -raspberrypi 1.19.0.
env.Replace(
    AR="arm-none-eabi-gcc-ar",
    AS="arm-none-eabi-as",
    CC="arm-none-eabi-gcc",
    CXX="arm-none-eabi-g++",
    GDB="arm-none-eabi-gdb",
    OBJCOPY="arm-none-eabi-objcopy",
    RANLIB="arm-none-eabi-gcc-ranlib",
    SIZETOOL="arm-none-eabi-size",
    ARFLAGS=["rc"],
    SIZEPROGREGEXP=r"^(?:\.text|\.data|\.rodata|\.text.align|\.ARM.exidx)\s+(\d+).*",
    SIZEDATAREGEXP=r"^(?:\.data|\.bss|\.noinit)\s+(\d+).*",
    SIZECHECKCMD="$SIZETOOL -A -d $SOURCES",
    SIZEPRINTCMD="$SIZETOOL -B -d $SOURCES",
    PROGSUFFIX=".elf",
)
if env.get("PROGNAME", "program") == "program":
    env.Replace(PROGNAME="firmware")
env.Append(
    BUILDERS={
        "ElfToBin": Builder(
            action=env.VerboseAction("$OBJCOPY -O binary $SOURCES $TARGET", "Building $TARGET"),
            suffix=".bin",
        )
    }
)

if "nobuild" in COMMAND_LINE_TARGETS:
    elf = str(Path("$BUILD_DIR") / "${PROGNAME}.elf")
    image = str(Path("$BUILD_DIR") / "${PROGNAME}.bin")
else:
    elf = env.BuildProgram()
    image = env.ElfToBin(str(Path("$BUILD_DIR") / "${PROGNAME}"), elf)
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
Default([build, size])

Return("elf", "image")
