"""An open serial port, by lines, with deadlines; every failure is a PortError."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import serial

from miniml.errors import PortError
from miniml.hil.board_log import FROM_BOARD, FROM_HOST
from miniml.hil.link.codec import printable

# A line that never ends is noise; what a device sends has at most 62 bytes.
MAX_PENDING = 1024
_SLICE_S = 0.05
_WRITE_TIMEOUT_S = 3.0


class LinePort:
    """A serial port, or any URL that pyserial opens, read line by line."""

    def __init__(
        self,
        url: str,
        baud: int,
        *,
        dtr: bool = True,
        rts: bool = True,
        cancel: threading.Event | None = None,
        trace: Callable[[str, str], None] = lambda direction, text: None,
    ) -> None:
        """Opens the port, alone; once `cancel` is set, reading fails.

        `trace` is told every line that goes over it, and its direction.

        Raises:
            PortError: missing, in use, not permitted, or not a serial port.
        """
        self.url = url
        self._pending = bytearray()
        self._cancel = cancel
        self._trace = trace
        try:
            # exclusive: two programs on one port each get half of the bytes.
            self._port: Any = serial.serial_for_url(url, do_not_open=True, exclusive=True)
            self._port.baudrate = baud
            self._port.timeout = _SLICE_S
            if not url.startswith("rfc2217:"):  # pyserial's has none
                self._port.write_timeout = _WRITE_TIMEOUT_S
            self._port.dtr = dtr
            self._port.rts = rts
            self._port.open()
        except (OSError, ValueError) as error:
            raise PortError(_why_not_open(url, error)) from error

    def write(self, data: bytes) -> None:
        """Sends all bytes.

        Raises:
            PortError: the port vanished, or takes no bytes.
        """
        self._trace(FROM_HOST, printable(data))
        try:
            self._port.write(data)
        except serial.SerialTimeoutException as error:
            raise PortError(
                f"port {self.url} takes no bytes: unplug the board and retry"
            ) from error
        except (OSError, TypeError) as error:
            raise self._vanished() from error

    def read_line(self, deadline: float) -> bytes | None:
        """The next line with its line feed; None at the deadline (of time.monotonic).

        Raises:
            PortError: the port vanished, or the run was interrupted.
        """
        while (end := self._pending.find(b"\n")) < 0:
            if len(self._pending) > MAX_PENDING:
                end = len(self._pending) - 1
                break
            if time.monotonic() >= deadline:
                return None
            if self._cancel is not None and self._cancel.is_set():
                raise PortError(f"the conversation on {self.url} was interrupted")
            try:
                self._pending += self._port.read(max(1, min(self._port.in_waiting, MAX_PENDING)))
            except (OSError, TypeError) as error:
                # TypeError: pyserial, when another thread closed the port meanwhile.
                raise self._vanished() from error
        line = bytes(self._pending[: end + 1])
        del self._pending[: end + 1]
        self._trace(FROM_BOARD, printable(line))
        return line

    def drain(self, deadline: float) -> None:
        """Takes and forgets what comes until the deadline (of time.monotonic).

        Raises:
            PortError: as `read_line`.
        """
        while self.read_line(deadline) is not None:
            pass

    def pending(self) -> bytes:
        """What has come of a line that isn't complete."""
        return bytes(self._pending)

    def close(self) -> None:
        """Frees the port; also one that has vanished."""
        if self._pending:
            self._trace(FROM_BOARD, f"{printable(bytes(self._pending))} (no line feed)")
        # pyserial forgets the socket of a URL unclosed where the far end has hung up.
        connection = getattr(self._port, "_socket", None)
        with contextlib.suppress(OSError):
            self._port.close()
        if connection is not None:
            connection.close()

    def _vanished(self) -> PortError:
        gone = PortError(f"port {self.url} vanished: check the cable and run again")
        return gone.of_the_board()


def _why_not_open(url: str, error: Exception) -> str:
    number = getattr(error, "errno", None)
    text = " ".join(str(error).split())
    # flock, which pyserial uses for `exclusive`, and Windows ("Access is denied").
    if number in (errno.EAGAIN, errno.EBUSY) or "exclusively lock" in text:
        return f"port {url} is in use by another program: close it (a serial monitor?)"
    if number in (errno.EACCES, errno.EPERM) or "PermissionError" in text:
        hint = "close what uses it" if os.name == "nt" else "add yourself to the group dialout"
        return f"no permission to open port {url}: {hint}"
    if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO) or "FileNotFoundError" in text:
        return f"port {url} is missing: `miniml boards` shows what is attached"
    return f"can't open port {url}: {text}"
