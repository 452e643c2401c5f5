"""A simulated Uno behind a line that spoils each byte, both ways, with a given probability."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

from miniml.bench.faults.device import UnoDevice
from miniml.bench.faults.wire import Pieces, Wire
from miniml.boards import Board

RATE = 1 / 1000


class ByteErrors:
    """Counts what went through, and what it spoilt."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(seed)
        self.bytes = self.errors = 0

    def request(self, wire: Wire, line: bytes) -> Pieces:
        return [(0.0, self._spoil(line))]

    def answer(self, wire: Wire, line: bytes) -> Pieces:
        return [(0.0, self._spoil(line))]

    def _spoil(self, line: bytes) -> bytes:
        content = bytearray(line)
        for place in range(len(content)):
            if self._rng.random() < RATE:
                # Another byte than it was.
                content[place] ^= self._rng.randrange(1, 256)
                self.errors += 1
        self.bytes += len(content)
        return bytes(content)


@contextmanager
def bad_line(board: Board, state: Path, seed: int) -> Iterator[tuple[str, ByteErrors]]:
    """The port of the simulated board whose flash.bin lies in `state`."""
    errors = ByteErrors(seed)
    with closing(UnoDevice(board, state)) as device, closing(Wire(device, errors)) as wire:
        yield wire.port, errors
