"""Rows by SWAR: operands once a layer, then passes of up to six rows, each to its output."""

from __future__ import annotations

from dataclasses import dataclass

from miniml.kernels.cortex_m0plus.bounds import LayerBounds
from miniml.kernels.cortex_m0plus.cycles import RowPaths
from miniml.kernels.cortex_m0plus.inputs import Frame
from miniml.kernels.cortex_m0plus.outputs import Outputs
from miniml.kernels.cortex_m0plus.packed_sums import Place
from miniml.kernels.cortex_m0plus.rests import REST_BYTES, Rest, add_rests
from miniml.kernels.cortex_m0plus.row_code import RowCode
from miniml.kernels.cortex_m0plus.row_method import PackedRow
from miniml.kernels.cortex_m0plus.sums import SUMS
from miniml.kernels.cortex_m0plus.swar import (
    ROWS,
    SwarRoutines,
    area_bytes,
    fit_row,
    release,
    window_words,
)
from miniml.model import DenseLayer


@dataclass(frozen=True)
class SwarRow:
    """A row whose windows fit 16 bits, and what it adds on its own."""

    row: PackedRow
    weights: list[int]
    rests: list[Rest]


def swar_row(layer: DenseLayer, bounds: LayerBounds, row: PackedRow) -> SwarRow | None:
    """None: the row needs the exact requantization, or more than 31 bits."""
    if row.fast is None or row.high - row.low >= 1 << 31:
        return None
    return SwarRow(row, *fit_row(layer, bounds, row.row))


def write_swar(
    place: Place, frame: Frame, routines: SwarRoutines, rows: list[SwarRow]
) -> list[RowPaths]:
    """All rows given; R0 is and stays the stream."""
    columns, offset = place.layer.n_inputs, place.bounds.x_offset
    routines.prepare(place.code, columns, offset, frame.inputs_at(columns))
    passes = -(-len(rows) // ROWS)
    paths = []
    for number in range(passes):
        part = rows[number * len(rows) // passes : (number + 1) * len(rows) // passes]
        paths += _write_pass(place, frame, routines, part)
    release(place.code, columns)
    return paths


def _write_pass(
    place: Place, frame: Frame, routines: SwarRoutines, rows: list[SwarRow]
) -> list[RowPaths]:
    code, layer = place.code, place.layer
    offset, columns = place.bounds.x_offset, layer.n_inputs
    listed = ", ".join(str(item.row.row) for item in rows)
    code.note(f"rows {listed}: SWAR")
    entry = routines.call(code, len(rows), columns)
    first: list[int | str] = [_first(layer, item, offset) for item in rows]
    place.data.words([*first, f"{entry} + 1"], f"rows {listed}: first sums, entry")
    place.data.words(list(window_words([item.weights for item in rows])), "windows")
    inputs = area_bytes(columns) + frame.inputs_at(columns)
    outputs = Outputs(code, place.outputs, place.table, layer.table, rows[0].row.row)
    paths = []
    for number, item in enumerate(rows):
        outputs.before(REST_BYTES * len(item.rests))
        add_rests(code, item.rests, inputs, SUMS[number], "r3")
        paths.append(RowCode(code, outputs, item.row).write_plain(SUMS[number], place.cleared))
    outputs.finish(place.data)
    return paths


def _first(layer: DenseLayer, item: SwarRow, offset: int) -> int:
    assert item.row.fast is not None
    # The rests meet inputs with their offset.
    extra = offset * sum(rest.weight for rest in item.rests)
    return int(layer.bias[item.row.row]) - item.row.fast.first - extra
