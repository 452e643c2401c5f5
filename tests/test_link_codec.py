"""The link's lines: round trips, and no damaged line that passes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniml.hil.link.codec import (
    LOAD_BYTES,
    LOAD_FLOATS,
    MAX_LINE,
    Answer,
    Damaged,
    LogText,
    Request,
    crc16,
    encode_answer,
    encode_request,
    from_signed,
    parse_line,
    to_bytes,
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
        (0, ("A*B",)),
        (0, ("A?B",)),
        (0, ("A\nB",)),
        (0, ("",)),
        (0, ("LOAD", "0000", "00" * (LOAD_BYTES + 1))),
    ],
)
def test_what_the_line_cannot_carry_is_refused(sequence: int, words: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"sequence number|characters|longer than"):
        encode_request(Request(sequence, words))


def test_the_longest_load_and_float_fit() -> None:
    assert len(encode_request(Request(0xFE, ("LOAD", "FFFF", "00" * LOAD_BYTES)))) <= MAX_LINE
    assert len(encode_request(Request(0xFE, ("FLOAT", "FFFF", "0" * 8 * LOAD_FLOATS)))) <= MAX_LINE


@given(st.lists(st.integers(-128, 127), max_size=22))
def test_signed_bytes(values: list[int]) -> None:
    data = to_bytes(from_signed(values), len(values))
    assert [byte - 256 if byte > 127 else byte for byte in data] == values


@pytest.mark.parametrize("text", ["0", "0G", "ab", "00 ", "0000"])
def test_malformed_hex_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected 1 bytes"):
        to_bytes(text, 1)
