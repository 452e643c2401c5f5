"""Faults that remember: time, order, resets, ports, and others who answer."""

from __future__ import annotations

from random import Random

from miniml.bench.faults.wire import Pieces, Wire
from miniml.hil.link.codec import Answer, encode_answer, parse_line

# Lines among which the moment of a fault is drawn.
LINES = 30
NOISE_BYTES = 3000


class Nothing:
    """A good line."""

    def request(self, wire: Wire, line: bytes) -> Pieces:
        """As it is."""
        return [(0.0, line)]

    def answer(self, wire: Wire, line: bytes) -> Pieces:
        """As it is."""
        return [(0.0, line)]


class _At(Nothing):
    """Something happens to the n-th answer."""

    def __init__(self, rng: Random) -> None:
        """Which one is drawn."""
        self._rng, self._left = rng, rng.randrange(LINES)

    def _now(self) -> bool:
        self._left -= 1
        return self._left == -1


class Stall(_At):
    """An answer stops in its middle for some seconds."""

    def __init__(self, rng: Random, seconds: float) -> None:
        """For `seconds`."""
        super().__init__(rng)
        self._seconds = seconds

    def answer(self, wire: Wire, line: bytes) -> Pieces:
        """In two pieces, once."""
        if not self._now():
            return [(0.0, line)]
        middle = self._rng.randrange(len(line))
        return [(0.0, line[:middle]), (self._seconds, line[middle:])]


class Late(Nothing):
    """Every fourth answer comes only before the next one."""

    def __init__(self, rng: Random) -> None:
        """The first one is drawn."""
        self._count, self._held = rng.randrange(4), b""

    def answer(self, wire: Wire, line: bytes) -> Pieces:
        """With the one that was held back."""
        self._count += 1
        if self._count % 4 == 0:
            self._held = line
            return []
        held, self._held = self._held, b""
        return [(0.0, self._joined(held, line))]

    def _joined(self, held: bytes, line: bytes) -> bytes:
        return held + line


class Swapped(Late):
    """Every fourth answer comes only after the next one."""

    def _joined(self, held: bytes, line: bytes) -> bytes:
        return line + held


class Replayed(Nothing):
    """An answer of before comes again, ahead of some answers."""

    def __init__(self, rng: Random) -> None:
        """Which ones is drawn."""
        self._rng, self._old = rng, [b""]

    def answer(self, wire: Wire, line: bytes) -> Pieces:
        """With an old one before it, sometimes."""
        old = self._rng.choice(self._old) if self._rng.random() < 0.3 else b""
        self._old.append(line)
        return [(0.0, old + line)]


class Echo(Nothing):
    """Each request comes back besides."""

    def request(self, wire: Wire, line: bytes) -> Pieces:
        """To both."""
        wire.say(line)
        return [(0.0, line)]


class Loop(Nothing):
    """Requests come back, and nothing else."""

    def request(self, wire: Wire, line: bytes) -> Pieces:
        """To the host."""
        wire.say(line)
        return []


class Foreign(Nothing):
    """Another program talks, and hears nothing."""

    def request(self, wire: Wire, line: bytes) -> Pieces:
        """Its own text instead of an answer."""
        wire.say(b"temperature 21.5\r\nhumidity 40 %\r\n")
        return []


class Noise(_At):
    """From some answer on there is nothing but noise; `end` is strewn in."""

    def __init__(self, rng: Random, end: bytes) -> None:
        """`end`: a line feed and what begins a line, or nothing."""
        super().__init__(rng)
        self._end = end

    def request(self, wire: Wire, line: bytes) -> Pieces:
        """What is asked then is answered by noise."""
        if self._left > 0:
            return [(0.0, line)]
        content = self._rng.randbytes(NOISE_BYTES).replace(b"\n", b"\r").replace(b"!", b"#")
        size = 20 if self._end else NOISE_BYTES
        for begin in range(0, NOISE_BYTES, size):
            wire.say(content[begin : begin + size] + self._end)
        return []

    def answer(self, wire: Wire, line: bytes) -> Pieces:
        """Counted."""
        self._now()
        return [(0.0, line)]


class Reset(_At):
    """The board starts anew when a request has come; `cut`: in the middle of it."""

    def __init__(self, rng: Random, *, cut: bool = False) -> None:
        """`cut`: the rest of the request still reaches the board."""
        super().__init__(rng)
        # After HELLO and what is asked of every board: before, a reset does no harm.
        self._left += 1
        self._cut = cut

    def request(self, wire: Wire, line: bytes) -> Pieces:
        """The first one after the moment meets the reset."""
        if not self._now():
            return [(0.0, line)]
        wire.reset_device()
        return [(0.0, line[self._rng.randrange(len(line)) :])] if self._cut else []


class Unplug(_At):
    """The host's port vanishes when an answer is due; once."""

    def answer(self, wire: Wire, line: bytes) -> Pieces:
        """Lost with the port."""
        if not self._now():
            return [(0.0, line)]
        wire.unplug()
        return []


class Other(Nothing):
    """A word of the answers to one request is another one; the CRC is right."""

    def __init__(self, request: str, place: int, word: str) -> None:
        """The word at `place` of the answers to `request` becomes `word`."""
        self._request, self._place, self._word = request.encode(), place, word
        self._sequence = -1

    def request(self, wire: Wire, line: bytes) -> Pieces:
        """Its number is remembered."""
        if line[4:].startswith(self._request):
            self._sequence = int(line[1:3], 16)
        return [(0.0, line)]

    def answer(self, wire: Wire, line: bytes) -> Pieces:
        """Changed, if it is that request's."""
        answer = parse_line(line)
        if not isinstance(answer, Answer) or answer.sequence != self._sequence or not answer.ok:
            return [(0.0, line)]
        words = list(answer.words)
        words[self._place] = self._word
        return [(0.0, encode_answer(Answer(answer.sequence, answer.ok, tuple(words))))]
