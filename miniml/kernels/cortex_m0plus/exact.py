"""The exact portable method: a loop over rows and columns that serves any model.

A byte a weight, 32-bit sums, and the contract's double rounding from a 64-bit product by
halves. Its cycles don't depend on the data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miniml.kernels.cortex_m0plus.bounds import LayerBounds
from miniml.kernels.cortex_m0plus.emit import Code
from miniml.kernels.cortex_m0plus.inputs import (
    OUTPUTS_SLOT,
    RETURN_SLOT,
    TABLE_SLOT,
    Frame,
)
from miniml.model import DenseLayer


@dataclass(frozen=True)
class ExactCycles:
    """Cycles of `.Lexact_rows` by its parts.

    Attributes:
        call: the call itself.
        requantize: of `.Lexact_requantize`, without its call.
        row: of each row, without columns.
        column: of each column of a row.
        no_shift: what a row without a right shift takes more (it is negative).
        no_table: what a row without a table takes more.
    """

    call: int
    requantize: int
    row: int
    column: int
    no_shift: int
    no_table: int


def exact_routines(code: Code) -> ExactCycles:
    """Writes `.Lexact_rows` and `.Lexact_requantize`.

    `.Lexact_rows`: R0: the rows; R8: the inputs; R9: columns - 1; R10: rows; R11, R12: the
    clamp; the slots hold the addresses of outputs and table. R0 ends behind the rows.
    """
    code.note("exact, any model: one row at a time, a byte a weight")
    code.label(".Lexact_rows")
    before = code.cycles
    code.ops("mov r1, lr", f"str r1, [sp, #{RETURN_SLOT}]")
    call = code.cycles - before
    before = code.cycles
    code.label(".Lexact_row")
    code.op("ldm r0!, {r4, r5, r6}", "bias, multiplier, right shift | left << 8 | output << 16")
    code.ops("mov r1, r8", "mov r2, r9")
    row = code.cycles - before
    before = code.cycles
    code.label(".Lexact_column")
    code.ops("ldrsb r3, [r0, r2]", "ldrb r7, [r1, r2]", "muls r3, r7, r3", "adds r4, r4, r3")
    code.ops("subs r2, #1", "bpl .Lexact_column")
    column = code.cycles - before + 1
    before = code.cycles
    code.ops("mov r2, r9", "adds r2, #4", "lsrs r2, r2, #2", "lsls r2, r2, #2", "adds r0, r0, r2")
    code.op("bl .Lexact_requantize")
    code.ops(f"ldr r1, [sp, #{TABLE_SLOT}]", "cmp r1, #0", "beq .Lexact_store")
    table_before = code.cycles
    code.ops("adds r4, #128", "ldrb r4, [r1, r4]")
    no_table = 1 - (code.cycles - table_before)
    code.label(".Lexact_store")
    code.ops(f"ldr r1, [sp, #{OUTPUTS_SLOT}]", "lsrs r6, r6, #16", "strb r4, [r1, r6]")
    code.ops("mov r1, r10", "subs r1, #1", "mov r10, r1", "bne .Lexact_row")
    row += code.cycles - before + 1 - 1  # the last BPL falls through
    code.ops(f"ldr r1, [sp, #{RETURN_SLOT}]", "bx r1")
    call += 2 + 2 - 1 + 3
    inner, no_shift = _requantize_routine(code)
    return ExactCycles(call, inner, row + inner, column, no_shift, no_table)


def _requantize_routine(code: Code) -> tuple[int, int]:
    code.note("R4: z = (R4 << left) * R5 + 2^30 >> 31, rounded to 2^-right, clamped to R11, R12")
    code.label(".Lexact_requantize")
    before = code.cycles
    code.ops("lsrs r1, r6, #8", "uxtb r1, r1", "lsls r4, r1")
    code.op("uxth r1, r4", "low half of the accumulator, then its high half")
    code.ops("asrs r2, r4, #16", "uxth r3, r5", "lsrs r4, r5, #16")
    code.ops("movs r5, r1", "muls r5, r3, r5", "muls r1, r4, r1")
    code.ops("muls r3, r2, r3", "muls r4, r2, r4")
    code.ops("lsls r2, r1, #16", "lsrs r1, r1, #16", "adds r5, r5, r2", "adcs r4, r1")
    code.ops("lsls r2, r3, #16", "asrs r3, r3, #16", "adds r5, r5, r2", "adcs r4, r3")
    code.ops("movs r1, #1", "lsls r1, r1, #30", "movs r2, #0", "adds r5, r5, r1", "adcs r4, r2")
    code.op("lsls r4, r4, #1", "R4:R5 is the product plus 2^30")
    code.ops("lsrs r5, r5, #31", "orrs r4, r5")
    code.ops("uxtb r1, r6", "cmp r1, #0", "beq .Lexact_clamp")
    shift_before = code.cycles
    code.op("asrs r3, r4, #31", "ties away from zero: one less below zero, then half up")
    code.ops("adds r4, r4, r3", "asrs r4, r1")
    code.op("adcs r4, r2", "the carry is the last bit shifted out")
    no_shift = 1 - (code.cycles - shift_before)
    code.label(".Lexact_clamp")
    code.ops("cmp r4, r11", "bge .Lexact_low", "mov r4, r11")
    code.label(".Lexact_low")
    code.ops("cmp r4, r12", "ble .Lexact_high", "mov r4, r12")
    code.label(".Lexact_high")
    code.op("bx lr")
    return code.cycles - before, no_shift


def exact_row_constants(layer: DenseLayer, bounds: LayerBounds, row: int) -> tuple[int, int, int]:
    """Bias for offset inputs, multiplier, and shifts with the place of the output."""
    total = int(layer.weights[row].astype(np.int64).sum())
    shift = int(layer.shifts[row])
    packed = max(-shift, 0) | max(shift, 0) << 8 | row << 16
    return int(layer.bias[row]) - bounds.x_offset * total, int(layer.multipliers[row]), packed


def exact_data(data: Code, layer: DenseLayer, bounds: LayerBounds, rows: list[int]) -> None:
    """The rows as `.Lexact_rows` reads them."""
    for row in rows:
        data.words(list(exact_row_constants(layer, bounds, row)), f"row {row}: exact")
        data.octets(layer.weights[row].tolist())
        data.octets([0] * (-layer.n_inputs % 4))


def exact_call(
    code: Code, data: Code, frame: Frame, layer: DenseLayer, bounds: LayerBounds,
    rows: list[int], outputs: str, table: str | None, cycles: ExactCycles,
) -> None:  # fmt: skip
    """Runs rows of a layer. R0 is and stays the stream."""
    data.words([layer.n_inputs - 1, len(rows), layer.activation_min, layer.activation_max])
    data.words([outputs, table or 0])
    exact_data(data, layer, bounds, rows)
    code.sp_address("r7", frame.inputs_at(layer.n_inputs))
    code.op("mov r8, r7")
    code.op("ldm r0!, {r1-r6}", "columns - 1, rows, the clamp, outputs, table")
    code.ops("mov r9, r1", "mov r10, r2", "mov r11, r3", "mov r12, r4")
    code.ops(f"str r5, [sp, #{OUTPUTS_SLOT}]", f"str r6, [sp, #{TABLE_SLOT}]")
    code.op("bl .Lexact_rows")
    code.cycles += cycles.call - 3
    for row in rows:
        code.cycles += cycles.row + cycles.column * layer.n_inputs
        code.cycles += cycles.no_shift * (layer.shifts[row] >= 0)
        code.cycles += cycles.no_table * (layer.table is None)
