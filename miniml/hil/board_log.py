"""What happened to one board: commands, the tools' output, its log text, the raw traffic. Bounded.

A line is `   seconds source: text`, the seconds since the log began.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import IO

MAX_FILE_BYTES = 2_000_000
# Where the file goes on once it is full: what came first stays, and so do the newest lines.
KEPT_FIRST_BYTES = 1_000_000
KEPT_NEWEST_LINES = 2000
MAX_TAIL_LINES = 100
MAX_LINE = 500
TAIL_TRAFFIC_LINES = 12
FROM_HOST, FROM_BOARD = "->", "<-"


class BoardLog:
    """Lines in a file of at most two megabytes, and the last of them in memory."""

    def __init__(self, board: str, file: Path | None = None, *, verbose: bool = False) -> None:
        """Starts `file` anew, or does without it; `verbose` repeats each line on stderr."""
        self._board = board
        self._verbose = verbose
        self._begin = time.monotonic()
        self._events: deque[tuple[float, str]] = deque(maxlen=MAX_TAIL_LINES)
        self._traffic: deque[tuple[float, str]] = deque(maxlen=TAIL_TRAFFIC_LINES)
        self._newest: deque[bytes] = deque(maxlen=KEPT_NEWEST_LINES)
        self._lock = threading.Lock()
        self._stream: IO[bytes] | None = None
        self._size = 0
        self.file = file
        if file is not None:
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                # A run that waits for the board must not write into the log of the one that has it.
                file.unlink(missing_ok=True)
                self._stream = file.open("wb", buffering=0)
            except OSError as error:
                self._give_up_file(error)

    def add(self, source: str, text: str) -> None:
        """One line of `source` (such as "host", "board", "avrdude")."""
        self._line(self._events, f"{source}: {_clean(text)}")

    def traffic(self, direction: str, text: str) -> None:
        """What went over the port, FROM_HOST or FROM_BOARD, control characters escaped already."""
        self._line(self._traffic, f"{direction} {_clean(text)}")

    def tail(self) -> list[str]:
        """The last lines, oldest first: a hundred events, a dozen lines of traffic."""
        with self._lock:
            both = sorted([*self._events, *self._traffic], key=lambda entry: entry[0])
        return [text for _, text in both]

    def close(self) -> None:
        """Closes the file; later lines are kept in memory only."""
        with self._lock:
            stream, self._stream = self._stream, None
            if stream is not None:
                stream.close()

    def _line(self, tail: deque[tuple[float, str]], line: str) -> None:
        with self._lock:
            now = time.monotonic() - self._begin
            line = line[:MAX_LINE]
            tail.append((now, line))
            encoded = f"{now:10.3f} {line}\n".encode("utf-8", "replace")
            if self._stream is not None:
                self._write(encoded)
        if self._verbose:
            print(f"[{self._board}] {line}", file=sys.stderr, flush=True)

    def _write(self, line: bytes) -> None:
        assert self._stream is not None
        self._newest.append(line)
        try:
            if self._size + len(line) > MAX_FILE_BYTES:
                self._stream.seek(KEPT_FIRST_BYTES)
                self._stream.truncate()
                line = b"\n... lines are left out here ...\n" + b"".join(self._newest)
                self._size = KEPT_FIRST_BYTES
            self._stream.write(line)
            self._size += len(line)
        except OSError as error:
            self._give_up_file(error)

    def _give_up_file(self, error: OSError) -> None:
        # A full disk must not change what a board is worth; the report still has the tail.
        now = time.monotonic() - self._begin
        self._events.append((now, f"host: {self.file}: can't be written ({error.strerror})"))
        self._stream = None


def _clean(text: str) -> str:
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
