"""udev rules that let a user open the boards, and keep ModemManager from them."""

from __future__ import annotations

from collections.abc import Iterable

from miniml.boards import Board
from miniml.hil.finding.usb_devices import NAMES

# Below 73, where systemd gives the user at the seat what is tagged uaccess; the group is for
# those who come by ssh.
HEAD = """\
# MiniML's boards, their adapters and boot loaders. Put this into
# /etc/udev/rules.d/60-miniml.rules, then: sudo udevadm control --reload; and replug.
"""


def udev_rules(boards: Iterable[Board], group: str = "dialout") -> str:
    """The text of a rules file for the boards' USB ids and every loader and debug probe."""
    ids = sorted({usb_id for board in boards for usb_id in board.usb_ids} | set(NAMES))
    # The marks are ModemManager's, on the device and on the port, as PlatformIO's rules have them.
    marks = 'ENV{ID_MM_DEVICE_IGNORE}="1", ENV{ID_MM_PORT_IGNORE}="1"'
    rights = f'MODE="0660", GROUP="{group}", TAG+="uaccess"'
    lines = [
        f'SUBSYSTEM=="{subsystem}", ATTRS{{idVendor}}=="{vendor:04x}", '
        f'ATTRS{{idProduct}}=="{product:04x}", {rights}, {marks}'
        for vendor, product in ids
        for subsystem in ("usb", "tty")
    ]
    return HEAD + "\n".join(lines) + "\n"
