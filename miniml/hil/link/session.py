"""A conversation with one board: retries, every wait bounded."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass
from typing import NoReturn

from miniml.errors import LinkError, SilentBoardError
from miniml.hil.board_log import BoardLog
from miniml.hil.link.codec import (
    DAMAGED_SEQUENCE,
    MAX_SEQUENCE,
    PROTOCOL_VERSION,
    PUT_BYTES,
    PUT_FLOATS,
    READ_BYTES,
    Answer,
    Damaged,
    LogText,
    Request,
    encode_request,
    pack,
    parse_line,
    printable,
    to_bytes,
)
from miniml.hil.link.line_port import LinePort

# Time-outs until a board counts as silent, and requests sent until its line counts as hopeless: a
# damaged answer is asked for again at once.
ATTEMPTS = 4
MAX_SENDS = 60
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
        # Whether anything came that is no answer, since the last request.
        self._heard = False
        # Requests made, and how often one was sent again.
        self.requests = 0
        self.retries = 0

    def hello(self, settle_s: float = 0.0) -> Hello:
        """Waits until the board answers to its name.

        Raises:
            SilentBoardError: nothing came.
            LinkError: something came that is no HELLO of protocol 1.
        """
        nonce = secrets.token_hex(4).upper()
        self._heard = self._listen(time.monotonic() + settle_s) if settle_s else False
        deadline = time.monotonic() + HELLO_TIMEOUT_S * self._patience
        request = self._next("HELLO", nonce)
        while (now := time.monotonic()) < deadline:
            self._port.write(encode_request(request))
            # Whatever comes meanwhile: a foreign program's noise is not talked back to.
            next_s = now + HELLO_INTERVAL_S * self._patience
            while (left_s := next_s - time.monotonic()) > 0:
                answer = self.collect(request, left_s / self._patience)
                if isinstance(answer, Answer):
                    return self._check_hello(answer, nonce)
        self._give_up(request)

    def ask(self, *words: str, timeout_s: float = ANSWER_TIMEOUT_S) -> tuple[str, ...]:
        """One request and the words of its answer.

        Raises:
            SilentBoardError, PortError: no answer, no port.
            LinkError: noise, a reset midway, or the board refused.
        """
        answer = self._exchange(words, timeout_s)
        if answer.ok:
            return answer.words
        name = " ".join(answer.words) or "?"
        if name == "HELLO":
            raise LinkError("the board was reset midway: check its supply and cable")
        raise LinkError(f"the board answered ERR {name} to {' '.join(words[:2])}: flash it again")

    def reset(self) -> None:
        """Asks the board to start anew; `hello` comes next.

        Raises:
            SilentBoardError, PortError, LinkError: as `ask`.
        """
        answer = self._exchange(("RESET",), ANSWER_TIMEOUT_S)
        # ERR HELLO: it was reset, and the OK before got lost.
        if not answer.ok and answer.words != ("HELLO",):
            raise LinkError(f"the board answered ERR {' '.join(answer.words)} to RESET")

    def boot(self) -> bool:
        """Asks the firmware to start the chip's boot loader; False if it did not.

        Never twice: a ROM loader takes the first byte that comes for its measure of the rate.

        Raises:
            PortError: no port.
        """
        answer = self.collect(self.post("BOOT", "LOADER"), ANSWER_TIMEOUT_S)
        # No answer, or a damaged one: it may have left before its line was through.
        return not isinstance(answer, Answer) or answer.ok

    def load(self, values: bytes, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        """Writes inputs, as the bytes that they are in memory, from offset 0."""
        for words in puts(values):
            self.ask(*words, timeout_s=timeout_s)

    def load_floats(self, words: bytes, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        """Writes features, little-endian binary32, from index 0; the device quantizes them."""
        size = 4 * PUT_FLOATS
        for offset in range(0, len(words), size):
            piece = pack(words[offset : offset + size])
            self.ask("FLOAT", f"{offset // 4:04X}", piece, timeout_s=timeout_s)

    def run(self, layer: int, width: int, timeout_s: float = ANSWER_TIMEOUT_S) -> bytes:
        """Runs the first `layer` layers (1 is the first) and returns all `width` bytes."""
        first = min(width, READ_BYTES)
        data = self.data(self.ask("RUN", f"{layer:02X}", timeout_s=timeout_s), first)
        return data + self.read(layer, first, width - first) if width > first else data

    def read(self, layer: int, offset: int, count: int) -> bytes:
        """`count` bytes of the layer that ran last; layer 0 is the input buffer."""
        data = b""
        for words, size in reads(layer, offset, count):
            data += self.data(self.ask(*words), size)
        return data

    def time(self, *, masked: bool, timeout_s: float = ANSWER_TIMEOUT_S) -> int:
        """Cycles of one run of all layers."""
        words = self.ask("TIME", "1" if masked else "0", timeout_s=timeout_s)
        return int.from_bytes(self.data(words, 4), "big")

    def post(self, *words: str) -> Request:
        """Sends a request without waiting; two may be under way.

        Raises:
            PortError: no port.
        """
        request = self._next(*words)
        self._port.write(encode_request(request))
        return request

    def collect(self, request: Request, timeout_s: float) -> Answer | Damaged | None:
        """What came of a request: its answer, damage on the line, or nothing in time.

        Raises:
            PortError: no port.
            LinkError: nothing but noise.
        """
        deadline = time.monotonic() + timeout_s * self._patience
        for _ in range(MAX_NOISE_LINES):
            line = self._port.read_line(deadline)
            if line is None:
                return None
            parsed = parse_line(line)
            if isinstance(parsed, LogText):
                self._log.add("board", parsed.text)
                self._heard = True
            elif isinstance(parsed, Damaged):
                self._log.add("damaged", parsed.text)
                self._heard = True
                return parsed
            elif parsed.sequence == request.sequence:
                return parsed
            elif parsed.sequence == DAMAGED_SEQUENCE:
                self._log.add("damaged", f"the board got it as ERR {' '.join(parsed.words)}")
                self._heard = True
                return Damaged("")
            else:
                self._log.add("late", f"answer {parsed.sequence:02X} dropped")
        self._give_up(request)

    def data(self, words: tuple[str, ...], count: int) -> bytes:
        """The bytes of an answer that has nothing but `count` of them.

        Raises:
            LinkError: another length, or no bytes at all.
        """
        try:
            return to_bytes(" ".join(words), count)
        except ValueError as error:
            raise LinkError(f"the board's answer has the wrong length: {error}") from error

    def _next(self, *words: str) -> Request:
        self.requests += 1
        self._sequence = (self._sequence + 1) % (MAX_SEQUENCE + 1)
        return Request(self._sequence, words)

    def _exchange(self, words: tuple[str, ...], timeout_s: float) -> Answer:
        request, silent = self._next(*words), 0
        self._heard = False
        for send in range(MAX_SENDS):
            self.retries += send > 0
            self._port.write(encode_request(request))
            answer = self.collect(request, timeout_s)
            if isinstance(answer, Answer):
                return answer
            silent += answer is None
            if silent == ATTEMPTS:
                break
        self._give_up(request)

    def _listen(self, deadline: float) -> bool:
        heard = False
        while (line := self._port.read_line(deadline)) is not None:
            self._log.add("board", printable(line.strip()))
            heard = True
        return heard

    def _give_up(self, request: Request) -> NoReturn:
        what = request.words[0]
        if self._heard or self._port.pending():
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
        if not all(re.fullmatch("[0-9A-Fa-f]{16}", given) for given in (model_id, build_id)):
            raise LinkError(f"HELLO told the ids {model_id} and {build_id}: flash the board again")
        return Hello(model_id.lower(), build_id.lower())


def puts(values: bytes) -> list[tuple[str, str, str]]:
    """The requests that write inputs from offset 0."""
    return [
        ("PUT", f"{offset:04X}", pack(values[offset : offset + PUT_BYTES]))
        for offset in range(0, len(values), PUT_BYTES)
    ]


def reads(layer: int, offset: int, count: int) -> list[tuple[tuple[str, ...], int]]:
    """The requests that read `count` bytes of a layer, and how many each of them reads."""
    steps: list[tuple[tuple[str, ...], int]] = []
    for begin in range(offset, offset + count, READ_BYTES):
        size = min(READ_BYTES, offset + count - begin)
        steps.append((("READ", f"{layer:02X}", f"{begin:04X}", f"{size:02X}"), size))
    return steps
