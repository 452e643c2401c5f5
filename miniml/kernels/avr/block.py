"""Between loop and straight line: six LDI and a call to code that all columns share.

Six inputs lie in registers; a row loads its six weights and calls the multiply-accumulates, which
are the same for every row and tile but for the registers of the row's sum. Their 16-bit total is
moved from [-2^15, 2^15) to [0, 2^16) and added to 24 bits: once if the six products fit 16 bits
together, in two halves of three if only these do.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from miniml.kernels.avr import prepare
from miniml.kernels.avr.code import Code
from miniml.kernels.avr.finish import Sum
from miniml.kernels.avr.group import Context, Group, end_group
from miniml.kernels.avr.rows import Row

PASS_ROWS = 4
MOST_ROWS = 2 * PASS_ROWS  # two passes, with the shared code between them, in reach of RCALL
TILE = 6
_FARTHEST = 360  # columns of which a pass may be so short
_X = (16, 17, 18, 19, 20, 21)
_W = (22, 23, 24, 25, 30, 31)
_TOTAL = (28, 29)
_ZERO = 14
_SUMS = ((2, 3, 10), (4, 5, 11), (6, 7, 12), (8, 9, 13))
_START = 0x8000
_MOST = 0x7FFF
_REACH = 4000  # bytes, of 4094


def serves(row: Row) -> bool:
    """Whether a row meets the precondition: 24 bits of sum."""
    return -(1 << 22) <= row.low <= row.high < 1 << 22


def build(context: Context, indices: tuple[int, ...], label: str) -> Group:
    """Code for at most eight rows; it takes in the layer's inputs if `context.takes_in` says so."""
    near = context.rows.layer.n_inputs <= _FARTHEST
    group, distance = _both(context, indices, label, near=near)
    if near and distance > _REACH:
        group, _ = _both(context, indices, label, near=False)
    return group


def _both(
    context: Context, indices: tuple[int, ...], label: str, *, near: bool
) -> tuple[Group, int]:
    """Both passes, the routines between them (`near`) or among the context's; the longest way."""
    shared = f"{label if near else context.prefix}_call"
    used: set[tuple[int, int]] = set()
    first = _pass(context, indices[:PASS_ROWS], label, near, shared, used)
    second = None
    if len(indices) > PASS_ROWS:
        second = _pass(context, indices[PASS_ROWS:], f"{label}b", near, shared, used)
    code = Code()
    code.extend(first.code)
    routines = {f"{shared}_{p}_{halves}": _routine(shared, p, halves) for p, halves in sorted(used)}
    cycles = first.cycles
    if near:
        over = Code()
        over.op("rjmp 9f")
        for routine in routines.values():
            over.repeat(routine, 0)
        over.label("9")
        code.extend(over)
        cycles += over.cycles
    else:
        context.routines.update(routines)
    distance = first.code.bytes + sum(routine.bytes for routine in routines.values())
    if second is None:
        return replace(first, code=code, cycles=cycles), distance
    distance += max(0, second.code.bytes - first.code.bytes)
    code.extend(second.code)
    joined = Group(
        code,
        cycles + second.cycles,
        first.finished.joined(second.finished),
        first.method,
        first.indices + second.indices,
        first.proofs + second.proofs,
    )
    return joined, distance


def _pass(
    context: Context,
    indices: tuple[int, ...],
    label: str,
    near: bool,
    shared: str,
    used: set[tuple[int, int]],
) -> Group:
    """Four rows; `used` grows by the rows' places and halves that are called."""
    layer = context.rows
    rows = [layer.rows[index] for index in indices]
    takes_in = context.takes_in == label and layer.number == 1
    code = Code()
    code.op(f"clr r{_ZERO}")
    code.op(*(f"clr r{register}" for one in _SUMS[: len(rows)] for register in one))
    if not takes_in:
        code.load_address(26, context.buffer)
    too_much = [0] * len(rows)
    reach = max(-layer.x_low, layer.x_high)
    for first in range(0, layer.layer.n_inputs, TILE):
        columns = range(first, min(first + TILE, layer.layer.n_inputs))
        for register, column in zip(_X, columns, strict=False):
            code.op(f"ld r{register}, X+")
            if takes_in:
                prepare.clamp(code, register, layer.x_low)
                code.op(f"sts {context.buffer} + {column}, r{register}")
        for position, row in enumerate(rows):
            halves, weights, extra = _fit([row.weights[c] for c in columns], reach)
            code.op(*(f"ldi r{r}, {w & 255}" for r, w in zip(_W, weights, strict=True)))
            code.op(f"{'rcall' if near else 'call'} {shared}_{position}_{halves}")
            code.cycles += _routine(shared, position, halves).cycles
            used.add((position, halves))
            too_much[position] += halves * _START
            for register, weight in extra:
                _apart(code, register, weight, _SUMS[position])
    proofs = tuple(
        f"{reach} * sum|w| < 2^15 in each tile of 6, or in halves, but for what is added apart; "
        f"{row.low} <= accumulator <= {row.high} fits 24 bits"
        for row in rows
    )
    found = [
        Sum(
            row,
            context.affines[row.index],
            row.index in context.tables,
            registers,
            row.bias - constant,
        )
        for row, registers, constant in zip(rows, _SUMS, too_much, strict=False)
    ]
    taken = {register for one in found for register in one.registers}
    free = [register for register in range(16, 32) if register not in taken]
    return end_group(context, code, found, free, label, "block", proofs)


@cache
def _routine(shared: str, position: int, halves: int) -> Code:
    """Six multiply-accumulates into a row's sum; in halves, with a total each."""
    code = Code()
    sums = _SUMS[position]
    code.label(f"{shared}_{position}_{halves}")
    length = TILE // halves
    for number, (x, w) in enumerate(zip(_X, _W, strict=True)):
        code.op(f"muls r{x}, r{w}")
        if number % length == 0:
            code.op(f"movw r{_TOTAL[0]}, r0")
        else:
            code.op(f"add r{_TOTAL[0]}, r0", f"adc r{_TOTAL[1]}, r1")
        if number % length == length - 1:
            code.op(f"subi r{_TOTAL[1]}, {_START >> 8}")
            code.op(f"add r{sums[0]}, r{_TOTAL[0]}", f"adc r{sums[1]}, r{_TOTAL[1]}")
            code.op(f"adc r{sums[2]}, r{_ZERO}")
    code.op("ret")
    return code


def _fit(weights: list[int], reach: int) -> tuple[int, list[int], list[tuple[int, int]]]:
    """Halves, weights that fit 16 bits in these, and (register, weight) of what is too much."""
    kept = weights + [0] * (TILE - len(weights))
    if reach * sum(map(abs, kept)) <= _MOST:
        return 1, kept, []
    extra = []
    for half in (range(TILE // 2), range(TILE // 2, TILE)):
        while (total := reach * sum(abs(kept[r]) for r in half)) > _MOST:
            register = max(half, key=lambda r: abs(kept[r]))
            taken = min(abs(kept[register]), -(-(total - _MOST) // reach))
            taken *= 1 if kept[register] > 0 else -1
            kept[register] -= taken
            extra.append((register, taken))
    return 2, kept, extra


def _apart(code: Code, register: int, weight: int, sums: tuple[int, ...]) -> None:
    """A product added to 24 bits; MULS leaves its sign in the carry."""
    w, sign = _W[0], _TOTAL[0]
    code.op(f"ldi r{w}, {weight & 255}", f"muls r{_X[register]}, r{w}", f"sbc r{sign}, r{sign}")
    code.op(f"add r{sums[0]}, r0", f"adc r{sums[1]}, r1", f"adc r{sums[2]}, r{sign}")
