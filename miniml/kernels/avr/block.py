"""Between loop and straight line: five LDI and a call to code that all columns share.

Five inputs lie in registers; a row loads its five weights and calls the multiply-accumulates, which
are the same for every row and tile but for the registers of the row's sum. Their 16-bit total is
moved from [-2^15, 2^15) to [0, 2^16) and added to 24 bits.
"""

from __future__ import annotations

from miniml.kernels.avr import prepare
from miniml.kernels.avr.code import Code
from miniml.kernels.avr.finish import Sum
from miniml.kernels.avr.group import Context, Group, end_group
from miniml.kernels.avr.rows import Row

MOST_ROWS = 5
TILE = 5
_FARTHEST = 300  # columns of which a group's code is within reach of RCALL
_X = (16, 17, 18, 19, 20)
_W = (21, 22, 23, 24, 25)
_TOTAL = (28, 29)
_ZERO = 30
_SUMS = ((2, 3, 12), (4, 5, 13), (6, 7, 14), (8, 9, 15), (10, 11, 31))
_START = 0x8000


def serves(row: Row) -> bool:
    """Whether a row meets the precondition: 24 bits of sum."""
    return -(1 << 22) <= row.low <= row.high < 1 << 22


def build(context: Context, indices: tuple[int, ...], label: str) -> Group:
    """Code for at most five rows; it takes in the layer's inputs if `context.takes_in` says so."""
    layer = context.rows
    rows = [layer.rows[index] for index in indices]
    takes_in = context.takes_in == label and layer.number == 1
    near = layer.layer.n_inputs <= _FARTHEST
    call, shared = ("rcall", f"{label}_call") if near else ("call", f"{context.prefix}_call")
    code = Code()
    routines = [_routine(f"{shared}_{position}", position) for position in range(len(rows))]
    if near:
        code.op("rjmp 1f")
        for routine in routines:
            code.repeat(routine, 0)
        code.label("1")
    else:
        for position, routine in enumerate(routines):
            context.routines.setdefault(f"{shared}_{position}", routine)
    code.op(f"clr r{_ZERO}")
    code.op(*(f"clr r{register}" for one in _SUMS[: len(rows)] for register in one))
    if not takes_in:
        code.load_address(26, context.buffer)
    calls = 0
    reach = max(-layer.x_low, layer.x_high)
    for first in range(0, layer.layer.n_inputs, TILE):
        columns = range(first, min(first + TILE, layer.layer.n_inputs))
        for register, column in zip(_X, columns, strict=False):
            code.op(f"ld r{register}, X+")
            if takes_in:
                prepare.clamp(code, register, layer.x_low)
                code.op(f"sts {context.buffer} + {column}, r{register}")
        calls += 1
        for position, row in enumerate(rows):
            kept, extra = _fit([row.weights[column] for column in columns], reach)
            kept += [0] * (TILE - len(kept))
            code.op(*(f"ldi r{r}, {w & 255}" for r, w in zip(_W, kept, strict=True)))
            code.op(f"{call} {shared}_{position}")
            code.cycles += routines[position].cycles
            for register, weight in extra:
                _apart(code, register, weight, _SUMS[position])
    found = [
        Sum(
            row,
            context.affines[row.index],
            row.index in context.tables,
            registers,
            row.bias - calls * _START,
        )
        for row, registers in zip(rows, _SUMS, strict=False)
    ]
    proofs = tuple(
        f"{reach} * sum|w| < 2^15 in each tile of 5 but for what is added apart; "
        f"{row.low} <= accumulator <= {row.high} fits 24 bits"
        for row in rows
    )
    taken = {register for one in found for register in one.registers}
    free = [register for register in range(16, 32) if register not in taken]
    return end_group(context, code, found, free, label, "block", proofs)


def _routine(label: str, position: int) -> Code:
    code = Code()
    sums = _SUMS[position]
    code.label(label)
    for number, (x, w) in enumerate(zip(_X, _W, strict=True)):
        code.op(f"muls r{x}, r{w}")
        if number == 0:
            code.op(f"movw r{_TOTAL[0]}, r0")
        else:
            code.op(f"add r{_TOTAL[0]}, r0", f"adc r{_TOTAL[1]}, r1")
    code.op(f"subi r{_TOTAL[1]}, {_START >> 8}")
    code.op(f"add r{sums[0]}, r{_TOTAL[0]}", f"adc r{sums[1]}, r{_TOTAL[1]}")
    code.op(f"adc r{sums[2]}, r{_ZERO}", "ret")
    return code


def _fit(weights: list[int], reach: int) -> tuple[list[int], list[tuple[int, int]]]:
    """Weights whose products fit 16 bits together, and (register, weight) of what is too much."""
    kept = list(weights)
    extra = []
    while reach * sum(map(abs, kept)) > 32767:
        register = max(range(len(kept)), key=lambda r: abs(kept[r]))
        too_much = -(-(reach * sum(map(abs, kept)) - 32767) // reach)
        taken = min(abs(kept[register]), too_much) * (1 if kept[register] > 0 else -1)
        kept[register] -= taken
        extra.append((register, taken))
    return kept, extra


def _apart(code: Code, register: int, weight: int, sums: tuple[int, ...]) -> None:
    """A product added to 24 bits; MULS leaves its sign in the carry."""
    w, sign = _W[0], _TOTAL[0]
    code.op(f"ldi r{w}, {weight & 255}", f"muls r{_X[register]}, r{w}", f"sbc r{sign}, r{sign}")
    code.op(f"add r{sums[0]}, r0", f"adc r{sums[1]}, r1", f"adc r{sums[2]}, r{sign}")
