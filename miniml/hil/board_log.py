"""What happened to one board: commands, the tools' output, its own log text. Bounded."""

from __future__ import annotations

import sys
import threading
from collections import deque
from pathlib import Path

MAX_FILE_BYTES = 1_000_000
MAX_TAIL_LINES = 100


class BoardLog:
    """Lines in a file (at most a megabyte of them) and the last hundred in memory."""

    def __init__(self, board: str, file: Path | None = None, *, verbose: bool = False) -> None:
        """Starts `file` anew, or does without it; `verbose` repeats each line on stderr."""
        self._board = board
        self._verbose = verbose
        self._tail: deque[str] = deque(maxlen=MAX_TAIL_LINES)
        self._room = MAX_FILE_BYTES
        self._lock = threading.Lock()
        self.file = file
        if file is not None:
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(b"")
            except OSError as error:
                self._give_up_file(error)

    def add(self, source: str, text: str) -> None:
        """One line of `source` (such as "host", "board", "avrdude")."""
        clean = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
        line = f"{source}: {clean}"
        with self._lock:
            self._tail.append(line)
            encoded = (line + "\n").encode("utf-8", "replace")
            if self.file is not None and self._room > 0:
                self._room -= len(encoded)
                if self._room <= 0:
                    encoded = b"log: full, the rest is left out\n"
                try:
                    with self.file.open("ab") as stream:
                        stream.write(encoded)
                except OSError as error:
                    self._give_up_file(error)
        if self._verbose:
            print(f"[{self._board}] {line}", file=sys.stderr, flush=True)

    def _give_up_file(self, error: OSError) -> None:
        # A full disk must not change what a board is worth; the report still has the tail.
        self._tail.append(f"host: {self.file}: can't be written ({error.strerror})")
        self._room = 0

    def tail(self) -> list[str]:
        """The last lines, oldest first."""
        with self._lock:
            return list(self._tail)
