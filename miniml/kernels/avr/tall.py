"""The densest straight line: twelve LDI and a call, for all rows of a tile one after the other.

Twelve inputs lie in registers for all rows, whose sums lie in SRAM. Weights are w + 128 and inputs
x + 128 where they may be negative, as in `loop`, so any weights do: the sums begin with
-128 * sum(x'). The shared code lies between the tiles, in reach of RCALL from both sides.
"""

from __future__ import annotations

import numpy as np

from miniml.kernels.avr import entry
from miniml.kernels.avr.code import Code
from miniml.kernels.avr.finish import Finished, Sum, finish
from miniml.kernels.avr.group import Context, Group
from miniml.kernels.avr.loop import delta
from miniml.kernels.avr.requantize import Paths, Shared
from miniml.kernels.avr.rows import Row

TILE = 12
_X = entry.X
_W = tuple(range(16, 28))
_SUM, _ZERO = (14, 15, 30), entry.ZERO
_LOADED = (16, 17, 18)  # a sum, before it is requantized
_TAIL, _TAIL_WEIGHTS, _TAIL_ZERO = (11, 12, 13, 14), (19, 20, 21, 22), 15
_NEAR_ROWS = 36  # whose requantization is within reach of RCALL
_STEPS = 128**3  # of looking for the order of rows
_REACH = 3600  # bytes, of 4094, with room for the shared code itself


def serves(row: Row) -> bool:
    """Whether a row meets the precondition: 24 bits of sum."""
    return -(1 << 22) <= row.low <= row.high < 1 << 22


def build(context: Context, indices: tuple[int, ...], label: str) -> Group:
    """Code for any number of rows."""
    layer = context.rows
    rows = _ordered([layer.rows[index] for index in indices])
    sums = f"{context.name}_sums"
    code = Code()
    takes_in = context.takes_in == label
    calls = _Calls(label, None if takes_in else context.offset, len(rows))
    held: dict[int, int] = {}
    if takes_in:
        entry.begin(code, context)
    n_inputs = layer.layer.n_inputs
    # A few columns at the end are done where the sums are loaded anyway.
    rest = n_inputs % TILE if n_inputs > TILE and n_inputs % TILE <= len(_TAIL) else 0
    for number, first in enumerate(range(0, n_inputs - rest, TILE)):
        columns = range(first, min(first + TILE, n_inputs))
        for register in _load(code, context, columns, _X, takes_in):
            held.pop(register, None)
        code.load_address(28, sums)
        for row in rows:
            for register, column in zip(_W, columns, strict=False):
                weight = row.weights[column] + 128
                if held.get(register) != weight:
                    code.op(f"ldi r{register}, {weight}")
                    held[register] = weight
            calls.call(code, number, len(columns))
        calls.between(code, number)
    calls.end(code, context)
    tail = _Tail(context, rows, range(n_inputs - rest, n_inputs), label)
    if rest:
        _load(code, context, tail.columns, _TAIL, takes_in)
        tail.begin(code)
    if takes_in:
        entry.end(code, context)
    how: dict[int, str] = {}
    paths: dict[int, Paths] = {}
    waiting = 0
    held_offset = False
    cycles = code.cycles
    shared = Shared(f"{context.name}_times", context.routines) if context.short else None
    free = [register for register in range(16, 32) if register not in _LOADED]
    for position, row in enumerate(rows):
        before = code.cycles
        if not held_offset:  # nor Y
            code.load_address(28, f"{sums} + {3 * position}")
        code.op(*(f"ld r{register}, Y+" for register in _LOADED))
        if takes_in:
            entry.correct(code, context, _LOADED, held=held_offset)
        tail.row(code, row)
        cycles += code.cycles - before
        one = Sum(
            row,
            context.affines[row.index],
            row.index in context.tables,
            _LOADED,
            delta(row, layer.x_low),
        )
        own = f"{label}_{row.index}"
        last = Code()
        done = finish(last, [one], free, context.names, context.constants, own, shared)
        code.repeat(last, 0)
        how |= done.how
        paths |= done.paths
        waiting = max(waiting, done.waiting)
        held_offset = done.waiting == 0  # the exact routine uses all registers
    proofs = tuple(f"{row.low} <= accumulator <= {row.high} fits 24 bits" for row in rows)
    order = tuple(row.index for row in rows)
    return Group(code, cycles, Finished(how, paths, waiting, False), "tall", order, proofs)


def _ordered(rows: list[Row]) -> list[Row]:
    """Rows next to each other share weights, which then need no second LDI."""
    weights = np.array([row.weights for row in rows])
    same = (weights[:, np.newaxis] == weights).sum(axis=2)
    best: tuple[int, list[int]] = (-1, [])
    # Every row of up to 128 as the first one; of wide layers fewer, or it would take minutes.
    for start in range(min(len(rows), max(1, _STEPS // len(rows) ** 2))):
        order, shared = [start], 0
        left = np.ones(len(rows), np.bool_)
        left[start] = False
        while len(order) < len(rows):
            likeness = np.where(left, same[order[-1]], -1)
            following = int(np.argmax(likeness))  # the lowest row on a tie
            shared += int(likeness[following])
            order.append(following)
            left[following] = False
        best = max(best, (shared, order))
    order = best[1]
    return [rows[position] for position in order]


def _load(
    code: Code, context: Context, columns: range, registers: tuple[int, ...], takes_in: bool
) -> tuple[int, ...]:
    """A tile's inputs; returns the registers of weights that are lost."""
    if takes_in:
        return entry.load(code, context, registers[: len(columns)])
    shift = context.rows.x_low < 0 and not context.shifted
    code.load_address(26, f"{context.buffer} + {columns[0]}")
    if shift:
        code.op("ldi r16, 128")
    for register, _ in zip(registers, columns, strict=False):
        code.op(f"ld r{register}, X+")
        if shift:
            code.op(f"eor r{register}, r16")
    if columns[0] == 0:
        code.op(f"clr r{_ZERO}")
    return (16, 26, 27) if shift else (26, 27)


class _Tail:
    """The last columns: in registers that no requantization touches, not even the exact one."""

    def __init__(self, context: Context, rows: list[Row], columns: range, label: str) -> None:
        self.context, self.columns = context, columns
        self.label = f"{label}_tail"
        self.near = len(rows) <= _NEAR_ROWS
        self.routine = Code()
        self.routine.label(self.label)
        for x, w in list(zip(_TAIL, _TAIL_WEIGHTS, strict=True))[: len(columns)]:
            self.routine.op(f"mul r{x}, r{w}", f"add r{_LOADED[0]}, r0", f"adc r{_LOADED[1]}, r1")
            self.routine.op(f"adc r{_LOADED[2]}, r{_TAIL_ZERO}")
        self.routine.op("ret")

    def begin(self, code: Code) -> None:
        """Before the first row."""
        code.op(f"clr r{_TAIL_ZERO}")
        if self.near:
            code.op("rjmp 9f")
            code.repeat(self.routine, 0)
            code.label("9")
        else:
            self.context.routines[self.label] = self.routine

    def row(self, code: Code, row: Row) -> None:
        """A row's part, added to its sum."""
        if not self.columns:
            return
        for register, column in zip(_TAIL_WEIGHTS, self.columns, strict=False):
            code.op(f"ldi r{register}, {row.weights[column] + 128}")
        code.op(f"{'rcall' if self.near else 'call'} {self.label}")
        code.cycles += self.routine.cycles


class _Calls:
    """Calls of the shared code, a copy of which follows every so many tiles."""

    def __init__(self, label: str, offset: str | None, rows: int) -> None:
        self.label, self.offset = label, offset
        tile_bytes = (2 * TILE + 2) * rows + 6 * TILE
        self.tiles = _REACH // tile_bytes  # on either side of a copy
        self.copies: dict[tuple[int, int, bool], Code] = {}

    def call(self, code: Code, number: int, columns: int) -> None:
        """Call the nearest copy for so many columns, or for the first tile."""
        copy = number // (2 * self.tiles) if self.tiles else 0
        key = (copy, columns, number == 0)
        if key not in self.copies:
            self.copies[key] = self._routine(key)
        code.op(f"{'rcall' if self.tiles else 'call'} {self._name(key)}")
        code.cycles += self.copies[key].cycles

    def between(self, code: Code, number: int) -> None:
        """After a tile: the copy that half of the tiles before and after it call."""
        if self.tiles and number % (2 * self.tiles) == self.tiles - 1:
            copy = number // (2 * self.tiles)
            # The tiles that follow are whole; the last one may be shorter: its copy is at the end.
            self.copies.setdefault((copy, TILE, False), self._routine((copy, TILE, False)))
            self._write(code, [key for key in self.copies if key[0] == copy])

    def end(self, code: Code, context: Context) -> None:
        """After the last tile: the copies that are not written yet."""
        left = [key for key, routine in self.copies.items() if routine.lines]
        if self.tiles:
            self._write(code, left)
        else:
            context.routines.update({self._name(key): self.copies[key] for key in left})

    def _name(self, key: tuple[int, int, bool]) -> str:
        copy, columns, first = key
        return f"{self.label}_call_{copy}_{columns}{'_first' if first else ''}"

    def _routine(self, key: tuple[int, int, bool]) -> Code:
        return _routine(self._name(key), key[1], key[2], self.offset)

    def _write(self, code: Code, keys: list[tuple[int, int, bool]]) -> None:
        if not keys:
            return
        code.op("rjmp 9f")
        for key in sorted(keys):
            code.repeat(self.copies[key], 0)
            written = Code()
            written.cycles = self.copies[key].cycles
            self.copies[key] = written
        code.label("9")


def _routine(name: str, columns: int, first: bool, offset: str | None) -> Code:
    """Multiply-accumulates of a row's part in a tile; Y moves to the next row's sum.

    The first tile's sums begin with what is stored at `offset`, or with 0.
    """
    code = Code()
    code.label(name)
    if first and offset is None:
        code.op(*(f"clr r{register}" for register in _SUM))
    elif not first or offset is None:
        code.op(f"ld r{_SUM[0]}, Y", f"ldd r{_SUM[1]}, Y+1", f"ldd r{_SUM[2]}, Y+2")
    else:
        code.op(*(f"lds r{register}, {offset} + {byte}" for byte, register in enumerate(_SUM)))
    for x, w in list(zip(_X, _W, strict=True))[:columns]:
        code.op(f"mul r{x}, r{w}", f"add r{_SUM[0]}, r0", f"adc r{_SUM[1]}, r1")
        code.op(f"adc r{_SUM[2]}, r{_ZERO}")
    code.op(*(f"st Y+, r{register}" for register in _SUM), "ret")
    return code
