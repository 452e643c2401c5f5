"""The inner part of packed sums: every column adds x times its words to up to six sums.

A word of four inputs is used without unpacking: X, X >> 8, X >> 16 and X >> 24 multiply the
words of four columns, and what the upper inputs contribute too early is taken off the later
columns' words beforehand:

    Q0 = P0,  Q1 = P1 - 2^8 P0,  Q2 = P2 - 2^8 P1,  Q3 = P3 - 2^8 P2        (modulo 2^32)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from miniml.kernels.cortex_m0plus.bounds import Int64Array
from miniml.kernels.cortex_m0plus.emit import Code
from miniml.kernels.cortex_m0plus.inputs import RETURN_SLOT, Frame
from miniml.kernels.cortex_m0plus.packing import Word

SUMS = ("r8", "r9", "r10", "r11", "r12", "lr")
UInt64Array = NDArray[np.uint64]
REACH = 1020  # of an SP-relative load
_WORD_MASK = np.uint64(0xFFFF_FFFF)


class SumRoutines:
    """The routines that a program needs, by the number of words and of columns modulo 4."""

    def __init__(self, frame: Frame) -> None:
        """None is needed yet."""
        self.frame = frame
        self._entries: dict[tuple[int, int], set[int]] = {}

    def entry(self, count: int, columns: int) -> str:
        """The place where a layer with so many columns begins; it is needed from now on."""
        chunks, rest = divmod(columns, 4)
        self._entries.setdefault((count, rest), set()).add(chunks)
        return _entry_label(count, rest, chunks)

    def cycles(self, count: int, columns: int) -> int:
        """From the branch with link to the return, both included."""
        chunks, rest = divmod(columns, 4)
        code = Code()
        _begin(code, count)
        _chunk(code, self.frame, count, 4, 1)
        with_chunk = code.cycles
        code = Code()
        _begin(code, count)
        fixed = code.cycles
        if rest:
            _chunk(code, self.frame, count, rest, 1)
        _end(code, count)
        return 3 + code.cycles + chunks * (with_chunk - fixed)

    def write_inline(self, code: Code, count: int, columns: int) -> None:
        """The same without a routine, once: LR is not kept."""
        _load_first(code, count)
        chunks, rest = divmod(columns, 4)
        for chunk in range(chunks, 0, -1):
            _chunk(code, self.frame, count, 4, chunk + (rest > 0))
        if rest:
            _chunk(code, self.frame, count, rest, 1)

    def write(self, code: Code) -> None:
        """All that are needed."""
        for count in sorted({count for count, _ in self._entries}):
            code.note(f"{count} words a column: first sums and entry from the stream")
            code.label(f".Lsums_{count}")
            _begin(code, count)
        for (count, rest), entries in sorted(self._entries.items()):
            for chunk in range(max(entries), 0, -1):
                if chunk in entries:
                    code.label(_entry_label(count, rest, chunk))
                _chunk(code, self.frame, count, 4, chunk + (rest > 0))
            if 0 in entries:
                code.label(_entry_label(count, rest, 0))
            if rest:
                _chunk(code, self.frame, count, rest, 1)
            _end(code, count)


def _entry_label(count: int, rest: int, chunks: int) -> str:
    return f".Lsums_{count}_{rest}_{chunks}"


def _begin(code: Code, count: int) -> None:
    if count == len(SUMS):
        code.ops("mov r1, lr", f"str r1, [sp, #{RETURN_SLOT}]")
    _load_first(code, count, entry=True)
    code.op(f"bx r{count + 1}")


def _load_first(code: Code, count: int, *, entry: bool = False) -> None:
    last = count + entry
    code.op(f"ldm r0!, {{r1-r{last}}}" if last > 1 else "ldm r0!, {r1}")
    for number in range(count):
        code.op(f"mov {SUMS[number]}, r{number + 1}")


def _chunk(code: Code, frame: Frame, count: int, columns: int, words_left: int) -> None:
    code.op(f"ldr r7, [sp, #{frame.inputs_end - 4 * words_left}]")
    listed = "{r1}" if count == 1 else f"{{r1-r{count}}}"
    for column in range(columns):
        if column:
            code.op("lsrs r7, r7, #8")
        code.op(f"ldm r0!, {listed}")
        for number in range(count):
            code.op(f"muls r{number + 1}, r7, r{number + 1}")
        for number in range(count):
            code.op(f"add {SUMS[number]}, r{number + 1}")


def _end(code: Code, count: int) -> None:
    if count == len(SUMS):
        code.ops(f"ldr r1, [sp, #{RETURN_SLOT}]", "bx r1")
    else:
        code.op("bx lr")


def packed_words(words: list[Word], values: dict[int, int]) -> list[int]:
    """Words of one value a row: the sum of value * 2^shift, modulo 2^32."""
    packed = [0] * len(words)
    for number, word in enumerate(words):
        for item in word.full:
            packed[number] += values[item.row] << item.shift
        if word.outgoing is not None:
            packed[number] += values[word.outgoing.row] << word.outgoing.shift
        if word.incoming is not None:
            packed[number] += values[word.incoming.row] << word.incoming.next_shift
    return [value & 0xFFFF_FFFF for value in packed]


def column_words(words: list[Word], weights: Int64Array) -> list[int]:
    """The stream of all columns: for each column, a word of each sum.

    Args:
        words: of the group.
        weights: of the layer's rows, as the words hold them.
    """
    wide = weights.astype(np.uint64)
    packed: UInt64Array = np.zeros((weights.shape[1], len(words)), np.uint64)
    for number, word in enumerate(words):
        shifts = [(item.row, item.shift) for item in word.full]
        if word.outgoing is not None:
            shifts.append((word.outgoing.row, word.outgoing.shift))
        if word.incoming is not None:
            shifts.append((word.incoming.row, word.incoming.next_shift))
        for row, shift in shifts:
            packed[:, number] += wide[row] << np.uint64(shift)
    stream = packed.copy()
    for column in range(1, len(packed)):
        if column % 4:
            stream[column] -= packed[column - 1] << np.uint64(8)
    return [int(value) for value in (stream & _WORD_MASK).ravel()]
