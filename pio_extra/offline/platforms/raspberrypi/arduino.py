"""The kit's Arduino framework for the RP2040: MiniML's own small core, official flags."""

from pathlib import Path

import boot2
from SCons.Script import DefaultEnvironment

env = DefaultEnvironment()
board = env.BoardConfig()
framework = Path(env.PioPlatform().get_package_dir("framework-arduino-mbed"))
machine = [f"-mcpu={board.get('build.cpu')}", "-mthumb"]

# Flags: variants/RASPBERRY_PI_PICO/{cflags,cxxflags,ldflags}.txt of ArduinoCore-mbed, as
# the official builder reads them. Like there, F_CPU is not defined: read SystemCoreClock.
env.Append(
    ASFLAGS=machine,
    ASPPFLAGS=["-x", "assembler-with-cpp"],
    CFLAGS=["-std=gnu11"],
    CXXFLAGS=["-std=gnu++14", "-fno-rtti", "-Wvla"],
    CCFLAGS=[
        *machine,
        "-Os",
        "-Wall",
        "-Wextra",
        "-Wno-missing-field-initializers",
        "-Wno-unused-parameter",
        "-fdata-sections",
        "-ffunction-sections",
        "-fmessage-length=0",
        "-fno-exceptions",
        "-fomit-frame-pointer",
        "-funsigned-char",
        "-nostdlib",
    ],
    CPPDEFINES=[
        ("ARDUINO", 10810),
        "ARDUINO_ARCH_MBED",
        "ARDUINO_ARCH_RP2040",
        "TARGET_RP2040",
    ],
    CPPPATH=[str(framework / "core"), str(framework / "chip")],
    # Not official: without exceptions a static's guard and its destructor are dead weight.
    LINKFLAGS=[
        *machine,
        "-Wl,--gc-sections",
        "-Wl,-n",
        "--specs=nano.specs",
        "-nostartfiles",
    ],
    LIBS=["c", "m", "gcc", "stdc++"],
)
env.Replace(LDSCRIPT_PATH=str(framework / "chip" / "linker_script.ld"))

# The second stage bootloader carries a checksum of itself, which no linker can compute.
code = env.Object(
    str(Path("$BUILD_DIR") / "boot2" / "boot2_code.o"), str(framework / "boot2" / "boot2.S")
)
raw = env.Command(
    str(Path("$BUILD_DIR") / "boot2" / "boot2.bin"),
    code,
    env.VerboseAction("$OBJCOPY -O binary $SOURCE $TARGET", "Building $TARGET"),
)


def write_image(target, source, env):
    """Pad and check-sum boot2 into an assembler file for section .boot2."""
    data = boot2.checksummed(Path(str(source[0])).read_bytes())
    Path(str(target[0])).write_text(boot2.as_assembly(data), encoding="ascii")


image = env.Command(
    str(Path("$BUILD_DIR") / "boot2" / "boot2_image.S"),
    raw,
    env.VerboseAction(write_image, "Building $TARGET"),
)
env.Append(PIOBUILDFILES=[env.Object(image)])
env.BuildSources(str(Path("$BUILD_DIR") / "FrameworkArduinoChip"), str(framework / "chip"))
env.Prepend(
    LIBS=[env.BuildLibrary(str(Path("$BUILD_DIR") / "FrameworkArduino"), str(framework / "core"))],
)
