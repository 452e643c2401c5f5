"""The pseudo-terminal that plays a board's serial port, and the link that names it."""

from __future__ import annotations

import os
import pty
import select
import termios
import tty
from pathlib import Path

LONGEST_QUEUE = 1 << 16


class Port:
    """A PTY pair; the host opens the slave, the board reads and writes the master.

    Args:
        link: the path that leads to the current slave, replaced atomically.
        avoid: a name that the new PTY must not have, as a USB device may come back
            under another one.
    """

    def __init__(self, link: Path, avoid: str = "") -> None:
        """Open a fresh PTY and point the link at it."""
        self._master, self._slave = pty.openpty()
        if os.ttyname(self._slave) == avoid:
            same = (self._master, self._slave)
            self._master, self._slave = pty.openpty()
            for descriptor in same:
                os.close(descriptor)
        # The slave stays open here: a master without slave reads EIO and spins.
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.name = os.ttyname(self._slave)
        self._link = link
        self._queue = bytearray()
        self._set_speed(termios.B115200)
        fresh = link.with_name(f".{link.name}-{os.getpid()}")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(self.name)
        fresh.replace(link)

    def close(self) -> None:
        """Take the link away and close the PTY: the host's next access fails."""
        if self._link.is_symlink() and str(self._link.readlink()) == self.name:
            self._link.unlink()
        os.close(self._master)
        os.close(self._slave)

    def fileno(self) -> int:
        """For select."""
        return self._master

    def read(self) -> bytes:
        """What the host sent; empty when nothing is there."""
        try:
            return os.read(self._master, 4096)
        except (BlockingIOError, OSError):
            return b""

    def write(self, content: bytes) -> None:
        """Send to the host; what nobody reads is lost in the end, as on a cable."""
        self._queue += content
        while self._queue and select.select([], [self._master], [], 0)[1]:
            try:
                del self._queue[: os.write(self._master, self._queue)]
            except BlockingIOError:
                break
        del self._queue[:-LONGEST_QUEUE]

    @property
    def touched(self) -> bool:
        """The host has set 1200 baud: the request to enter the boot loader."""
        return bool(termios.tcgetattr(self._master)[5] == termios.B1200)

    def _set_speed(self, speed: int) -> None:
        attributes = termios.tcgetattr(self._slave)
        attributes[4] = attributes[5] = speed
        termios.tcsetattr(self._slave, termios.TCSANOW, attributes)
