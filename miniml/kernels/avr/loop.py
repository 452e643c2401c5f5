"""The loop that serves any model: some rows a pass, columns one after the other.

Weights are stored as w + 128, by column; inputs become x + 128 where they may be negative. So all
products are unsigned, and a multiply-accumulate is LPM, MUL, ADD, ADC, ADC: 8 cycles. With x' for
the input as it is multiplied,

    sum((w + 128) * x') - 128 * sum(x') = sum(w * x')

modulo 2^24: the second sum, once a layer, is where each row's sum begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from miniml.kernels.avr.code import Code
from miniml.kernels.avr.finish import Sum
from miniml.kernels.avr.group import Context, Group, end_group, narrow
from miniml.kernels.avr.rows import Row

_X, _ZERO = 28, 29
# Three sums in upper registers: once they are dealt with, the others can be multiplied there.
_SUMS = (
    *((2, 3, 12), (4, 5, 13), (6, 7, 14), (8, 9, 15)),
    *((16, 17, 18), (20, 21, 19), (22, 23, 24), (10, 11, 25)),
)
FREE = (26, 27, 28, 29, 30, 31)


def is_wide(row: Row) -> bool:
    """Whether 24 bits can't hold the accumulator."""
    return not -(1 << 23) <= row.low <= row.high < 1 << 23


def most_rows(n_inputs: int, wide: bool) -> int:
    """Rows that a pass can have; more than 256 columns take a register for the end."""
    return (6 if wide else 8) - (n_inputs > 256)


def sums(count: int, wide: bool) -> list[tuple[int, ...]]:
    """Registers of each row's sum, low to high."""
    if wide:
        return [(2 + 2 * r, 3 + 2 * r, 14 + 2 * r, 15 + 2 * r) for r in range(count)]
    return list(_SUMS[:count])


def free_registers(count: int, wide: bool) -> list[int]:
    """Upper registers that hold no sum."""
    taken = {register for one in sums(count, wide) for register in one}
    return [register for register in range(16, 32) if register not in taken]


def weights(rows: Sequence[Row]) -> list[int]:
    """Bytes in flash, column by column."""
    return [row.weights[c] + 128 for c in range(len(rows[0].weights)) for row in rows]


def delta(row: Row, x_low: int) -> int:
    """What makes the sum an accumulator."""
    return row.bias - (128 * sum(row.weights) if x_low < 0 else 0)


@cache
def routine(
    label: str, count: int, wide: bool, n_inputs: int, shift: bool, buffer: str, offset: str
) -> Code:
    """The sums of `count` rows; Z points to their weights. Ends with RET.

    Args:
        label: of the routine.
        count: rows.
        wide: 32 bits a sum.
        n_inputs: columns.
        shift: whether 128 is to be added to the inputs.
        buffer: address of the inputs.
        offset: address of -128 * sum(x').
    """
    code = Code()
    registers = sums(count, wide)
    code.label(label)
    code.comment(f"{count} rows a pass: sums begin with -128 * sum of the inputs")
    code.load_address(26, buffer)
    code.op(f"clr r{_ZERO}")
    for byte, register in enumerate(registers[0]):
        code.op(f"lds r{register}, {offset} + {byte}")
    for one in registers[1:]:
        code.move(one, registers[0])
    unroll = next((u for u in (4, 5, 6, 3, 7, 2) if n_inputs % u == 0), 1)
    body = Code()
    for _ in range(unroll):
        body.op(f"ld r{_X}, X+")
        if shift:
            body.op(f"subi r{_X}, 128")
        for one in registers:
            body.op("lpm r0, Z+", f"mul r{_X}, r0", f"add r{one[0]}, r0", f"adc r{one[1]}, r1")
            body.op(*(f"adc r{register}, r{_ZERO}" for register in one[2:]))
    end: tuple[str, ...] = (f"cpi r26, lo8({buffer} + {n_inputs})",)
    if n_inputs > 256:
        last = 25
        code.op(f"ldi r{last}, hi8({buffer} + {n_inputs})")
        end = (*end, f"cpc r27, r{last}")
    code.loop(body, n_inputs // unroll, end)
    code.op("ret")
    return code


def build(context: Context, indices: tuple[int, ...], label: str) -> Group:
    """A pass over all columns for some rows; they share a routine with passes of the same kind."""
    layer = context.rows
    rows = [layer.rows[index] for index in indices]
    wide = any(is_wide(row) for row in rows)
    count, n_inputs = len(rows), layer.layer.n_inputs
    shared = f"{context.prefix}_loop{count}{'w' if wide else ''}"
    if shared not in context.routines:
        shift = layer.x_low < 0 and not context.shifted
        context.routines[shared] = routine(
            shared, count, wide, n_inputs, shift, context.buffer, context.offset
        )
    stored = f"{label}_weights"
    context.constants.content[stored] = weights(rows)
    code = Code()
    code.load_address(30, stored)
    code.op(f"call {shared}")
    code.cycles += context.routines[shared].cycles
    bits = 32 if wide else 24
    proofs = tuple(f"{row.low} <= accumulator <= {row.high} fits {bits} bits" for row in rows)
    found = [
        Sum(
            row,
            None if wide else narrow(context.affines[row.index]),
            not wide and row.index in context.tables,
            registers,
            delta(row, layer.x_low),
        )
        for row, registers in zip(rows, sums(count, wide), strict=True)
    ]
    return end_group(context, code, found, free_registers(count, wide), label, "loop", proofs)
