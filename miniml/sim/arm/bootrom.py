"""What firmware can find in the simulated RP2040's boot ROM (datasheet 2.8.3).

The magic number, and tables that are empty: a look-up answers 0, "not there". So no
floating point library, no flash programming and no reset_to_usb_boot from ROM; the kit's
firmware needs none of them, and the board plays the ROM's boot sequence itself.
"""

from __future__ import annotations

import struct

ROM_BYTES = 16 << 10
_STACK = 0x2004_2000
_LOOP, _LOOKUP, _TABLE = 0x20, 0x24, 0x28


def rom_content() -> bytes:
    """The first bytes of the ROM: vectors, magic, look-up, empty table."""
    content = bytearray(0x40)
    # Faults before the firmware has its own vectors end in an endless loop, as in the ROM.
    struct.pack_into("<4I", content, 0, _STACK, _LOOP | 1, _LOOP | 1, _LOOP | 1)
    content[0x10:0x14] = b"Mu\x01\x03"  # 2.8.3: magic, and the B2 stepping's version
    struct.pack_into("<3H", content, 0x14, _TABLE, _TABLE, _LOOKUP | 1)
    struct.pack_into("<H", content, _LOOP, 0xE7FE)  # b .
    struct.pack_into("<2H", content, _LOOKUP, 0x2000, 0x4770)  # movs r0, #0; bx lr
    return bytes(content)
