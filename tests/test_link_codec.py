"""The link's lines: round trips, and no damaged line that passes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniml.hil.link.codec import (
    MAX_LINE,
    PUT_BYTES,
    PUT_FLOATS,
    Answer,
    Damaged,
    LogText,
    Request,
    crc16,
    encode_answer,
    encode_request,
    pack,
    parse_line,
    to_bytes,
    unpack,
)

WORD = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.", min_size=1, max_size=10)
WORDS = st.lists(WORD, min_size=1, max_size=4).map(tuple)


def test_the_crc_is_xmodem() -> None:
    assert crc16(b"123456789") == 0x31C3  # the check value of CRC-16/XMODEM


def test_a_line_as_the_protocol_page_writes_it() -> None:
    body = b"07 HELLO 0123ABCD"
    line = encode_request(Request(7, ("HELLO", "0123ABCD")))
    assert line == b"?" + body + b"*%04X\n" % crc16(body)


@given(st.integers(0, 255), st.booleans(), WORDS)
def test_answers_come_back(sequence: int, ok: bool, words: tuple[str, ...]) -> None:
    answer = Answer(sequence, ok, words)
    line = encode_answer(answer)
    assert len(line) <= MAX_LINE
    assert parse_line(line) == answer
    assert parse_line(line[:-1] + b"\r\n") == answer


@given(st.integers(0, 255), WORDS, st.data())
def test_one_changed_byte_is_never_another_answer(
    sequence: int, words: tuple[str, ...], data: st.DataObject
) -> None:
    line = encode_answer(Answer(sequence, True, words))[:-1]
    at = data.draw(st.integers(0, len(line) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b not in (line[at], 10, 13)))
    changed = line[:at] + bytes([byte]) + line[at + 1 :]
    assert not isinstance(parse_line(changed), Answer)


@given(st.integers(0, 255), WORDS, st.data())
def test_a_cut_line_is_never_an_answer(
    sequence: int, words: tuple[str, ...], data: st.DataObject
) -> None:
    line = encode_answer(Answer(sequence, True, words))[:-1]
    begin = data.draw(st.integers(0, len(line) - 1))
    end = data.draw(st.integers(begin, len(line)))
    piece = line[begin:end]
    if piece != line:
        assert not isinstance(parse_line(piece), Answer)


@given(st.binary(max_size=200))
def test_any_bytes_give_something_printable(line: bytes) -> None:
    parsed = parse_line(line)
    if isinstance(parsed, LogText | Damaged):
        assert all(32 <= ord(character) < 127 for character in parsed.text)


@pytest.mark.parametrize(
    ("sequence", "words"),
    [
        (0xFF, ("HELLO",)),
        (-1, ("HELLO",)),
        (0, ("hello",)),
        (0, ("A B ",)),
        (0, ("A?B",)),
        (0, ("A\nB",)),
        (0, ("",)),
        (0, ("PUT", "0000", pack(bytes(PUT_BYTES + 1)))),
    ],
)
def test_what_the_line_cannot_carry_is_refused(sequence: int, words: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"sequence number|characters|longer than"):
        encode_request(Request(sequence, words))


def test_the_longest_put_and_float_fit() -> None:
    assert len(encode_request(Request(0xFE, ("PUT", "FFFF", pack(bytes(PUT_BYTES)))))) == MAX_LINE
    assert len(encode_request(Request(0xFE, ("ROW", "FFFF", pack(bytes(PUT_BYTES)))))) == MAX_LINE
    floats = pack(bytes(4 * PUT_FLOATS))
    assert len(encode_request(Request(0xFE, ("FLOAT", "FFFF", floats)))) <= MAX_LINE


@given(st.binary(max_size=70))
def test_packed_bytes(data: bytes) -> None:
    text = pack(data)
    assert unpack(text) == data
    assert len(text) == -(-4 * len(data) // 3)
    # What a bootloader acts on, what begins a line, and what ends a field.
    assert not re.search(r"[a-z ?!]", text)


@pytest.mark.parametrize("text", ["A", "AAAAA", "a@", "@ ", "@\u00e9"])
def test_what_packs_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="packed text"):
        unpack(text)


def test_hex_of_another_length_is_refused() -> None:
    assert to_bytes("00FF", 2) == b"\x00\xff"
    for text in ("00F", "00FF00", "00ff", "0 FF", ""):
        with pytest.raises(ValueError, match="expected 2 bytes"):
            to_bytes(text, 2)
