"""The lines of the link, protocol version 2, as pure functions (docs/PROTOCOL.md)."""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass

PROTOCOL_VERSION = 2
# An AVR core's receive buffer has 64 bytes; one USB CDC packet; 62 with the line feed.
MAX_LINE = 62
MAX_SEQUENCE = 0xFE
DAMAGED_SEQUENCE = 0xFF
# What fits into a line, packed: "?SS PUT OOOO " and "*CCCC\n" leave 43 characters, "?SS FLOAT
# OOOO " 41.
PUT_BYTES = 32
PUT_FLOATS = 7
# What a device puts into an answer to RUN and READ at most.
READ_BYTES = 22

_REQUEST_TEXT = re.compile(rb"[!->@-`{-~]+(?: [!->@-`{-~]+)*")
_ANSWER_TEXT = re.compile(rb"[!-)+-~]+(?: [!-)+-~]+)*")
# A line that lost its '!': log text seldom ends like this, and to ask again does no harm. One
# with a '?' is an echo of ours.
_END_OF_ANSWER = re.compile(rb"[^?].*\*[0-9A-F]{4}", re.DOTALL)
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
    """A line that begins or ends as an answer and is none: noise, or a cut."""

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
    # Lower case would reach a bootloader, which acts on it; a '?' would begin another line.
    if not _REQUEST_TEXT.fullmatch(text):
        raise ValueError(f"request {request.words!r} has characters that the link can't carry")
    return _frame(b"?", request.sequence, text)


def encode_answer(answer: Answer) -> bytes:
    """The line of an answer, as a device sends it.

    Raises:
        ValueError: characters that the line can't carry, or more than 62 bytes.
    """
    text = " ".join(("OK" if answer.ok else "ERR", *answer.words)).encode("ascii")
    if not _ANSWER_TEXT.fullmatch(text) or not 0 <= answer.sequence <= DAMAGED_SEQUENCE:
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
        text = printable(line)
        return Damaged(text) if _END_OF_ANSWER.fullmatch(line) else LogText(text)
    match = _ANSWER.fullmatch(line)
    if match is None or len(line) >= MAX_LINE or crc16(line[1:-5]) != int(match[4], 16):
        return Damaged(printable(line))
    words = tuple(match[3].decode("ascii").split())
    return Answer(int(match[1], 16), match[2] == b"OK", words)


def printable(line: bytes) -> str:
    """The line as text that can't drive a terminal: control and high bytes escaped."""
    return "".join(chr(b) if 32 <= b < 127 else f"\\x{b:02x}" for b in line)


# The character of each six bits: 0x40 to 0x5F, 0x22 to 0x3E, and three instead of ' ', '!' and '?'.
_SIX_BITS = bytes(range(0x40, 0x60)) + b"|}" + bytes(range(0x22, 0x3F)) + b"{"


def pack(data: bytes) -> str:
    """Bytes as printable text without lower case: three bytes in four characters.

    First the two upper bits of each of the three, then the six lower bits of each.
    """
    text = bytearray()
    for begin in range(0, len(data), 3):
        group = data[begin : begin + 3]
        upper = sum((byte >> 6) << (4 - 2 * place) for place, byte in enumerate(group))
        text.append(_SIX_BITS[upper])
        text += bytes(_SIX_BITS[byte & 0x3F] for byte in group)
    return text.decode("ascii")


def unpack(text: str) -> bytes:
    """What `pack` was given.

    Raises:
        ValueError: a character that packs nothing, or one left over.
    """
    values = [_SIX_BITS.find(character) for character in text.encode("utf-8")]
    if -1 in values or len(values) % 4 == 1:
        raise ValueError(f"packed text {text!r} has a character too many, or a wrong one")
    data = bytearray()
    for begin in range(0, len(values), 4):
        upper, *lower = values[begin : begin + 4]
        data += bytes((upper >> (4 - 2 * place) & 3) << 6 | low for place, low in enumerate(lower))
    return bytes(data)


def to_bytes(text: str, count: int) -> bytes:
    """Exactly `count` bytes of upper-case hex.

    Raises:
        ValueError: another length, or not upper-case hex.
    """
    if not re.fullmatch(r"(?:[0-9A-F]{2})*", text) or len(text) != 2 * count:
        raise ValueError(f"expected {count} bytes in hex, not {text!r}")
    return bytes.fromhex(text)
