"""The lines of the link, protocol version 1, as pure functions (docs/PROTOCOL.md)."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass

PROTOCOL_VERSION = 1
# An AVR core's receive buffer has 64 bytes; one USB CDC packet; 62 with the line feed.
MAX_LINE = 62
MAX_SEQUENCE = 0xFE
DAMAGED_SEQUENCE = 0xFF
# What fits into a line: "?SS LOAD OOOO " and "*CCCC\n" leave 42 digits, "?SS FLOAT OOOO " 41.
LOAD_BYTES = 21
LOAD_FLOATS = 5
# What a device puts into an answer to RUN and READ at most.
READ_BYTES = 22

_REQUEST_TEXT = re.compile(rb"[!-)+-~]+(?: [!-)+-~]+)*")
_ANSWER = re.compile(rb"!([0-9A-F]{2}) (OK|ERR)((?: [!-)+-~]+)*)\*([0-9A-F]{4})")


@dataclass(frozen=True)
class Request:
    """What the host asks: a sequence number 00..FE, and verb and arguments."""

    sequence: int
    words: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What the device answers; `words` without OK or ERR."""

    sequence: int
    ok: bool
    words: tuple[str, ...]


@dataclass(frozen=True)
class LogText:
    """A line that isn't part of the link: kept, never parsed."""

    text: str


@dataclass(frozen=True)
class Damaged:
    """A line that begins as an answer and is none: noise, or a cut."""

    text: str


def crc16(data: bytes) -> int:
    """CRC-16/XMODEM: polynomial 0x1021, start 0; avr-libc's _crc_xmodem_update."""
    return binascii.crc_hqx(data, 0)


def encode_request(request: Request) -> bytes:
    """The line of a request, with its CRC and line feed.

    Raises:
        ValueError: a sequence number out of range, characters that the line can't carry, or
            more than 62 bytes.
    """
    if not 0 <= request.sequence <= MAX_SEQUENCE:
        raise ValueError(f"sequence number {request.sequence} is not in 0..{MAX_SEQUENCE}")
    text = " ".join(request.words).encode("ascii")
    # Lower case would reach a bootloader, which acts on it.
    if not _REQUEST_TEXT.fullmatch(text) or b"?" in text or text != text.upper():
        raise ValueError(f"request {request.words!r} has characters that the link can't carry")
    return _frame(b"?", request.sequence, text)


def encode_answer(answer: Answer) -> bytes:
    """The line of an answer, as a device sends it.

    Raises:
        ValueError: characters that the line can't carry, or more than 62 bytes.
    """
    text = " ".join(("OK" if answer.ok else "ERR", *answer.words)).encode("ascii")
    if not _REQUEST_TEXT.fullmatch(text) or not 0 <= answer.sequence <= DAMAGED_SEQUENCE:
        raise ValueError(f"answer {answer!r} has what the link can't carry")
    return _frame(b"!", answer.sequence, text)


def _frame(start: bytes, sequence: int, text: bytes) -> bytes:
    body = b"%02X " % sequence + text
    line = start + body + b"*%04X\n" % crc16(body)
    if len(line) > MAX_LINE:
        raise ValueError(f"line of {len(line)} bytes is longer than {MAX_LINE}")
    return line


def parse_line(line: bytes) -> Answer | LogText | Damaged:
    """What a line from the device is; `line` may have its line feed and carriage returns."""
    line = line.rstrip(b"\n").replace(b"\r", b"")
    if not line.startswith(b"!"):
        return LogText(printable(line))
    match = _ANSWER.fullmatch(line)
    if match is None or len(line) >= MAX_LINE or crc16(line[1:-5]) != int(match[4], 16):
        return Damaged(printable(line))
    words = tuple(match[3].decode("ascii").split())
    return Answer(int(match[1], 16), match[2] == b"OK", words)


def printable(line: bytes) -> str:
    """The line as text that can't drive a terminal: control and high bytes escaped."""
    return "".join(chr(b) if 32 <= b < 127 else f"\\x{b:02x}" for b in line)


def from_signed(values: Iterable[int]) -> str:
    """int8 values as upper-case hex."""
    return bytes(value & 0xFF for value in values).hex().upper()


def to_bytes(text: str, count: int) -> bytes:
    """Exactly `count` bytes of upper-case hex.

    Raises:
        ValueError: another length, or not upper-case hex.
    """
    if not re.fullmatch(r"(?:[0-9A-F]{2})*", text) or len(text) != 2 * count:
        raise ValueError(f"expected {count} bytes in hex, not {text!r}")
    return bytes.fromhex(text)
