"""A conversation with one board: one request outstanding, retries, every wait bounded."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import NoReturn

from miniml.errors import LinkError, SilentBoardError
from miniml.hil.board_log import BoardLog
from miniml.hil.link.codec import (
    DAMAGED_SEQUENCE,
    LOAD_BYTES,
    LOAD_FLOATS,
    MAX_SEQUENCE,
    PROTOCOL_VERSION,
    READ_BYTES,
    Answer,
    LogText,
    Request,
    encode_request,
    parse_line,
    printable,
    to_bytes,
)
from miniml.hil.link.line_port import LinePort

ATTEMPTS = 4
ANSWER_TIMEOUT_S = 2.0
# A bootloader listens up to two seconds before it starts the sketch (ATmegaBOOT).
HELLO_TIMEOUT_S = 8.0
HELLO_INTERVAL_S = 0.4
# Lines that are no answers while one is awaited; more is not a log but noise.
MAX_NOISE_LINES = 500


@dataclass(frozen=True)
class Hello:
    """What HELLO tells: the first 16 digits of ModelId and build id, in lower case."""

    model_id: str
    build_id: str


class Session:
    """The host's side of docs/PROTOCOL.md on an open port."""

    def __init__(self, port: LinePort, log: BoardLog, *, patience: float = 1.0) -> None:
        """Takes over the port; `patience` stretches every time-out."""
        self._port = port
        self._log = log
        self._patience = patience
        self._sequence = 0
        self.retries = 0

    def hello(self, settle_s: float = 0.0) -> Hello:
        """Waits until the board answers to its name.

        Raises:
            SilentBoardError: nothing came.
            LinkError: something came that is no HELLO of protocol 1.
        """
        nonce = secrets.token_hex(4).upper()
        heard = self._listen(time.monotonic() + settle_s) if settle_s else False
        deadline = time.monotonic() + HELLO_TIMEOUT_S * self._patience
        request = self._next("HELLO", nonce)
        while time.monotonic() < deadline:
            answer, noise = self._attempt(request, HELLO_INTERVAL_S * self._patience)
            heard = heard or noise
            if answer is None or answer.sequence == DAMAGED_SEQUENCE:
                continue
            return self._check_hello(answer, nonce)
        self._give_up(request, heard or bool(self._port.pending()))

    def ask(self, *words: str, timeout_s: float = ANSWER_TIMEOUT_S) -> tuple[str, ...]:
        """One request and the words of its answer.

        Raises:
            SilentBoardError, PortError: no answer, no port.
            LinkError: noise, a reset midway, or the board refused.
        """
        request, heard = self._next(*words), False
        for attempt in range(ATTEMPTS):
            self.retries += attempt > 0
            answer, noise = self._attempt(request, timeout_s * self._patience)
            heard = heard or noise
            if answer is None or answer.sequence == DAMAGED_SEQUENCE:
                continue
            if answer.ok:
                return answer.words
            name = " ".join(answer.words) or "?"
            if name == "HELLO":
                raise LinkError("the board was reset midway: check its supply and cable")
            raise LinkError(
                f"the board answered ERR {name} to {' '.join(words[:2])}: flash it again"
            )
        self._give_up(request, heard or bool(self._port.pending()))

    def load(self, values: bytes, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        """Writes int8 inputs, as bytes, from offset 0."""
        for offset in range(0, len(values), LOAD_BYTES):
            piece = values[offset : offset + LOAD_BYTES]
            self.ask("LOAD", f"{offset:04X}", piece.hex().upper(), timeout_s=timeout_s)

    def load_floats(self, words: bytes, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        """Writes features, big-endian binary32, from index 0; the device quantizes them."""
        for index in range(0, len(words) // 4, LOAD_FLOATS):
            piece = words[4 * index : 4 * (index + LOAD_FLOATS)]
            self.ask("FLOAT", f"{index:04X}", piece.hex().upper(), timeout_s=timeout_s)

    def run(self, layer: int, width: int, timeout_s: float = ANSWER_TIMEOUT_S) -> bytes:
        """Runs the first `layer` layers (1 is the first) and returns all `width` bytes."""
        first = min(width, READ_BYTES)
        data = self._data(self.ask("RUN", f"{layer:02X}", timeout_s=timeout_s), first)
        return data + self.read(layer, first, width - first) if width > first else data

    def read(self, layer: int, offset: int, count: int) -> bytes:
        """`count` bytes of the layer that ran last; layer 0 is the input buffer."""
        data = b""
        while len(data) < count:
            size = min(READ_BYTES, count - len(data))
            where = f"{offset + len(data):04X}"
            data += self._data(self.ask("READ", f"{layer:02X}", where, f"{size:02X}"), size)
        return data

    def time(self, *, masked: bool, timeout_s: float = ANSWER_TIMEOUT_S) -> int:
        """Cycles of one run of all layers."""
        words = self.ask("TIME", "1" if masked else "0", timeout_s=timeout_s)
        return int.from_bytes(self._data(words, 4), "big")

    def _data(self, words: tuple[str, ...], count: int) -> bytes:
        try:
            return to_bytes(words[0] if words else "", count)
        except ValueError as error:
            raise LinkError(f"the board's answer has the wrong length: {error}") from error

    def _next(self, *words: str) -> Request:
        self._sequence = (self._sequence + 1) % (MAX_SEQUENCE + 1)
        return Request(self._sequence, words)

    def _attempt(self, request: Request, timeout_s: float) -> tuple[Answer | None, bool]:
        """The answer, or None in time; and whether anything else came meanwhile."""
        self._port.write(encode_request(request))
        deadline, noise = time.monotonic() + timeout_s, 0
        while (line := self._port.read_line(deadline)) is not None:
            parsed = parse_line(line)
            if isinstance(parsed, Answer):
                if parsed.sequence in (request.sequence, DAMAGED_SEQUENCE):
                    return parsed, noise > 0
                self._log.add("late", f"answer {parsed.sequence:02X} dropped")
            else:
                self._log.add("board" if isinstance(parsed, LogText) else "damaged", parsed.text)
            noise += 1
            if noise > MAX_NOISE_LINES:
                self._give_up(request, True)
        return None, noise > 0

    def _listen(self, deadline: float) -> bool:
        heard = False
        while (line := self._port.read_line(deadline)) is not None:
            self._log.add("board", printable(line.strip()))
            heard = True
        return heard

    def _give_up(self, request: Request, heard: bool) -> NoReturn:
        what = request.words[0]
        if heard:
            raise LinkError(
                f"what comes from {self._port.url} is no answer to {what}: "
                "wrong rate, a cut line, or a foreign program; flash the board again"
            )
        raise SilentBoardError(
            f"no answer to {what} on {self._port.url}: is the board powered and flashed?"
        )

    def _check_hello(self, answer: Answer, nonce: str) -> Hello:
        if not answer.ok or len(answer.words) != 4:
            raise LinkError(f"HELLO was answered by {' '.join(answer.words)!r}: flash the board")
        version, echoed, model_id, build_id = answer.words
        if version != str(PROTOCOL_VERSION):
            raise LinkError(
                f"the board talks link protocol {version}, this host {PROTOCOL_VERSION}: flash it"
            )
        if echoed != nonce:
            raise LinkError("HELLO came back with another nonce: something else answers there")
        return Hello(model_id.lower(), build_id.lower())
