"""The kit's Arduino framework for AVR: the system's arduino-core-avr, the official flags."""

import json
from pathlib import Path

from SCons.Script import DefaultEnvironment

env = DefaultEnvironment()
platform = env.PioPlatform()
board = env.BoardConfig()
kit = json.loads((Path(platform.get_dir()) / "miniml_kit.json").read_text("utf-8"))
framework = Path(platform.get_package_dir("framework-arduino-avr"))
core = framework / "cores" / board.get("build.core")
variant = framework / "variants" / board.get("build.variant")
machine = ["-mmcu=$BOARD_MCU"]

# Flags: builder/frameworks/arduino.py of the official platform-atmelavr 5.2.0.
env.Append(
    ASFLAGS=machine,
    ASPPFLAGS=["-x", "assembler-with-cpp"],
    CFLAGS=["-std=gnu11", "-fno-fat-lto-objects"],
    CCFLAGS=[*machine, "-Os", "-Wall", "-ffunction-sections", "-fdata-sections", "-flto"],
    CXXFLAGS=[
        "-fno-exceptions",
        "-fno-threadsafe-statics",
        "-fpermissive",
        "-std=gnu++11",
        *kit["cxxflags"],
    ],
    LINKFLAGS=[*machine, "-Os", "-Wl,--gc-sections", "-flto", "-fuse-linker-plugin"],
    CPPDEFINES=[("F_CPU", "$BOARD_F_CPU"), "ARDUINO_ARCH_AVR", ("ARDUINO", 10808)],
    LIBS=["m"],
    LIBSOURCE_DIRS=[str(framework / "libraries")],
    CPPPATH=[str(core), str(variant)],
)
env.Prepend(
    LIBS=[env.BuildLibrary(str(Path("$BUILD_DIR") / "FrameworkArduino"), str(core))],
)
