"""The densest straight line: twelve LDI and a call, for all rows of a tile one after the other.

Twelve inputs lie in registers for all rows, whose sums lie in SRAM. Weights are w + 128 and inputs
x + 128 where they may be negative, as in `loop`, so any weights do: the sums begin with
-128 * sum(x'). The shared code lies between the tiles, in reach of RCALL from both sides.
"""

from __future__ import annotations

from miniml.kernels.avr.code import Code
from miniml.kernels.avr.finish import Finished, Sum, finish
from miniml.kernels.avr.group import Context, Group
from miniml.kernels.avr.loop import delta
from miniml.kernels.avr.requantize import Paths, Shared
from miniml.kernels.avr.rows import LayerRows, Row

TILE = 12
_X = tuple(range(2, 14))
_W = tuple(range(16, 28))
_SUM, _ZERO = (14, 15, 30), 31
_LOADED = (16, 17, 18)  # a sum, before it is requantized
_REACH = 3600  # bytes, of 4094, with room for the shared code itself


def serves(row: Row) -> bool:
    """Whether a row meets the precondition: 24 bits of sum."""
    return -(1 << 22) <= row.low <= row.high < 1 << 22


def build(context: Context, indices: tuple[int, ...], label: str) -> Group:
    """Code for any number of rows."""
    layer = context.rows
    rows = [layer.rows[index] for index in indices]
    sums = f"{context.name}_sums"
    code = Code()
    _start(code, context, len(rows), sums)
    calls = _Calls(label, len(rows))
    for number, first in enumerate(range(0, layer.layer.n_inputs, TILE)):
        columns = range(first, min(first + TILE, layer.layer.n_inputs))
        _load(code, layer, context.buffer, columns)
        code.load_address(28, sums)
        for row in rows:
            code.op(
                *(f"ldi r{r}, {row.weights[c] + 128}" for r, c in zip(_W, columns, strict=False))
            )
            calls.call(code, number, len(columns))
        calls.between(code, number)
    calls.end(code, context)
    how: dict[int, str] = {}
    paths: dict[int, Paths] = {}
    waiting = 0
    cycles = code.cycles
    shared = Shared(f"{context.name}_times", context.routines) if context.short else None
    free = [register for register in range(16, 32) if register not in _LOADED]
    for position, row in enumerate(rows):
        places = (f"{sums} + {3 * position + byte}" for byte in range(3))
        code.op(*(f"lds r{r}, {place}" for r, place in zip(_LOADED, places, strict=True)))
        cycles += 2 * len(_LOADED)
        one = Sum(
            row,
            context.affines[row.index],
            row.index in context.tables,
            _LOADED,
            delta(row, layer.x_low),
        )
        own = f"{label}_{row.index}"
        last = Code()
        found = finish(last, [one], free, context.names, context.constants, own, shared)
        code.repeat(last, 0)
        how |= found.how
        paths |= found.paths
        waiting = max(waiting, found.waiting)
    proofs = tuple(f"{row.low} <= accumulator <= {row.high} fits 24 bits" for row in rows)
    return Group(code, cycles, Finished(how, paths, waiting, False), "tall", indices, proofs)


def _start(code: Code, context: Context, rows: int, sums: str) -> None:
    """All sums begin with -128 * sum(x')."""
    code.load_address(28, sums)
    code.op(*(f"lds r{16 + byte}, {context.offset} + {byte}" for byte in range(3)))
    body = Code()
    body.op("st Y+, r16", "st Y+, r17", "st Y+, r18")
    # At most 85 rows, so that the address's lower byte alone tells the end.
    for first in range(0, rows, 80):
        last = min(rows, first + 80)
        code.loop(body, last - first, (f"cpi r28, lo8({sums} + {3 * last})",))


def _load(code: Code, layer: LayerRows, buffer: str, columns: range) -> None:
    code.load_address(26, f"{buffer} + {columns[0]}")
    if layer.x_low < 0:
        code.op("ldi r16, 128")
    for register, _ in zip(_X, columns, strict=False):
        code.op(f"ld r{register}, X+")
        if layer.x_low < 0:
            code.op(f"eor r{register}, r16")
    code.op(f"clr r{_ZERO}")


class _Calls:
    """Calls of the shared code, a copy of which follows every so many tiles."""

    def __init__(self, label: str, rows: int) -> None:
        self.label = label
        tile_bytes = (2 * TILE + 2) * rows + 6 * TILE
        self.tiles = _REACH // tile_bytes  # on either side of a copy
        self.copies: dict[tuple[int, int], Code] = {}

    def call(self, code: Code, number: int, columns: int) -> None:
        """Call the nearest copy for so many columns."""
        copy = number // (2 * self.tiles) if self.tiles else 0
        name = f"{self.label}_call_{copy}_{columns}"
        routine = self.copies.setdefault((copy, columns), _routine(name, columns))
        code.op(f"{'rcall' if self.tiles else 'call'} {name}")
        code.cycles += routine.cycles

    def between(self, code: Code, number: int) -> None:
        """After a tile: the copy that half of the tiles before and after it call."""
        if self.tiles and number % (2 * self.tiles) == self.tiles - 1:
            # The tiles that follow may need other lengths: the last one's copy is at the end.
            self._write(code, number // (2 * self.tiles), TILE)

    def end(self, code: Code, context: Context) -> None:
        """After the last tile: the copies that are not written yet."""
        for (copy, columns), routine in sorted(self.copies.items()):
            if routine.lines:
                if self.tiles:
                    self._write(code, copy, columns)
                else:
                    context.routines[f"{self.label}_call_{copy}_{columns}"] = routine

    def _write(self, code: Code, copy: int, columns: int) -> None:
        name = f"{self.label}_call_{copy}_{columns}"
        code.op("rjmp 1f")
        code.repeat(_routine(name, columns), 0)
        code.label("1")
        done = Code()
        done.cycles = _routine(name, columns).cycles
        self.copies[copy, columns] = done


def _routine(name: str, columns: int) -> Code:
    """Multiply-accumulates of a row's part in a tile; Y moves to the next row's sum."""
    code = Code()
    code.label(name)
    code.op(f"ld r{_SUM[0]}, Y", f"ldd r{_SUM[1]}, Y+1", f"ldd r{_SUM[2]}, Y+2")
    for x, w in list(zip(_X, _W, strict=True))[:columns]:
        code.op(f"mul r{x}, r{w}", f"add r{_SUM[0]}, r0", f"adc r{_SUM[1]}, r1")
        code.op(f"adc r{_SUM[2]}, r{_ZERO}")
    code.op(*(f"st Y+, r{register}" for register in _SUM), "ret")
    return code
