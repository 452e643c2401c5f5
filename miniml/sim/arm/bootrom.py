"""What firmware can find in the simulated RP2040's boot ROM (datasheet 2.8.3).

The magic number, the look-up of functions, and one function: reset_to_usb_boot ("UB"), where a
breakpoint tells the board. No floating point library and no flash programming: the kit's firmware
needs neither, and the board plays the ROM's boot sequence itself.
"""

from __future__ import annotations

import struct

ROM_BYTES = 16 << 10
_STACK = 0x2004_2000
_LOOP, _LOOKUP, _TABLE = 0x20, 0x24, 0x40
USB_BOOT = 0x48  # address of reset_to_usb_boot
# rom_table_lookup(table, code): pairs of halfwords, code and value, until a code is 0.
_LOOKUP_CODE = (
    0x8802,  # ldrh r2, [r0]
    0x2A00,  # cmp  r2, #0
    0xD004,  # beq  end
    0x428A,  # cmp  r2, r1
    0xD001,  # beq  found
    0x3004,  # adds r0, #4
    0xE7F8,  # b    to the first
    0x8842,  # found: ldrh r2, [r0, #2]
    0x0010,  # end: movs r0, r2
    0x4770,  # bx   lr
)


def rom_content() -> bytes:
    """The first bytes of the ROM: vectors, magic, look-up, table, function."""
    content = bytearray(0x50)
    # Faults before the firmware has its own vectors end in an endless loop, as in the ROM.
    struct.pack_into("<4I", content, 0, _STACK, _LOOP | 1, _LOOP | 1, _LOOP | 1)
    content[0x10:0x14] = b"Mu\x01\x03"  # 2.8.3: magic, and the B2 stepping's version
    struct.pack_into("<3H", content, 0x14, _TABLE, _TABLE, _LOOKUP | 1)
    struct.pack_into("<H", content, _LOOP, 0xE7FE)  # b .
    struct.pack_into(f"<{len(_LOOKUP_CODE)}H", content, _LOOKUP, *_LOOKUP_CODE)
    struct.pack_into("<3H", content, _TABLE, int.from_bytes(b"UB", "little"), USB_BOOT | 1, 0)
    struct.pack_into("<H", content, USB_BOOT, 0xBE00)  # bkpt
    return bytes(content)
