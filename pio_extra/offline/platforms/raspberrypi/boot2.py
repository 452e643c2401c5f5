"""The RP2040's second stage bootloader: 252 bytes of code and a CRC-32 over them.

RP2040 datasheet, 2.8.1.3.1 "Checksum": polynomial 0x04C11DB7, seed 0xFFFFFFFF, bits in
neither input nor output reversed, stored little-endian in the last four of 256 bytes.
"""

from __future__ import annotations

import struct

SIZE = 256


def crc32_mpeg2(data: bytes) -> int:
    """CRC-32/MPEG-2 of `data`, the flavour that the RP2040's ROM checks."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = ((crc << 1) ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
    return crc


def checksummed(code: bytes) -> bytes:
    """The 256-byte image of `code`.

    Raises:
        ValueError: the code is empty or leaves no room for the checksum.
    """
    if not 0 < len(code) <= SIZE - 4:
        raise ValueError(f"boot2 has {len(code)} bytes of code; 1 to {SIZE - 4} fit")
    padded = code.ljust(SIZE - 4, b"\0")
    return padded + struct.pack("<I", crc32_mpeg2(padded))


def as_assembly(image: bytes) -> str:
    """GNU assembler text that places `image` into section .boot2."""
    rows = (image[start : start + 16] for start in range(0, len(image), 16))
    lines = ("\t.byte " + ", ".join(f"0x{byte:02x}" for byte in row) for row in rows)
    return '\t.section .boot2, "a"\n' + "\n".join(lines) + "\n"
