"""Straight-line code by Winograd's inner product, for inputs in [0, 127]: the fastest method.

Tiles of eight columns lie in registers while the rows of a group pass over them. A row adds to
each input what its weights differ from those of the row before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from miniml.kernels.avr import prepare
from miniml.kernels.avr.code import Code
from miniml.kernels.avr.finish import Sum
from miniml.kernels.avr.group import Context, Group, Signs, end_group
from miniml.kernels.avr.rows import LayerRows, Row
from miniml.kernels.avr.tiles import Tile, TileRow, tile_row, tiles

MOST_ROWS = 5
_X = tuple(range(16, 24))
_TILE_SUM = (24, 25)
_START = (28, 29)  # START - sum of xa * xb
_ZERO = 30
_SUMS = ((2, 3, 12), (4, 5, 13), (6, 7, 14), (8, 9, 15), (10, 11, 31))


def serves(rows: LayerRows, row: Row) -> bool:
    """Whether a row meets the precondition: inputs in [0, 127], 24 bits of sum."""
    return rows.x_low >= 0 and -(1 << 22) <= row.low <= row.high < 1 << 22


def build(context: Context, indices: tuple[int, ...], label: str) -> Group:
    """Code for at most five rows.

    The layer's first group may be the one that also takes in the layer's inputs: `context.takes_in`
    is its label.
    """
    rows = [context.rows.rows[index] for index in indices]
    x_high, first_layer = context.rows.x_high, context.rows.number == 1
    takes_in = context.takes_in == label
    code = Code()
    code.op(f"clr r{_ZERO}")
    if not (takes_in and first_layer):
        code.load_address(26, context.products if first_layer else context.buffer)
    constants = [0] * len(rows)
    for tile in tiles(context.rows.layer.n_inputs):
        code.comment(f"columns {tile.first} to {tile.first + tile.columns - 1}")
        chosen = [
            choose(tile.weights(row.weights), x_high, tile.number == 0, context.patterns)
            for row in rows
        ]
        _load(code, context, tile, takes_in, chosen)
        added = [0] * tile.registers
        for position, part in enumerate(chosen):
            constants[position] += part.constant
            _adjust(code, added, part)
            if part.signs in context.patterns:
                shared = f"{context.name}_{pattern_name(part.signs)}"
                if shared not in context.routines:
                    context.routines[shared] = _shared(shared, part.signs)
                code.op(f"call {shared}")
                code.cycles += context.routines[shared].cycles
            else:
                _products(code, part.signs)
            _accumulate(code, part, _SUMS[position], tile.number == 0)
            _extra(code, context, tile, part, _SUMS[position])
    proofs = tuple(
        f"inputs in [0, {x_high}], sum|w| <= 514 in each tile of 8 but for what is added apart, "
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
        for row, registers, constant in zip(rows, _SUMS, constants, strict=False)
    ]
    taken = {register for one in found for register in one.registers}
    free = [register for register in range(16, 32) if register not in taken]
    return end_group(context, code, found, free, label, "winograd", proofs)


def choose(
    weights: tuple[int, ...], x_high: int, first: bool, patterns: frozenset[Signs]
) -> TileRow:
    """A row's part in a tile, added or taken off: a pattern that is shared, or else no lift."""
    plus = tile_row(weights, x_high, negative=False)
    if first:  # a sum begins by adding
        return plus
    minus = tile_row(weights, x_high, negative=True)

    def cost(part: TileRow) -> tuple[int, bool, bool]:
        return len(part.extra), bool(patterns) and part.signs not in patterns, part.lift != 0

    return min(plus, minus, key=cost)


def count_patterns(rows: LayerRows, indices: Sequence[int]) -> Counter[Signs]:
    """How often signs of a tile would occur if all were shared.

    A part may be added or taken off, with opposite signs: the lower one of both is taken.
    """
    counts: Counter[Signs] = Counter()
    for tile in tiles(rows.layer.n_inputs):
        for index in indices:
            weights = tile.weights(rows.rows[index].weights)
            parts = [tile_row(weights, rows.x_high, negative=n) for n in (False, True)]
            counts[parts[0].signs if tile.number == 0 else min(p.signs for p in parts)] += 1
    return counts


def pattern_name(signs: Signs) -> str:
    """Such as "usuu": operands with (s) and without (u) sign."""
    return "".join("s" if signed else "u" for signed in signs)


def _load(
    code: Code, context: Context, tile: Tile, takes_in: bool, parts: Sequence[TileRow]
) -> None:
    """Inputs of a tile, and its start; `takes_in`: clamped and stored as far as others need it."""
    first_layer = context.rows.number == 1
    registers = _X[: tile.columns]
    code.op(*(f"ld r{register}, X+" for register in registers))
    if tile.columns % 2:
        code.op(f"clr r{_X[tile.columns]}")
    start = context.start(tile)
    if not takes_in:
        if first_layer:
            code.op(*(f"ld r{register}, X+" for register in _START))
        else:
            code.op(f"lds r{_START[0]}, {start}", f"lds r{_START[1]}, {start} + 1")
        return
    if first_layer:
        for register in registers:
            prepare.clamp(code, register, 0)
        if context.products or any(part.extra for part in parts):
            for column, register in enumerate(registers):
                code.op(f"sts {context.input(tile, column)}, r{register}")
    prepare.tile_start(code, _X[: tile.registers], _START)
    if context.products:
        code.op(f"sts {start}, r{_START[0]}", f"sts {start} + 1, r{_START[1]}")


def _adjust(code: Code, added: list[int], part: TileRow) -> None:
    """Add to each input its partner's weight, less what was added before."""
    for register in range(len(added)):
        wanted = part.weights[register ^ 1]
        if wanted != added[register]:
            code.op(f"subi r{_X[register]}, {added[register] - wanted & 255}")
        added[register] = wanted


def _products(code: Code, signs: Signs) -> None:
    """The tile's sum: what it starts with, and a product for each pair."""
    code.op(f"movw r{_TILE_SUM[0]}, r{_START[0]}")
    for register in range(0, len(signs), 2):
        a, b = _X[register], _X[register + 1]
        code.op(_multiply(a, b, signs[register], signs[register + 1]))
        code.op(f"add r{_TILE_SUM[0]}, r0", f"adc r{_TILE_SUM[1]}, r1")


def _shared(label: str, signs: Signs) -> Code:
    """Products that several parts call."""
    code = Code()
    code.label(label)
    _products(code, signs)
    code.op("ret")
    return code


def _multiply(a: int, b: int, a_signed: bool, b_signed: bool) -> str:
    if a_signed != b_signed:
        return f"mulsu r{a}, r{b}" if a_signed else f"mulsu r{b}, r{a}"
    return f"{'muls' if a_signed else 'mul'} r{a}, r{b}"


def _accumulate(code: Code, part: TileRow, sums: tuple[int, ...], first: bool) -> None:
    if part.lift:
        code.op(f"subi r{_TILE_SUM[1]}, {-part.lift & 255}")
    if first:
        code.op(f"movw r{sums[0]}, r{_TILE_SUM[0]}", f"clr r{sums[2]}")
        return
    operation, with_carry = ("sub", "sbc") if part.negative else ("add", "adc")
    code.op(f"{operation} r{sums[0]}, r{_TILE_SUM[0]}", f"{with_carry} r{sums[1]}, r{_TILE_SUM[1]}")
    code.op(f"{with_carry} r{sums[2]}, r{_ZERO}")


def _extra(code: Code, context: Context, tile: Tile, part: TileRow, sums: tuple[int, ...]) -> None:
    """Products of what was taken off weights: the raw input, from SRAM."""
    x, w = _TILE_SUM
    for register, weight in part.extra:
        code.op(f"lds r{x}, {context.input(tile, register)}", f"ldi r{w}, {abs(weight)}")
        operation, with_carry = ("sub", "sbc") if weight < 0 else ("add", "adc")
        code.op(f"mul r{x}, r{w}", f"{operation} r{sums[0]}, r0", f"{with_carry} r{sums[1]}, r1")
        code.op(f"{with_carry} r{sums[2]}, r{_ZERO}")
