"""One layer: which rows go by which method, and their code in turn."""

from __future__ import annotations

from dataclasses import dataclass, replace

from miniml.kernels.cortex_m0plus.bounds import LayerBounds
from miniml.kernels.cortex_m0plus.cycles import RowPaths
from miniml.kernels.cortex_m0plus.exact import exact_call
from miniml.kernels.cortex_m0plus.inputs import Frame
from miniml.kernels.cortex_m0plus.outputs import Outputs
from miniml.kernels.cortex_m0plus.packed_sums import Packing, Place, plan_packing, write_packing
from miniml.kernels.cortex_m0plus.requantize import row_thresholds
from miniml.kernels.cortex_m0plus.row_method import PackedRow, packed_row
from miniml.kernels.cortex_m0plus.swar import SwarRoutines
from miniml.kernels.cortex_m0plus.swar_rows import SwarRow, swar_row, write_swar
from miniml.kernels.program import RowPlan
from miniml.model import DenseLayer

_CLEARED_AT_ONCE = 4  # words


@dataclass(frozen=True)
class LayerChoice:
    """A method for each row of a layer.

    Attributes:
        packing: rows by packed sums.
        fixed: rows that give one output whatever the input.
        swar: rows by SWAR.
        loop: rows by the exact portable loop.
        inline: packed sums are written out, not called.
    """

    packing: Packing | None
    fixed: tuple[PackedRow, ...]
    swar: tuple[SwarRow, ...]
    loop: tuple[int, ...]
    inline: bool = False

    @property
    def needs_exact(self) -> bool:
        """The exact routines are called."""
        return bool(self.loop) or any(row.fast is None for row in self.packed)

    @property
    def packed(self) -> list[PackedRow]:
        """Rows by packed sums."""
        return [] if self.packing is None else list(self.packing.rows.values())

    @property
    def fast_rows(self) -> list[PackedRow]:
        """Rows with a requantization of their own."""
        return self.packed + [item.row for item in self.swar]

    def plans(self, bounds: LayerBounds) -> tuple[RowPlan, ...]:
        """What was chosen, in the order of the rows."""
        found = {row: _loop_plan(bounds, row) for row in self.loop}
        for row in self.fixed:
            span = f"accumulator in [{row.low}, {row.high}]"
            found[row.row] = RowPlan("constant", "none", f"{span} gives {row.y_low} only")
        for row in self.packed:
            assert self.packing is not None
            found[row.row] = _packed_plan(self.packing, row)
        for item in self.swar:
            found[item.row.row] = _swar_plan(item)
        return tuple(found[row] for row in sorted(found))


def _loop_plan(bounds: LayerBounds, row: int) -> RowPlan:
    return RowPlan("loop", "exact", f"accumulator in [{bounds.low[row]}, {bounds.high[row]}]")


def _packed_plan(packing: Packing, row: PackedRow) -> RowPlan:
    bits = packing.keeping[row.row].bits
    rests = len(packing.keeping[row.row].rests)
    span = f"accumulator in [{row.low}, {row.high}]"
    span += f", {rests} products on their own," if rests else ""
    span += f" fits {bits} bits"
    method = f"packed sums, {len(packing.rows)} rows in {len(packing.words)} words"
    if row.fast is None:
        return RowPlan(method, "exact", span)
    return RowPlan(method, f"fast, {row.fast.form}", f"{span}; {row.fast.proof}")


def _swar_plan(item: SwarRow) -> RowPlan:
    assert item.row.fast is not None
    alone = f"; {len(item.rests)} products on their own" if item.rests else ""
    span = f"every window of four columns fits 16 bits{alone}"
    return RowPlan("SWAR", f"fast, {item.row.fast.form}", f"{span}; {item.row.fast.proof}")


def layer_rows(layer: DenseLayer, bounds: LayerBounds) -> list[PackedRow]:
    """All rows with their requantization."""
    thresholds = row_thresholds(layer, bounds)
    return [packed_row(layer, bounds, row, found) for row, found in enumerate(thresholds)]


def choose(
    layer: DenseLayer,
    bounds: LayerBounds,
    rows: list[PackedRow],
    packed: int,
    swar: int,
    inline: bool,
) -> LayerChoice:
    """The first rows by packed sums, the next by SWAR, the others by the loop.

    Args:
        layer: of the rows.
        bounds: of the layer.
        rows: of `layer_rows`.
        packed, swar: how many; rows that give one output only are not counted, and a row that
            SWAR can't serve goes to the loop.
        inline: packed sums are written out for each group of words: no call, more flash.
    """
    varying = [row for row in rows if not row.constant]
    candidates = [(row, swar_row(layer, bounds, row)) for row in varying[packed : packed + swar]]
    loop = [row.row for row, found in candidates if found is None]
    return LayerChoice(
        packing=plan_packing(layer, bounds, varying[:packed]) if varying[:packed] else None,
        fixed=tuple(row for row in rows if row.constant),
        swar=tuple(found for _, found in candidates if found is not None),
        loop=(*loop, *(row.row for row in varying[packed + swar :])),
        inline=inline,
    )


def write_rows(
    place: Place, choice: LayerChoice, frame: Frame, swar: SwarRoutines
) -> tuple[RowPaths, ...]:
    """All rows of the layer; the paths of those whose cycles depend on the data."""
    place = replace(place, cleared=_worth_clearing(place, choice), inline=choice.inline)
    if place.cleared:
        _clear_outputs(place)
    paths = () if choice.packing is None else tuple(write_packing(place, choice.packing))
    if choice.swar:
        paths += tuple(write_swar(place, frame, swar, list(choice.swar)))
    if choice.fixed:
        _write_fixed(place, choice.fixed)
    if choice.loop:
        assert place.exact is not None
        exact_call(
            place.code, place.data, frame, place.layer, place.bounds, list(choice.loop),
            place.outputs, place.table, place.exact,
        )  # fmt: skip
    return paths


def _worth_clearing(place: Place, choice: LayerChoice) -> bool:
    """Rows that are often 0 leave early if their byte is 0 already."""
    zero = Outputs(place.code, place.outputs, place.table, place.layer.table, 0).final
    return any(
        row.fast is not None and row.fast.form == "above" and zero(row.fast.y_low) == 0
        for row in choice.fast_rows
    )


def _clear_outputs(place: Place) -> None:
    code = place.code
    words = (place.layer.n_outputs + 3) // 4
    place.data.words([place.outputs])
    code.op("ldm r0!, {r1}", "clear the outputs: rows at 0 leave early")
    for number in range(min(words, _CLEARED_AT_ONCE)):
        code.op(f"movs r{number + 2}, #0")
    while words:
        count = min(words, _CLEARED_AT_ONCE)
        code.op("stm r1!, {" + ", ".join(f"r{n + 2}" for n in range(count)) + "}")
        words -= count


def _write_fixed(place: Place, rows: tuple[PackedRow, ...]) -> None:
    outputs = Outputs(place.code, place.outputs, place.table, place.layer.table, rows[0].row)
    for row in rows:
        value = outputs.final(row.y_low)
        if place.cleared and value == 0:
            continue
        offset = outputs.begin_row(row.row)
        place.code.op(f"movs r4, #{value}", f"row {row.row}: always")
        place.code.op(f"strb r4, [r7, #{offset}]")
    outputs.finish(place.data)
