"""The kinds of faults, and beside each one the endings that it may have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from random import Random

from miniml.bench.faults import damage, lasting
from miniml.bench.faults.lasting import Nothing
from miniml.bench.faults.wire import Fault, Pieces, Wire
from miniml.errors import UsageError

# An ending is "right", "FAIL" (a difference that repeats), or the name of an error.
RIGHT = frozenset({"right"})
LINK, SILENT, PORT = (frozenset({f"{name}Error"}) for name in ("Link", "SilentBoard", "Port"))
STALE, WRONG_BOARD = frozenset({"StaleFirmwareError"}), frozenset({"WrongBoardError"})
PATH = "../../../../ETC/PASSWD"
# Lines that a conversation has at least, in each direction.
LINES = 30

Damage = Callable[[bytes, Random], bytes]
Make = Callable[[Random, float], Fault]


@dataclass(frozen=True)
class Kind:
    """One kind.

    Attributes:
        name: says what happens.
        endings: all that are allowed.
        make: a fault from random numbers and the session's time-out of an answer in seconds.
        reopens: the board is looked up again after the error, and must then be right.
        resets: its bootloader, if it has one, listens to what the host still says.
    """

    name: str
    endings: frozenset[str]
    make: Make
    reopens: bool = False
    resets: bool = False


class Hits(Nothing):
    """Damage to some lines of one or both directions."""

    def __init__(self, rng: Random, change: Damage, ways: str, most: int = 4) -> None:
        """`ways`: ">" to the device, "<" from it, or both; at most `most` lines of each."""
        self._rng, self._change = rng, change
        self._hits = {way: _places(rng, most) if way in ways else set() for way in "><"}
        self._seen = {">": 0, "<": 0}

    def request(self, wire: Wire, line: bytes) -> Pieces:
        """Damaged, if it is one of those that are hit."""
        return self._pass(">", line)

    def answer(self, wire: Wire, line: bytes) -> Pieces:
        """Likewise."""
        return self._pass("<", line)

    def _pass(self, way: str, line: bytes) -> Pieces:
        number = self._seen[way]
        self._seen[way] += 1
        return [(0.0, self._change(line, self._rng) if number in self._hits[way] else line)]


class Everywhere(Hits):
    """Damage to each line from one on."""

    def __init__(self, rng: Random, change: Damage, ways: str, *, first: int | None = None) -> None:
        """`first`: the line from which on; None: one drawn by `rng`."""
        super().__init__(rng, change, ways)
        begin = rng.randrange(LINES) if first is None else first
        for way in ways:
            self._hits[way] = set(range(begin, 100_000))


def _places(rng: Random, most: int) -> set[int]:
    return set(rng.sample(range(LINES), rng.randint(1, most)))


def _to_and_from(name: str, change: Damage) -> list[Kind]:
    """Damage to a few lines of one direction, which costs no row."""
    return [
        Kind(f"{name}, to the device", RIGHT, lambda rng, wait: Hits(rng, change, ">")),
        Kind(f"{name}, from the device", RIGHT, lambda rng, wait: Hits(rng, change, "<")),
    ]


def _from(name: str, change: Damage, endings: frozenset[str] = RIGHT, most: int = 4) -> Kind:
    return Kind(name, endings, lambda rng, wait: Hits(rng, change, "<", most))


def _always(
    name: str, change: Damage, ways: str, endings: frozenset[str], first: int | None = None
) -> Kind:
    return Kind(name, endings, lambda rng, wait: Everywhere(rng, change, ways, first=first))


KINDS: tuple[Kind, ...] = (
    Kind("no fault", RIGHT, lambda rng, wait: Nothing()),
    # Single lines: asked for again, and nothing else.
    *_to_and_from("one bit flipped", damage.one_bit),
    *_to_and_from("a burst of flipped bits", damage.a_burst),
    *_to_and_from("scattered flipped bits", damage.scattered_bits),
    *_to_and_from("a lost byte", damage.lost_byte),
    *_to_and_from("several lost bytes", damage.lost_bytes),
    *_to_and_from("a doubled byte", damage.doubled_byte),
    *_to_and_from("two bytes in the other order", damage.swapped_bytes),
    *_to_and_from("a cut line", damage.cut),
    *_to_and_from("a lost line", damage.lost),
    *_to_and_from("a doubled line", damage.doubled),
    *_to_and_from("the eighth bit set", damage.eighth_bit),
    *_to_and_from("XON and XOFF", damage.flow_control),
    *_to_and_from("zero bytes", damage.zero_bytes),
    *_to_and_from("garbage before a line", damage.garbage_before),
    _always("carriage returns", damage.returns, "><", RIGHT, first=0),
    _always("errors in 1 of 1,000 bytes", damage.sparse_errors, "><", RIGHT, first=0),
    _always("log text", damage.log_text, "<", RIGHT),
    _from("log text without an end", damage.unended_text),
    _always("control characters", damage.escapes, "<", RIGHT),
    Kind("a line that echoes", RIGHT, lambda rng, wait: lasting.Echo()),
    # Time.
    Kind("a stall within a line", RIGHT, lambda rng, wait: lasting.Stall(rng, 0.5 * wait)),
    Kind("a stall beyond the time-out", RIGHT, lambda rng, wait: lasting.Stall(rng, 1.5 * wait)),
    Kind("a late answer to the request before", RIGHT, lambda rng, wait: lasting.Late(rng)),
    Kind("answers in the other order", RIGHT, lambda rng, wait: lasting.Swapped(rng)),
    Kind("an old answer again", RIGHT, lambda rng, wait: lasting.Replayed(rng)),
    # What doesn't end: a named error.
    _always("silence", damage.lost, "<", SILENT),
    _always("a device that hears nothing", damage.lost, ">", SILENT),
    _always("every answer cut", damage.cut, "<", LINK | SILENT),
    _always("every request damaged", damage.lost_byte, ">", LINK | SILENT),
    _always("another rate", damage.wrong_rate, "><", LINK | SILENT),
    Kind("endless noise", LINK, lambda rng, wait: lasting.Noise(rng, b"")),
    Kind("endless lines of noise", LINK, lambda rng, wait: lasting.Noise(rng, b"\n")),
    Kind("endless broken answers", LINK, lambda rng, wait: lasting.Noise(rng, b"\n!")),
    Kind("a foreign program", LINK, lambda rng, wait: lasting.Foreign()),
    Kind("a loop-back plug", LINK, lambda rng, wait: lasting.Loop()),
    # Resets and ports.
    Kind("a reset midway", LINK, lambda rng, wait: lasting.Reset(rng), resets=True),
    Kind(
        "a brown-out within a request",
        LINK,
        lambda rng, wait: lasting.Reset(rng, cut=True),
        resets=True,
    ),
    Kind("a port that vanishes", PORT, lambda rng, wait: lasting.Unplug(rng)),
    Kind("a port with another name", RIGHT, lambda rng, wait: lasting.Unplug(rng), reopens=True),
    # Somebody else answers, by the protocol.
    Kind("another model", STALE, lambda rng, wait: lasting.Other("HELLO", 2, "0" * 16)),
    Kind("another build", STALE, lambda rng, wait: lasting.Other("HELLO", 3, "F" * 16)),
    Kind("another protocol", LINK, lambda rng, wait: lasting.Other("HELLO", 0, "1")),
    Kind("another nonce", LINK, lambda rng, wait: lasting.Other("HELLO", 1, "0BADCAFE")),
    Kind("an id cut short", LINK, lambda rng, wait: lasting.Other("HELLO", 2, "6")),
    Kind("a path as a name", WRONG_BOARD, lambda rng, wait: lasting.Other("INFO BOARD", 0, PATH)),
    Kind("a negative size", LINK, lambda rng, wait: lasting.Other("INFO SIZE", 0, "-1")),
    Kind("another board", WRONG_BOARD, lambda rng, wait: lasting.Other("INFO BOARD", 0, "PICO")),
    Kind("a clock that is none", LINK, lambda rng, wait: lasting.Other("INFO BOARD", 1, "FAST")),
    Kind("another shape", LINK, lambda rng, wait: lasting.Other("INFO SHAPE", 0, "FFFF")),
    _always("data of a wrong length", damage.wrong_length, "<", LINK, first=0),
    _always("a refusal", damage.refusal, "<", LINK, first=6),
    _from("a wrong byte with a right CRC, once", damage.wrong_data, RIGHT, most=1),
    _always("a wrong byte, again and again", damage.wrong_data, "<", frozenset({"FAIL"}), first=6),
)


def chosen_kinds(names: Sequence[str] | None) -> list[Kind]:
    """The kinds of some names, all without any.

    Raises:
        UsageError: there is none of a name; the message has those like it.
    """
    known = [kind.name for kind in KINDS]
    for name in names or ():
        if name not in known:
            near = [other for other in known if name in other] or get_close_matches(name, known)
            raise UsageError(f"no kind of fault {name!r}: is it {', '.join(near or known)}?")
    return [kind for kind in KINDS if kind.name in (names or known)]
