"""The folder that plays a Pico's RPI-RP2 drive: a copied UF2 is checked and programmed.

The UF2 layout: github.com/microsoft/uf2; what the RP2040's ROM accepts: datasheet 2.8.4.2.
"""

from __future__ import annotations

import shutil
import struct
import time
from pathlib import Path

MAGIC = (0x0A324655, 0x9E5D5157, 0x0AB16F30)
FAMILY_RP2040 = 0xE48BFF56
HAS_FAMILY, NOT_MAIN_FLASH = 0x2000, 0x0001
BLOCK, PAYLOAD, PAGE = 512, 256, 256
SETTLE_SECONDS = 3.0  # a copy that has stopped growing for so long is complete or broken
INFO = "UF2 Bootloader v3.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: RPI-RP2\r\n"


class Uf2Error(ValueError):
    """A file that the boot ROM would not program; says why."""


def parse_uf2(content: bytes, base: int, size: int) -> dict[int, bytes]:
    """The pages of a complete UF2 file for an RP2040.

    Args:
        content: of the file.
        base: first address of the flash.
        size: bytes of flash.

    Returns:
        Payloads of 256 bytes by flash offset.

    Raises:
        Uf2Error: wrong magic, family, address or payload size, or a missing block.
    """
    if not content or len(content) % BLOCK:
        raise Uf2Error(f"{len(content)} bytes are not a whole number of 512-byte blocks")
    pages: dict[int, bytes] = {}
    numbers: set[int] = set()
    total = 0
    for position in range(0, len(content), BLOCK):
        block = content[position : position + BLOCK]
        begin, second, flags, address, length, number, count, family = struct.unpack_from(
            "<8I", block
        )
        (end,) = struct.unpack_from("<I", block, 508)
        where = f"block {position // BLOCK}"
        if (begin, second, end) != MAGIC:
            raise Uf2Error(f"{where}: wrong magic number")
        if flags & NOT_MAIN_FLASH:
            continue
        if not flags & HAS_FAMILY or family != FAMILY_RP2040:
            raise Uf2Error(f"{where}: family {family:#010x} is not RP2040 ({FAMILY_RP2040:#010x})")
        if length != PAYLOAD or address % PAGE:
            raise Uf2Error(f"{where}: {length} bytes at {address:#010x} are not one flash page")
        if not base <= address <= base + size - PAYLOAD:
            raise Uf2Error(f"{where}: address {address:#010x} is outside the flash")
        if number >= count or (total and count != total):
            raise Uf2Error(f"{where}: number {number} of {count} does not fit")
        total = count
        numbers.add(number)
        pages[address - base] = block[32 : 32 + PAYLOAD]
    if len(numbers) != total or not total:
        raise Uf2Error(f"{len(numbers)} of {total} blocks present")
    return pages


class Uf2Drive:
    """The drive while it is there: made with INFO_UF2.TXT, removed with all it holds.

    Args:
        folder: which folder plays the drive.
    """

    def __init__(self, folder: Path) -> None:
        """Mount."""
        self._folder = folder
        self._seen: dict[Path, tuple[int, float]] = {}
        self._refused: set[tuple[Path, int]] = set()
        shutil.rmtree(folder, ignore_errors=True)
        # Filled before it gets its name: who sees the drive sees it ready.
        fresh = folder.with_name(f".{folder.name}")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        (fresh / "INFO_UF2.TXT").write_text(INFO, newline="")
        fresh.rename(folder)

    def eject(self) -> None:
        """Unmount."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def complete_file(self) -> tuple[Path, bytes] | None:
        """A UF2 file that is wholly there: as long as its first block says, or settled."""
        for path in sorted(self._folder.glob("*.[uU][fF]2")):
            try:
                content = path.read_bytes()
                changed = path.stat().st_mtime_ns
            except OSError:
                continue
            if (path, changed) in self._refused:
                continue
            size, since = self._seen.get(path, (-1, 0.0))
            now = time.monotonic()
            if len(content) != size:
                self._seen[path] = (len(content), now)
                since = now
            (count,) = struct.unpack_from("<I", content, 24) if len(content) >= 32 else (0,)
            if (count and len(content) == count * BLOCK) or now - since > SETTLE_SECONDS:
                self._refused.add((path, changed))
                return path, content
        return None
