"""Requantization by a table in flash: the fastest, at two bytes for 256 accumulators.

A sum's upper two bytes choose a cell. It says what the output is before the one threshold that
the cell may hold, and at which lowest byte that threshold lies. Sums are shifted to the left first
where thresholds are closer than 256. True by construction: cells are written from thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miniml.kernels.avr.code import TAKEN, Code
from miniml.kernels.avr.requantize import Paths, Target, store
from miniml.kernels.avr.rows import Row

_MOST_SHIFT = 3  # 3 cycles a bit
_MOST_CELLS = 1024


@dataclass(frozen=True, eq=False)
class Cells:
    """A row's table.

    Attributes:
        shift: bits to the left before the sum is cut into cells.
        first: the first cell's number, of the shifted sum.
        content: for each cell the output below its threshold, and the threshold's lowest byte.
    """

    shift: int
    first: int
    content: tuple[int, ...]

    @property
    def count(self) -> int:
        """Cells."""
        return len(self.content) // 2


def make(row: Row, delta: int) -> Cells | None:
    """The table for sums = accumulator - delta; None: thresholds are too close or too far apart."""
    reached = (row.thresholds > row.low) & (row.thresholds <= row.high)
    if not reached.any():
        return None
    outputs = np.flatnonzero(reached) + row.minimum + 1
    for shift in range(_MOST_SHIFT + 1):
        ends = (row.low - delta << shift, row.high - delta << shift)
        if min(ends) < -(1 << 23) or max(ends) >= 1 << 23:
            return None
        thresholds = row.thresholds[reached] - delta << shift
        numbers = thresholds >> 8
        if (np.diff(numbers) == 0).any():
            continue
        first, count = int(numbers[0]), int(numbers[-1] - numbers[0]) + 1
        if count > _MOST_CELLS:
            return None
        content = []
        output = row.reach[0]
        inside = dict(zip(numbers.tolist(), zip(thresholds, outputs, strict=True), strict=True))
        for number in range(first, first + count):
            if number in inside:
                threshold, after = inside[number]
                content += [int(after) - 1, int(threshold) & 255]
                output = int(after)
            else:
                content += [output - 1, 0]  # every byte is at least 0: one more
        return Cells(shift, first, tuple(content))
    return None


def emit(
    code: Code,
    row: Row,
    cells: Cells,
    delta: int,
    sums: tuple[int, ...],
    free: list[int],
    table: str,
    target: Target,
) -> Paths:
    """The row's sum from three registers to its address.

    Args:
        code: grows; its cycles are those within the table.
        row, cells, delta: what `make` returned, for what.
        sums: registers of the sum, low to high; they are lost.
        free: upper registers that may be lost, two besides r30 and r31.
        table: label of the cells.
        target: where the byte goes.
    """
    before = code.cycles
    result, scratch = [register for register in free if register < 30][:2]
    for _ in range(cells.shift):
        code.op(f"lsl r{sums[0]}", f"rol r{sums[1]}", f"rol r{sums[2]}")
    if sums[2] == 30:
        code.op("mov r31, r30", f"mov r30, r{sums[1]}")
    else:
        code.move((30, 31), sums[1:])
    code.add_constant((30, 31), -cells.first)
    code.op(f"ldi r{scratch}, {cells.count >> 8}", f"cpi r30, {cells.count & 255}")
    code.op(f"cpc r31, r{scratch}", "brlo 1f")
    spent = code.cycles - before
    lowest, highest = row.reach
    outside = Code()
    outside.op(f"ldi r{result}, {highest & 255}", "sbrc r31, 7")
    outside.op(f"ldi r{result}, {lowest & 255}", "rjmp 2f")
    code.repeat(outside, 0)
    code.label("1")
    code.cycles += TAKEN
    code.op("lsl r30", "rol r31", f"subi r30, lo8(-({table}))", f"sbci r31, hi8(-({table}))")
    code.op(f"lpm r{result}, Z+", f"lpm r{scratch}, Z", f"cp r{sums[0]}, r{scratch}")
    code.op(f"sbci r{result}, 255")
    code.label("2")
    tail = Code()
    store(tail, result, target)
    code.extend(tail)
    inside = code.cycles - before
    beyond = spent + outside.cycles + tail.cycles
    starts = [cells.first * 256, (cells.first + cells.count) * 256]
    start, end = (-(-at // (1 << cells.shift)) + delta for at in starts)
    if start <= row.low:
        return Paths((row.low, end), (inside, beyond))
    return Paths((row.low, start, end), (beyond, inside, beyond))
