"""From a group's sums to its outputs, row by row, with the cycles of every path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from miniml.kernels.avr import exact, requantize
from miniml.kernels.avr.affine import Affine
from miniml.kernels.avr.code import Code
from miniml.kernels.avr.requantize import Paths, Target
from miniml.kernels.avr.rows import Row

SCRATCH_BYTES = 4  # a row that waits for the exact routine


@dataclass(frozen=True, eq=False)
class Sum:
    """A row's sum in registers: its accumulator is sum + delta modulo 2^(8 * registers)."""

    row: Row
    affine: Affine | None
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
    """Cycles of each row's paths, by index; rows that call the exact routine; which of both."""

    paths: dict[int, Paths]
    waiting: int
    wide: bool


def finish(
    code: Code,
    sums: Sequence[Sum],
    free: Sequence[int],
    layer: Layer,
    constants: Constants,
    label: str,
) -> Finished:
    """Write the outputs of `sums`; all registers are lost. `code.cycles` is not kept up.

    Args:
        code: grows.
        sums: rows of one group.
        free: upper registers besides those of the sums.
        layer: names of what the layer uses.
        constants: gets the records of the exact routine.
        label: of these records.
    """
    paths: dict[int, Paths] = {}
    left = [s for s in sums if s.affine is None and not s.row.is_constant]
    for position, one in enumerate(left):
        code.op(
            *(
                f"sts {layer.scratch} + {SCRATCH_BYTES * position + byte}, r{register}"
                for byte, register in enumerate(one.registers)
            )
        )
    work = [register for register in free if register >= 16]
    work += [r for one in left for r in one.registers if r >= 16]
    fast = [one for one in sums if one not in left]
    for one in sorted(fast, key=lambda one: -min(one.registers)):
        target = layer.target(one.row.index)
        code.comment(f"row {one.row.index}: {describe(one)}")
        if one.affine is None:
            paths[one.row.index] = requantize.constant(code, one.row, target, tuple(work))
        else:
            paths[one.row.index] = requantize.emit(
                code, one.row, one.affine, one.delta, one.registers, sorted(work), target
            )
        work += [register for register in one.registers if register >= 16]
    wide = bool(left) and len(left[0].registers) == 4
    if left:
        paths |= _exact(code, left, layer, constants, label, wide)
    return Finished(paths, len(left), wide)


def describe(one: Sum) -> str:
    """How a row is requantized, for a comment."""
    if one.affine is None:
        return "always the same output" if one.row.is_constant else "exact"
    return f"times {one.affine.multiplier} >> {one.affine.shift}"


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
