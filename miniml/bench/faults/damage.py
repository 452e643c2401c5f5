"""What can become of the bytes of one line: the same for the same random numbers."""

from __future__ import annotations

from random import Random

from miniml.hil.link.codec import Answer, encode_answer, parse_line


def one_bit(line: bytes, rng: Random) -> bytes:
    """One bit flipped, perhaps in the line feed."""
    return flipped(line, [rng.randrange(8 * len(line))])


def a_burst(line: bytes, rng: Random) -> bytes:
    """Several bits within 16 flipped."""
    begin = rng.randrange(8 * len(line))
    bits = [bit for bit in range(begin, min(begin + 16, 8 * len(line))) if rng.random() < 0.5]
    return flipped(line, [begin, *bits[1:]])


def scattered_bits(line: bytes, rng: Random) -> bytes:
    """Two to six bits anywhere."""
    return flipped(line, rng.sample(range(8 * len(line)), rng.randint(2, 6)))


def flipped(line: bytes, bits: list[int]) -> bytes:
    """The line with some bits the other way round."""
    content = bytearray(line)
    for bit in bits:
        content[bit // 8] ^= 1 << bit % 8
    return bytes(content)


def lost_byte(line: bytes, rng: Random) -> bytes:
    """A byte is missing."""
    place = rng.randrange(len(line))
    return line[:place] + line[place + 1 :]


def lost_bytes(line: bytes, rng: Random) -> bytes:
    """A run of bytes is missing, as a full buffer loses them."""
    place = rng.randrange(len(line))
    return line[:place] + line[place + rng.randint(2, 12) :]


def doubled_byte(line: bytes, rng: Random) -> bytes:
    """A byte comes twice."""
    place = rng.randrange(len(line))
    return line[: place + 1] + line[place:]


def swapped_bytes(line: bytes, rng: Random) -> bytes:
    """Two neighbours in the other order."""
    place = rng.randrange(len(line) - 1)
    return line[:place] + line[place : place + 2][::-1] + line[place + 2 :]


def cut(line: bytes, rng: Random) -> bytes:
    """Nothing from a place on."""
    return line[: rng.randrange(1, len(line))]


def lost(line: bytes, rng: Random) -> bytes:
    """Nothing."""
    return b""


def doubled(line: bytes, rng: Random) -> bytes:
    """The line twice."""
    return line + line


def eighth_bit(line: bytes, rng: Random) -> bytes:
    """The eighth bit of some bytes set, as a line of seven bits and parity does."""
    return bytes(byte | 0x80 if rng.random() < 0.3 else byte for byte in line)


def returns(line: bytes, rng: Random) -> bytes:
    """A carriage return before the line feed."""
    return line[:-1] + b"\r\n"


def flow_control(line: bytes, rng: Random) -> bytes:
    """XOFF and XON among the bytes."""
    place = rng.randrange(len(line))
    return line[:place] + b"\x13\x11" + line[place:]


def zero_bytes(line: bytes, rng: Random) -> bytes:
    """A break on the line: zero bytes somewhere."""
    place = rng.randrange(len(line))
    return line[:place] + bytes(rng.randint(1, 5)) + line[place:]


def garbage_before(line: bytes, rng: Random) -> bytes:
    """Up to 100 random bytes before the line."""
    return rng.randbytes(rng.randint(1, 100)) + line


def log_text(line: bytes, rng: Random) -> bytes:
    """The application's own line before ours."""
    return b"temperature 21.5\r\n" + line


def unended_text(line: bytes, rng: Random) -> bytes:
    """The same without its end."""
    return b"T=21.5 " + line


def escapes(line: bytes, rng: Random) -> bytes:
    """What would clear a terminal and set its title, then the line."""
    return b"\x1b[2J\x1b]0;owned\x07\x9b31m\r\n" + line


def wrong_rate(line: bytes, rng: Random) -> bytes:
    """What a receiver at another rate makes of it."""
    return bytes((byte * 37 + 11) & 0xFF | 0x80 for byte in line[::2])


def sparse_errors(line: bytes, rng: Random) -> bytes:
    """Each byte replaced with a probability of 1 in 1,000."""
    return bytes(rng.randrange(256) if rng.random() < 0.001 else byte for byte in line)


def wrong_data(line: bytes, rng: Random) -> bytes:
    """An answer's last hex digit is another one, and the CRC is right for it."""
    answer = parse_line(line)
    if not isinstance(answer, Answer) or not answer.words or len(answer.words[-1]) < 20:
        return line
    last = answer.words[-1]
    words = (*answer.words[:-1], last[:-1] + format(int(last[-1], 16) ^ 1, "X"))
    return encode_answer(Answer(answer.sequence, answer.ok, words))


def wrong_length(line: bytes, rng: Random) -> bytes:
    """An answer with data has a byte less, and the CRC is right for it."""
    answer = parse_line(line)
    if not isinstance(answer, Answer) or not answer.words or len(answer.words[-1]) < 20:
        return line
    words = (*answer.words[:-1], answer.words[-1][:-2])
    return encode_answer(Answer(answer.sequence, answer.ok, words))


def refusal(line: bytes, rng: Random) -> bytes:
    """The device says no."""
    answer = parse_line(line)
    if not isinstance(answer, Answer):
        return line
    return encode_answer(Answer(answer.sequence, False, ("RANGE",)))
