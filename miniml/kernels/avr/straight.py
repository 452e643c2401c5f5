"""Straight-line code for inputs of any sign: a column at a time, LDI, MULS, ADD, ADC.

A row's sum is 256 * high + low, of 16 bits each. Products go into `low` alone, whose interval is
known at every column; before it could leave 16 bits, its upper byte moves to `high`, three cycles.
Rows with the same |w| in a column share a product, one with 2 |w| takes it doubled, w = 0 is free.
"""

from __future__ import annotations

from dataclasses import dataclass

from miniml.kernels.avr import prepare
from miniml.kernels.avr.code import Code
from miniml.kernels.avr.finish import Sum
from miniml.kernels.avr.group import Context, Group, end_group, narrow
from miniml.kernels.avr.rows import Row

MOST_ROWS = 6
_X, _W, _ZERO, _MIDDLE = 24, 25, 28, 29
_MIDDLE_VALUE = 0x80


@dataclass
class _Sum:
    """A row's registers, the interval of `low`, and what the sum has too much.

    `moves` counts how often the upper byte of `low` went to `high`.
    """

    row: Row
    low: tuple[int, int]
    high: tuple[int, int]
    interval: tuple[int, int] = (0, 0)
    started: bool = False
    moves: int = 0
    too_much: int = 0


def serves(row: Row) -> bool:
    """Whether a row meets the precondition: 24 bits of sum."""
    return -(1 << 22) <= row.low <= row.high < 1 << 22


def build(context: Context, indices: tuple[int, ...], label: str) -> Group:
    """Code for at most six rows; it takes in the layer's inputs if `context.takes_in` says so."""
    layer = context.rows
    takes_in = context.takes_in == label
    first = layer.number == 1 and takes_in
    pairs = [(register, register + 1) for register in (*range(2, 24, 2), 30)]
    sums = [
        _Sum(layer.rows[index], pairs[2 * position], pairs[2 * position + 1])
        for position, index in enumerate(indices)
    ]
    code = Code()
    code.op(f"clr r{_ZERO}")
    code.load_constant((_W,), _MIDDLE_VALUE)
    code.op(f"mov r{_MIDDLE}, r{_W}")
    if not first:
        code.load_address(26, context.buffer)
    for column in range(layer.layer.n_inputs):
        code.op(f"ld r{_X}, X+")
        if first:
            prepare.clamp(code, _X, layer.x_low)
            code.op(f"sts {context.buffer} + {column}, r{_X}")
        _column(code, sums, column, (layer.x_low, layer.x_high))
    found = [
        Sum(
            one.row,
            narrow(context.affines[one.row.index]),
            one.row.index in context.tables,
            _close(code, one),
            one.row.bias - one.too_much,
        )
        for one in sums
    ]
    taken = {register for one in found for register in one.registers}
    free = [register for register in range(16, 32) if register not in taken]
    proofs = tuple(
        f"|product| <= 127 * 127; {one.moves} moves keep 16 bits; "
        f"{one.row.low} <= accumulator <= {one.row.high} fits 24 bits"
        for one in sums
    )
    return end_group(context, code, found, free, label, "straight", proofs)


def _column(code: Code, sums: list[_Sum], column: int, x: tuple[int, int]) -> None:
    """All products of one input."""
    by_size: dict[int, list[_Sum]] = {}
    for one in sums:
        by_size.setdefault(abs(one.row.weights[column]), []).append(one)
    by_size.pop(0, None)
    while by_size:
        # The smallest that isn't twice another one; then those that are twice the last one.
        size = min(by_size)
        code.op(f"ldi r{_W}, {size}", f"muls r{_X}, r{_W}")
        while True:
            for one in by_size.pop(size):
                _add(code, one, size, one.row.weights[column] < 0, x)
            size *= 2
            if size not in by_size:
                break
            code.op("lsl r0", "rol r1")


def _add(code: Code, one: _Sum, size: int, negative: bool, x: tuple[int, int]) -> None:
    """Add or take off the product in r1:r0."""
    ends = (-size * x[1], -size * x[0]) if negative else (size * x[0], size * x[1])
    low, high = one.low, one.high
    if not one.started:
        one.started = True
        one.too_much = _MIDDLE_VALUE << 8
        one.interval = (one.too_much + ends[0], one.too_much + ends[1])
        if negative:
            code.op(f"clr r{low[0]}", f"mov r{low[1]}, r{_MIDDLE}")
            code.op(f"sub r{low[0]}, r0", f"sbc r{low[1]}, r1")
        else:
            code.op(f"movw r{low[0]}, r0", f"add r{low[1]}, r{_MIDDLE}")
        return
    if one.interval[0] + ends[0] < 0 or one.interval[1] + ends[1] > 65535:
        if one.moves:
            code.op(f"add r{high[0]}, r{low[1]}", f"adc r{high[1]}, r{_ZERO}")
        else:
            code.op(f"mov r{high[0]}, r{low[1]}", f"clr r{high[1]}")
        code.op(f"mov r{low[1]}, r{_MIDDLE}")
        one.moves += 1
        one.too_much += _MIDDLE_VALUE << 8
        one.interval = (_MIDDLE_VALUE << 8, (_MIDDLE_VALUE << 8) + 255)
    one.interval = (one.interval[0] + ends[0], one.interval[1] + ends[1])
    if negative:
        code.op(f"sub r{low[0]}, r0", f"sbc r{low[1]}, r1")
    else:
        code.op(f"add r{low[0]}, r0", f"adc r{low[1]}, r1")


def _close(code: Code, one: _Sum) -> tuple[int, int, int]:
    """Three registers with the sum."""
    low, high = one.low, one.high
    if not one.started:
        code.op(f"clr r{low[0]}", f"clr r{low[1]}")
    if not one.moves:
        code.op(f"clr r{high[0]}")
        return (*low, high[0])
    code.op(f"add r{high[0]}, r{low[1]}", f"adc r{high[1]}, r{_ZERO}")
    return (low[0], *high)
