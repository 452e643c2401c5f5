"""From a group's sums to its outputs, row by row, with the cycles of every path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from miniml.kernels.avr import cells, exact, requantize
from miniml.kernels.avr.affine import Affine
from miniml.kernels.avr.cells import Cells
from miniml.kernels.avr.code import Code
from miniml.kernels.avr.requantize import Paths, Shared, Target
from miniml.kernels.avr.rows import Row

SCRATCH_BYTES = 4  # a row that waits for the exact routine


@dataclass(frozen=True, eq=False)
class Sum:
    """A row's sum in registers: its accumulator is sum + delta modulo 2^(8 * registers).

    Attributes:
        row: whose.
        affine: how it may be multiplied; None: it can't.
        table: whether it may have a table of cells.
        registers: low to high; three, or four where 24 bits don't do (then only exactly).
        delta: see above; the sum itself, not modulo anything, is accumulator - delta.
    """

    row: Row
    affine: Affine | None
    table: bool
    registers: tuple[int, ...]
    delta: int


@dataclass
class Constants:
    """Bytes in flash, by label."""

    content: dict[str, list[int]] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """All of them."""
        return sum(map(len, self.content.values()))


@dataclass(frozen=True)
class Layer:
    """Names of what a layer's code uses: outputs, table, scratch and the exact routine."""

    out: str
    table: str | None
    scratch: str
    exact: str
    exact_wide: str

    def target(self, row: int) -> Target:
        """Where a row's output goes."""
        return Target(f"{self.out} + {row}", self.table)


@dataclass(frozen=True, eq=False)
class Finished:
    """How each row was requantized and its paths, by index; rows that call the exact routine."""

    how: dict[int, str]
    paths: dict[int, Paths]
    waiting: int
    wide: bool

    def joined(self, other: Finished) -> Finished:
        """Of both groups, one after the other."""
        return Finished(
            self.how | other.how,
            self.paths | other.paths,
            max(self.waiting, other.waiting),
            self.wide or other.wide,
        )


def finish(
    code: Code,
    sums: Sequence[Sum],
    free: Sequence[int],
    layer: Layer,
    constants: Constants,
    label: str,
    shared: Shared | None,
) -> Finished:
    """Write the outputs of `sums`; all registers are lost. `code.cycles` is not kept up.

    Args:
        code: grows.
        sums: rows of one group.
        free: upper registers besides those of the sums.
        layer: names of what the layer uses.
        constants: get the tables, and the records of the exact routine.
        label: prefix of the names of both.
        shared: where multiplications are shared; None: each row has its own.
    """
    made = {one.row.index: cells.make(one.row, one.delta) for one in sums if one.table}
    cells_of = {index: table for index, table in made.items() if table is not None}
    how = {one.row.index: _how(one, cells_of) for one in sums}
    left = [one for one in sums if how[one.row.index] == "exact"]
    for position, one in enumerate(left):
        waits = f"{layer.scratch} + {SCRATCH_BYTES * position}"
        code.op(*(f"sts {waits} + {byte}, r{r}" for byte, r in enumerate(one.registers)))
    work = {register for register in free if register >= 16}
    work |= {r for one in left for r in one.registers if r >= 16}
    paths: dict[int, Paths] = {}
    # Those in r30 and r31 first, as tables need them; then those that needn't be moved.
    for one in sorted(sums, key=lambda one: (max(one.registers) < 30, -min(one.registers))):
        index, row = one.row.index, one.row
        if one in left:
            continue
        target = layer.target(index)
        code.comment(f"row {index}: {how[index]}")
        if how[index] == "constant":
            paths[index] = requantize.constant(code, row, target, tuple(work))
        elif how[index] == "table":
            stored = f"{label}_cells_{index}"
            constants.content[stored] = list(cells_of[index].content)
            paths[index] = cells.emit(
                code, row, cells_of[index], one.delta, one.registers, sorted(work), stored, target
            )
        else:
            assert one.affine is not None
            paths[index] = requantize.emit(
                code,
                row,
                one.affine,
                one.delta,
                one.registers,
                sorted(work),
                target,
                shared,
            )
        work |= {register for register in one.registers if register >= 16}
    wide = bool(left) and len(left[0].registers) == 4
    if left:
        paths |= _exact(code, left, layer, constants, f"{label}_records", wide)
    return Finished(how, paths, len(left), wide)


def _how(one: Sum, tables: Mapping[int, Cells]) -> str:
    if one.row.is_constant:
        return "constant"
    if one.row.index in tables:
        return "table"
    return "exact" if one.affine is None else "multiply"


def _exact(
    code: Code, left: list[Sum], layer: Layer, constants: Constants, label: str, wide: bool
) -> dict[int, Paths]:
    constants.content[label] = [byte for one in left for byte in exact.record(one.row, one.delta)]
    routine = layer.exact_wide if wide else layer.exact
    cycles_of_routine = exact.routine("", wide).cycles
    code.comment("the rows left: the exact routine")
    code.load_address(26, layer.scratch)
    code.load_address(30, label)
    paths = {}
    for one in left:
        before = code.cycles
        code.comment(f"row {one.row.index}: exact")
        if layer.table is not None and one is not left[0]:
            code.op("movw r30, r28")
        code.op(f"call {routine}")
        row, result = one.row, exact.RESULT
        if row.minimum > -127:
            code.op(f"cpi r{result}, {row.minimum & 255}", "brge .+2")
            code.op(f"ldi r{result}, {row.minimum & 255}")
        if row.maximum < 127:
            code.op(f"cpi r{result}, {row.maximum + 1 & 255}", "brlt .+2")
            code.op(f"ldi r{result}, {row.maximum & 255}")
        if layer.table is not None and one is not left[-1]:
            code.op("movw r28, r30")
        requantize.store(code, result, layer.target(row.index))
        spent = code.cycles - before + cycles_of_routine + exact.shift_cycles(row)
        # Its sum had to be stored; the addresses of the records and of the sums, once.
        spent += 2 * len(one.registers) + (4 if one is left[0] else 0)
        paths[row.index] = Paths((row.low,), (spent,))
    return paths
