"""The control socket of a simulated board: one command a line, one JSON line back."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

Command = Callable[[list[str]], dict[str, Any]]


class Control:
    """A Unix stream socket that any number of clients may use at the same time.

    Args:
        path: of the socket; a stale one is replaced.
        command: gets the words of a line, returns what is sent back as JSON. A
            ValueError becomes {"error": ...}.
    """

    def __init__(self, path: Path, command: Command) -> None:
        """Listen."""
        self._path = path
        self._command = command
        self._clients: dict[socket.socket, bytearray] = {}
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Under its name only once it listens: whoever sees it may connect.
        unready = path.with_suffix(".new")
        unready.unlink(missing_ok=True)
        # Through the folder's descriptor: a socket's name has at most 107 bytes.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            self._server.bind(f"/proc/self/fd/{folder}/{unready.name}")
        finally:
            os.close(folder)
        self._server.listen()
        self._server.setblocking(False)
        unready.replace(path)

    def close(self) -> None:
        """Remove the socket, then hang up: who waits for that may make another one."""
        self._path.unlink(missing_ok=True)
        for client in [*self._clients, self._server]:
            client.close()

    @property
    def sockets(self) -> list[socket.socket]:
        """For select."""
        return [self._server, *self._clients]

    def serve(self, ready: socket.socket) -> None:
        """Handle one readable socket of `sockets`."""
        if ready is self._server:
            client, _ = self._server.accept()
            client.setblocking(False)
            self._clients[client] = bytearray()
            return
        try:
            content = ready.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            content = b""
        if not content:
            del self._clients[ready]
            ready.close()
            return
        buffer = self._clients[ready]
        buffer += content
        while b"\n" in buffer:
            line, _, rest = bytes(buffer).partition(b"\n")
            buffer[:] = rest
            self._answer(ready, line.decode("utf-8", "replace").split())

    def _answer(self, client: socket.socket, words: list[str]) -> None:
        try:
            answer = self._command(words)
        except ValueError as error:
            answer = {"error": str(error)}
        with contextlib.suppress(OSError):  # a client that left need not be told
            client.sendall(json.dumps(answer).encode() + b"\n")
