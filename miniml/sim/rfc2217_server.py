"""Offers a simulated board over `rfc2217://`: pyserial's own server half on the board's PTY.

So DTR, RTS, parity and the 1200-baud touch are really exercised, by any program that opens pyserial
URLs. One client at a time; while the board has no port (a Pico in BOOTSEL), nobody is let in.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import serial
import serial.rfc2217

from miniml.errors import SimulatorError
from miniml.sim.modem_lines import BoardLines, arrives

LOOK_S = 0.05  # how soon a port that vanished or came is noticed
CHUNK = 4096
GOODBYE_S = 0.5


class SimulatedLine:
    """What PortManager takes for a serial port: rates go to the PTY, lines to the board.

    Attributes:
        parity: what the host has set, as pyserial calls it.
    """

    bytesize, stopbits = serial.EIGHTBITS, serial.STOPBITS_ONE
    xonxoff = rtscts = break_condition = False
    # A USB adapter without these lines shows them on.
    cts = dsr = cd = True
    ri = False

    def __init__(self, pty: str, lines: BoardLines) -> None:
        """Opens the PTY; it stays open, so that only DTR resets.

        Raises:
            OSError: it has gone.
        """
        self._port: Any = serial.Serial(pty, timeout=0, write_timeout=1)
        self.lines = lines
        self.parity = serial.PARITY_NONE

    @property
    def baudrate(self) -> int:
        """The host's rate."""
        return int(self._port.baudrate)

    @baudrate.setter
    def baudrate(self, rate: int) -> None:
        self._port.baudrate = rate

    @property
    def dtr(self) -> bool:
        """Whether DTR is on."""
        return self.lines.dtr

    @dtr.setter
    def dtr(self, on: bool) -> None:
        self.lines.set(dtr=bool(on), rts=self.lines.rts)

    @property
    def rts(self) -> bool:
        """Whether RTS is on."""
        return self.lines.rts

    @rts.setter
    def rts(self, on: bool) -> None:
        self.lines.set(dtr=self.lines.dtr, rts=bool(on))

    def reset_input_buffer(self) -> None:
        """What the board has sent and nobody fetched."""
        self._port.reset_input_buffer()

    def reset_output_buffer(self) -> None:
        """Nothing waits here."""

    def fileno(self) -> int:
        """For select."""
        return int(self._port.fileno())

    def to_board(self, data: bytes) -> None:
        """Bytes of the host, those that the chip's UART takes."""
        if self.lines.hears():
            expected = self.lines.parity()
            self._port.write(bytes(b for b in data if arrives(b, self.parity, expected)))

    def from_board(self) -> bytes:
        """Bytes for the host, those that its UART takes.

        Raises:
            OSError: the PTY has gone.
        """
        data = os.read(self.fileno(), CHUNK)
        if not data or not self.lines.speaks():
            return b""
        sent = self.lines.parity()
        return bytes(b for b in data if arrives(b, sent, self.parity))

    def hang_up(self) -> None:
        """The host has closed its port: the lines fall, and what comes now is lost."""
        self.parity = serial.PARITY_NONE
        with contextlib.suppress(OSError, SimulatorError):
            self.lines.set(dtr=False, rts=False)

    def close(self) -> None:
        """Lets go of the PTY."""
        self.hang_up()
        with contextlib.suppress(OSError):
            self._port.close()


class Rfc2217Server:
    """Serves one board until it is told to stop."""

    def __init__(
        self, address: tuple[str, int], pty: Callable[[], str | None], lines: BoardLines
    ) -> None:
        """Binds host and port; `pty` tells the board's own right now, None while it has none.

        Raises:
            SimulatorError: the address is in use or not this machine's.
        """
        self._pty, self._lines = pty, lines
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listener.bind(address)
        except OSError as error:
            self._listener.close()
            where = f"{address[0]}:{address[1]}"
            raise SimulatorError(f"can't offer the board at {where}: {error.strerror}") from error
        self._listener.listen(1)
        host, number = self._listener.getsockname()
        self.url = f"rfc2217://{host}:{number}"

    def run(self, stop: threading.Event) -> None:
        """Lets one client after the other talk to the board."""
        with self._listener:
            while not stop.is_set():
                if (pty := self._pty()) is None:
                    stop.wait(LOOK_S)
                    continue
                # Open as long as the board has this port: only DTR resets, no opening of a PTY.
                with contextlib.suppress(OSError), closing(SimulatedLine(pty, self._lines)) as line:
                    while not stop.is_set() and self._pty() == pty:
                        if select.select([self._listener], [], [], LOOK_S)[0]:
                            client, _ = self._listener.accept()
                            with client, contextlib.suppress(OSError, SimulatorError):
                                self._serve(client, line, lambda: self._pty() != pty, stop)
                                _say_goodbye(client)
                            line.hang_up()

    def _serve(
        self,
        client: socket.socket,
        line: SimulatedLine,
        gone: Callable[[], bool],
        stop: threading.Event,
    ) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        manager = serial.rfc2217.PortManager(line, _Connection(client))
        while not stop.is_set() and not gone():
            watched: list[Any] = [client, line]
            ready = select.select(watched, [], [], LOOK_S)[0]
            if line in ready and (data := line.from_board()):
                client.sendall(b"".join(manager.escape(data)))
            if client in ready:
                received = client.recv(CHUNK)
                if not received:
                    return
                if data := b"".join(manager.filter(received)):
                    line.to_board(data)


def _say_goodbye(client: socket.socket) -> None:
    """Closes in order: with bytes left unread, the host would see a broken connection."""
    client.shutdown(socket.SHUT_WR)
    client.settimeout(GOODBYE_S)
    while client.recv(CHUNK):
        pass


class _Connection:
    """What PortManager writes its answers to."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client

    def write(self, data: bytes) -> None:
        self._client.sendall(data)
