"""The kit's Arduino framework for the STM32F405: MiniML's own small core, official flags."""

from pathlib import Path

from SCons.Script import DefaultEnvironment

env = DefaultEnvironment()
board = env.BoardConfig()
framework = Path(env.PioPlatform().get_package_dir("framework-arduinoststm32"))
machine = [
    f"-mcpu={board.get('build.cpu')}",
    "-mthumb",
    "-mfpu=fpv4-sp-d16",
    "-mfloat-abi=hard",
]

# Flags: tools/platformio/platformio-build.py of the official Arduino core for STM32.
env.Append(
    ASFLAGS=machine,
    ASPPFLAGS=["-x", "assembler-with-cpp"],
    CFLAGS=["-std=gnu17"],
    CXXFLAGS=[
        "-std=gnu++17",
        "-fno-threadsafe-statics",
        "-fno-rtti",
        "-fno-exceptions",
        "-fno-use-cxa-atexit",
    ],
    CCFLAGS=[
        *machine,
        "-Os",
        "-ffunction-sections",
        "-fdata-sections",
        "-nostdlib",
        "--param",
        "max-inline-insns-single=500",
    ],
    # The official core spells its clock out in stm32_def.h: F_CPU is SystemCoreClock.
    CPPDEFINES=[
        "STM32F4xx",
        ("ARDUINO", 10808),
        "ARDUINO_ARCH_STM32",
        "NDEBUG",
        "ARDUINO_GENERIC_F405RGTX",
    ],
    CPPPATH=[str(framework / "core"), str(framework / "chip")],
    LINKFLAGS=[
        *machine,
        "-Os",
        "--specs=nano.specs",
        "-nostartfiles",
        "-Wl,--gc-sections,--relax",
        "-Wl,--check-sections",
        "-Wl,--entry=Reset_Handler",
        "-Wl,--unresolved-symbols=report-all",
        "-Wl,--warn-common",
        f"-Wl,--defsym=LD_MAX_SIZE={board.get('upload.maximum_size')}",
        f"-Wl,--defsym=LD_MAX_DATA_SIZE={board.get('upload.maximum_ram_size')}",
    ],
    LIBS=["c", "m", "gcc", "stdc++"],
)
env.Replace(LDSCRIPT_PATH=str(framework / "chip" / "ldscript.ld"))
# Objects, not an archive: nothing refers to the vector table, so an archive would lose it.
env.BuildSources(str(Path("$BUILD_DIR") / "FrameworkArduinoChip"), str(framework / "chip"))
env.Prepend(
    LIBS=[env.BuildLibrary(str(Path("$BUILD_DIR") / "FrameworkArduino"), str(framework / "core"))],
)
