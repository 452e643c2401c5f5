"""UF2 images for the RP2040, from an ELF.

Format: the UF2 specification's 512-byte blocks with 256-byte payloads; family id
0xE48BFF56 is the RP2040's. Written without gaps: the ROM erases by 4 KB sector.
"""

from __future__ import annotations

import contextlib
import os
import struct
import subprocess
import tempfile
from pathlib import Path

MAGIC_START = (0x0A324655, 0x9E5D5157)
MAGIC_END = 0x0AB16F30
FAMILY_RP2040 = 0xE48BFF56
FLAG_FAMILY_PRESENT = 0x00002000
PAYLOAD = 256
FLASH_START = 0x10000000


def encode(image: bytes, address: int = FLASH_START) -> bytes:
    """UF2 blocks that write `image` at `address` (bytes; padded to 256 with zeros).

    Raises:
        ValueError: an empty image, or an address that is not a multiple of 256.
    """
    if not image or address % PAYLOAD:
        raise ValueError("a UF2 needs data, at an address that is a multiple of 256")
    chunks = [image[start : start + PAYLOAD] for start in range(0, len(image), PAYLOAD)]
    blocks = []
    for number, chunk in enumerate(chunks):
        header = struct.pack(
            "<8I",
            *MAGIC_START,
            FLAG_FAMILY_PRESENT,
            address + number * PAYLOAD,
            PAYLOAD,
            number,
            len(chunks),
            FAMILY_RP2040,
        )
        body = chunk.ljust(476, b"\0")
        blocks.append(header + body + struct.pack("<I", MAGIC_END))
    return b"".join(blocks)


def write(elf: Path, objcopy: str, path: str) -> Path:
    """Write firmware.uf2 beside `elf`; `objcopy` is looked up on `path`."""
    with tempfile.TemporaryDirectory(dir=elf.parent) as folder:
        raw = Path(folder) / "image.bin"
        subprocess.run(
            [objcopy, "-O", "binary", str(elf), str(raw)],
            check=True,
            env={**os.environ, "PATH": path},
        )
        partial = Path(folder) / "image.uf2"
        partial.write_bytes(encode(raw.read_bytes()))
        target = elf.with_suffix(".uf2")
        partial.replace(target)
    return target


def copy(image: Path, drive: Path) -> None:
    """Copy `image` onto a Pico's drive and flush it: the board reboots on the last block."""
    with (drive / image.name).open("wb") as file:
        file.write(image.read_bytes())
        file.flush()
        # The board may be gone before the last flush is confirmed: the data has arrived then.
        with contextlib.suppress(OSError):
            os.fsync(file.fileno())
