"""SWAR: four columns of a row in one word, a byte a weight, summed by two multiplications.

A row's weights w0..w3 of four columns are a word V of the digits w2 + 128, w3 + 128, w0 + 128,
w1 + 128 (lowest byte first). For inputs x0..x3, modulo 2^32,

    E = x0 + 2^16 x2,  O = x1 + 2^16 x3,
    Z0 = (E - 2^8 O) * 0x10001,  Z1 = O - 2^8 Z0,  C = 0x8000 - 0x00800080 * (E + O),
    V * Z0 + REV16(V) * Z1 + C = 2^16 (w0 x0 + w1 x1 + w2 x2 + w3 x3)
                                 + (w2 x0 + w3 x1 + 0x8000),

since V - 2^8 REV16(V) = d0 + 2^16 (d2 - d0), d being V's digits. So the upper half is the dot
product of the window, if that fits 16 bits; the lower half is in [0, 2^16) for |x|, |w| <= 127.
Where a window doesn't fit, its largest weight is made smaller and the rest is added on its own.
"""

from __future__ import annotations

import numpy as np

from miniml.kernels.cortex_m0plus.bounds import LayerBounds
from miniml.kernels.cortex_m0plus.emit import Code
from miniml.kernels.cortex_m0plus.rests import Rest
from miniml.kernels.cortex_m0plus.sums import SUMS
from miniml.model import DenseLayer

ROWS = len(SUMS)  # of a pass
UNROLLED = 4  # windows
_OPERANDS = 12  # bytes of a window: Z0, Z1, C
# Below the operands: the return address, the address of the first window, a word that makes
# the last window's end plus one window equal SP.
_SLOTS = 12
_LIMIT = 1 << 15


def windows_of(columns: int) -> int:
    """Windows of a layer."""
    return (columns + 3) // 4


def area_bytes(columns: int) -> int:
    """Bytes of stack for a layer's operands, a multiple of 8."""
    return (_SLOTS + _OPERANDS * windows_of(columns) + 7) & ~7


def fit_row(layer: DenseLayer, bounds: LayerBounds, row: int) -> tuple[list[int], list[Rest]]:
    """The weights of a row such that every window fits 16 bits, and what is left of them."""
    weights = [int(w) for w in layer.weights[row]]
    low, high = bounds.x_low, bounds.x_high
    rests = []
    for start in range(0, len(weights), 4):
        columns = range(start, min(start + 4, len(weights)))
        while True:
            ends = {c: (weights[c] * int(low[c]), weights[c] * int(high[c])) for c in columns}
            under = -_LIMIT - sum(min(pair) for pair in ends.values())
            over = sum(max(pair) for pair in ends.values()) - (_LIMIT - 1)
            excess = max(under, over)
            if excess <= 0:
                break
            # The column that reaches furthest to the side that is too far.
            side = {c: (max(pair) if over >= under else -min(pair)) for c, pair in ends.items()}
            column = max(columns, key=lambda c: side[c])
            unit = max(side[column] // abs(weights[column]), 1)
            cut = min(-(-excess // unit), abs(weights[column]))
            change = cut if weights[column] > 0 else -cut
            weights[column] -= change
            rests.append(Rest(column, change))
    return weights, rests


def window_words(rows: list[list[int]]) -> list[int]:
    """The stream of a pass: for each window a word of each row."""
    columns = windows_of(len(rows[0])) * 4
    digits = np.full((len(rows), columns), 128, np.uint64)
    for number, weights in enumerate(rows):
        digits[number, : len(weights)] = np.array(weights, np.int64) + 128
    windows = digits.reshape(len(rows), -1, 4)[:, :, [2, 3, 0, 1]]
    words = (windows << np.array([0, 8, 16, 24], np.uint64)).sum(axis=2, dtype=np.uint64)
    return [int(word) for word in words.T.ravel()]


class SwarRoutines:
    """The routines that a program needs, by rows of a pass and by the inputs' offset."""

    def __init__(self) -> None:
        """None is needed yet."""
        self._rows: set[int] = set()
        self._offsets: set[int] = set()

    def prepare(self, code: Code, columns: int, x_offset: int, inputs_at: int) -> None:
        """Reserves stack below SP and fills it with the operands of all windows.

        Args:
            code: gets the instructions; R8 gets R0.
            columns: of the layer.
            x_offset: 0 or 128.
            inputs_at: offset of the inputs from SP, before.
        """
        self._offsets.add(x_offset)
        windows, area = windows_of(columns), area_bytes(columns)
        code.op("mov r8, r0")
        code.sp_address("r1", inputs_at)
        code.move_sp("sub", area)
        code.sp_address("r7", _OPERANDS * windows)
        code.op("str r7, [sp, #4]", "the first window; they go downwards")
        code.constant("r0", 4 * windows)
        code.op("adds r0, r0, r1")
        code.op(f"bl .Lswar_prepare_{x_offset}")
        scratch = Code()
        code.cycles += _prepare_routine(scratch, x_offset, windows)
        code.op("mov r0, r8")

    def call(self, code: Code, rows: int, columns: int) -> str:
        """Sums a pass; the entry that its stream must name."""
        self._rows.add(rows)
        windows = windows_of(columns)
        code.op(f"bl .Lswar_{rows}")
        scratch = Code()
        _begin(scratch, rows)
        fixed = scratch.cycles
        _window(scratch, rows)
        code.cycles += fixed + windows * (scratch.cycles - fixed)
        scratch = Code()
        _end(scratch, rows)
        rounds = -(-windows // UNROLLED)
        # BEQ is taken in the last round only, and spares it the branch back.
        code.cycles += scratch.cycles + (rounds - 1) * _ROUND - 2 + 1
        return f".Lswar_{rows}_{windows % UNROLLED}"

    def write(self, code: Code) -> None:
        """All that are needed."""
        for x_offset in sorted(self._offsets):
            _prepare_routine(code, x_offset, 1)
        for rows in sorted(self._rows):
            code.note(f"SWAR, {rows} rows a pass")
            code.label(f".Lswar_{rows}")
            _begin(code, rows)
            for left in range(UNROLLED, 0, -1):
                code.label(f".Lswar_{rows}_{left % UNROLLED}")
                _window(code, rows)
            _end(code, rows)


def release(code: Code, columns: int) -> None:
    """Gives the stack back."""
    code.move_sp("add", area_bytes(columns))


def _prepare_routine(code: Code, x_offset: int, windows: int) -> int:
    """R1: inputs, R0: their end, R7: the first window's operands. Cycles for so many windows."""
    before = code.cycles
    code.note("Z0, Z1 and C of every window")
    code.label(f".Lswar_prepare_{x_offset}")
    code.ops("mov r9, r0", "movs r6, #128", "lsls r5, r6, #16", "orrs r6, r5")
    code.ops("movs r5, #255", "lsls r4, r5, #16")
    code.op("orrs r5, r4", "R6 is 0x00800080, R5 0x00ff00ff")
    code.ops("movs r4, #128", "lsls r4, r4, #8", "mov r10, r4")
    fixed = code.cycles - before
    before = code.cycles
    label = f".Lswar_prepare_next_{x_offset}"
    code.label(label)
    code.ops("ldm r1!, {r2}", "lsrs r3, r2, #8", "ands r3, r5", "ands r2, r5")
    if x_offset:
        code.ops("subs r2, r2, r6", "subs r3, r3, r6")
    code.ops("adds r0, r2, r3", "muls r0, r6, r0", "mov r4, r10", "subs r4, r4, r0")
    code.ops("lsls r0, r3, #8", "subs r2, r2, r0", "lsls r0, r2, #16", "adds r2, r2, r0")
    code.ops("lsls r0, r2, #8", "subs r3, r3, r0", "stm r7!, {r2, r3, r4}", "subs r7, #24")
    code.ops("cmp r1, r9", f"bne {label}")
    each = code.cycles - before + 1
    code.op("bx lr")
    return fixed + windows * each - 1 + 2


def _begin(code: Code, rows: int) -> None:
    code.ops("mov r1, lr", "str r1, [sp]")
    code.op(f"ldm r0!, {{r1-r{rows}, r7}}" if rows > 1 else "ldm r0!, {r1, r7}")
    for number in range(rows):
        code.op(f"mov {SUMS[number]}, r{number + 1}")
    code.ops("ldr r1, [sp, #4]", "bx r7")


def _end(code: Code, rows: int) -> None:
    done = f".Lswar_{rows}_done"
    code.ops("mov r7, sp", "cmp r1, r7", f"beq {done}", f"b .Lswar_{rows}_0")
    code.label(done)
    code.ops("ldr r1, [sp]", "bx r1")


_ROUND = 1 + 1 + 1 + 2  # of the end, where the loop goes on


def _window(code: Code, rows: int) -> None:
    code.op("ldm r1!, {r2, r3, r4}", "Z0, Z1, C")
    code.op("subs r1, #24")
    for first in range(0, rows, 2):
        pair = range(first, min(first + 2, rows))
        code.op("ldm r0!, {r5, r6}" if len(pair) == 2 else "ldm r0!, {r5}")
        for number in pair:
            v = f"r{5 + number - first}"
            code.ops(f"rev16 r7, {v}", f"muls {v}, r2, {v}", "muls r7, r3, r7")
            code.ops(f"adds {v}, {v}, r7", f"adds {v}, {v}, r4", f"asrs {v}, {v}, #16")
            code.op(f"add {SUMS[number]}, {v}")
