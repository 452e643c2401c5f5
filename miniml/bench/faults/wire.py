"""The faulty line: a PTY for the host, a device, and a fault on what goes between them."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
import tty
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from miniml.bench.faults.device import Device

# Pieces that arrive one after the other, each so many seconds after the one before.
Pieces = Sequence[tuple[float, bytes]]


class Fault(Protocol):
    """What happens to each line; called from the wire's thread."""

    def request(self, wire: Wire, line: bytes) -> Pieces:
        """What the device gets of a line of the host's."""

    def answer(self, wire: Wire, line: bytes) -> Pieces:
        """What the host gets of a line of the device's."""


class _Way:
    """One direction: bytes in order, each with its time."""

    def __init__(self) -> None:
        self.partial = b""
        self._pieces: deque[tuple[float, bytes]] = deque()

    def lines(self, data: bytes) -> list[bytes]:
        """Whole lines, with their line feeds."""
        *whole, self.partial = (self.partial + data).split(b"\n")
        return [line + b"\n" for line in whole]

    def put(self, pieces: Pieces) -> None:
        for wait_s, data in pieces:
            now = self._pieces[-1][0] if self._pieces else time.monotonic()
            self._pieces.append((now + wait_s, data))

    def due(self) -> bytes:
        """What has arrived by now."""
        data = b""
        while self._pieces and self._pieces[0][0] <= time.monotonic():
            data += self._pieces.popleft()[1]
        return data

    def wait_s(self) -> float | None:
        """Until the next piece; None: there is none."""
        return max(0.0, self._pieces[0][0] - time.monotonic()) if self._pieces else None


class Wire:
    """The line between `port` and a device, in a thread of its own."""

    def __init__(self, device: Device, fault: Fault) -> None:
        """Carries at once."""
        self._device, self._fault = device, fault
        self._ways = {"request": _Way(), "answer": _Way()}
        self._open_host()
        self._wake, self._stop = os.pipe()
        self._unplugged = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def _open_host(self) -> None:
        self._host, self._end = os.openpty()
        tty.setraw(self._end)
        os.set_blocking(self._host, False)
        self.port = os.ttyname(self._end)

    def say(self, data: bytes) -> None:
        """From the fault: bytes for the host that the device never sent."""
        self._ways["answer"].put([(0.0, data)])

    def reset_device(self) -> None:
        """From the fault: what is on its way is lost."""
        self._ways["answer"] = _Way()
        self._device.reset()

    def unplug(self) -> None:
        """From the fault: the host's port vanishes."""
        self._unplugged.set()

    def plug_in(self) -> None:
        """The port is there again, under another name; after `unplug`."""
        self._thread.join(10)
        old = self.port
        self._open_host()
        if self.port == old:  # the system gives the lowest free name
            taken = self._host, self._end
            self._open_host()
            for descriptor in taken:
                os.close(descriptor)
        self._ways = {"request": _Way(), "answer": _Way()}
        self._unplugged.clear()
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread; the device stays. Raises what went wrong in a fault itself."""
        os.close(self._stop)
        self._thread.join(10)
        os.close(self._wake)
        if self._failure is not None:
            raise self._failure

    def _carry(self) -> None:
        try:
            self._carry_lines()
        except Exception as error:
            # Not the host's fault: it must not pass for an ending of the conversation.
            self._failure = error
        finally:
            os.close(self._host)
            os.close(self._end)

    def _carry_lines(self) -> None:
        while not self._unplugged.is_set():
            waits = [wait for way in self._ways.values() if (wait := way.wait_s()) is not None]
            readers = [self._host, self._device.reader, self._wake]
            ready, _, _ = select.select(readers, [], [], min(waits, default=None))
            if self._wake in ready:
                return
            if self._host in ready:
                for line in self._ways["request"].lines(_read(self._host)):
                    self._ways["request"].put(self._fault.request(self, line))
            if self._device.reader in ready:
                for line in self._ways["answer"].lines(_read(self._device.reader)):
                    self._ways["answer"].put(self._fault.answer(self, line))
            if data := self._ways["request"].due():
                with contextlib.suppress(OSError):
                    self._device.write(data)
            if data := self._ways["answer"].due():
                # A host that doesn't read loses what its buffer doesn't hold.
                with contextlib.suppress(BlockingIOError):
                    os.write(self._host, data)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:
        return b""
