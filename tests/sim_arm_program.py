"""Builds programs for the simulated ARM boards: assembly snippets, the test firmware, a UF2."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

from miniml.sim.arm.rp2040 import boot2_checksum
from miniml.sim.arm.uf2_drive import FAMILY_RP2040, MAGIC

FIRMWARE = Path(__file__).with_name("sim_arm_firmware.c")
CPU = {
    "cortex-m4": ["-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"],
    "cortex-m0plus": ["-mcpu=cortex-m0plus"],
}
FLASH = {"stm32f405": 0x0800_0000, "rp2040": 0x1000_0000}
# ldr r0, =0x10000100; ldr r1, =0xE000ED08; str r0, [r1]; ldr r1, [r0]; msr msp, r1;
# ldr r0, [r0, #4]; bx r0: a boot2 that finds the flash readable already
BOOT2 = struct.pack(
    "<10H2I",
    *(0x4804, 0x4905, 0x6008, 0x6801, 0xF381, 0x8808, 0x6840, 0x4700, 0x46C0, 0x46C0),
    *(0x1000_0100, 0xE000_ED08),
)


def _compile(folder: Path, source: Path, core: str, *flags: str) -> Path:
    elf = folder / f"{source.stem}-{core}.elf"
    subprocess.run(
        [
            *("arm-none-eabi-gcc", "-mthumb", *CPU[core], "-nostdlib", "-ffreestanding"),
            *("-Os", "-Wall", "-Wextra", "-Werror", "-Wl,--build-id=none"),
            *(*flags, str(source), "-o", str(elf), "-lgcc"),
        ],
        check=True,
    )
    return elf


def assemble(folder: Path, core: str, text: str) -> Path:
    """An ELF of assembly text at address 0x08000000 or 0x10000000.

    Args:
        folder: for the files.
        core: "cortex-m4" or "cortex-m0plus".
        text: the program, unified syntax.
    """
    source = folder / f"snippets-{core}.S"
    source.write_text(f".syntax unified\n.thumb\n.global _start\n_start:\n{text}\n.ltorg\n")
    flash = 0x0800_0000 if core == "cortex-m4" else 0x1000_0000
    return _compile(folder, source, core, f"-Wl,-Ttext={flash:#x}")


def firmware(folder: Path, board: str) -> bytes:
    """The test firmware's flash image, on the Pico with its boot2 in front."""
    core = "cortex-m4" if board == "stm32f405" else "cortex-m0plus"
    offset = 0 if board == "stm32f405" else 0x100
    elf = _compile(
        folder,
        FIRMWARE,
        core,
        "-DSTM32F405" if board == "stm32f405" else "-DRP2040",
        f"-Wl,--section-start=.vectors={FLASH[board] + offset:#x}",
        f"-Wl,-Ttext={FLASH[board] + 0x200:#x},-Tbss=0x20000000,-e,reset",
    )
    image = folder / f"{board}.bin"
    subprocess.run(["arm-none-eabi-objcopy", "-O", "binary", str(elf), str(image)], check=True)
    content = image.read_bytes()
    if board == "rp2040":
        boot2 = BOOT2.ljust(252, b"\0")
        content = boot2 + struct.pack("<I", boot2_checksum(boot2)) + content
    return content


def uf2(image: bytes, base: int = FLASH["rp2040"], family: int = FAMILY_RP2040) -> bytes:
    """An image as a UF2 file."""
    pages = [image[i : i + 256].ljust(256, b"\0") for i in range(0, len(image), 256)]
    blocks = []
    for number, page in enumerate(pages):
        header = struct.pack(
            "<8I",
            *MAGIC[:2],
            *(0x2000, base + 256 * number, 256, number, len(pages), family),
        )
        blocks.append(header + page.ljust(476, b"\0") + struct.pack("<I", MAGIC[2]))
    return b"".join(blocks)
