"""Packed sums: rows of a group from the call of the sums to their outputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miniml.kernels.cortex_m0plus.bounds import LayerBounds
from miniml.kernels.cortex_m0plus.cycles import RowPaths
from miniml.kernels.cortex_m0plus.emit import Code
from miniml.kernels.cortex_m0plus.exact import ExactCycles, exact_row_constants
from miniml.kernels.cortex_m0plus.inputs import FIRST_FREE_SLOT
from miniml.kernels.cortex_m0plus.outputs import Outputs
from miniml.kernels.cortex_m0plus.packing import WORD_BITS, Field, Word, best_layout, rows_in
from miniml.kernels.cortex_m0plus.rests import REST_CYCLES
from miniml.kernels.cortex_m0plus.row_code import RowCode
from miniml.kernels.cortex_m0plus.row_method import Keeping, PackedRow, narrowed
from miniml.kernels.cortex_m0plus.sums import SUMS, SumRoutines, column_words, packed_words
from miniml.model import DenseLayer

# Of the frame: low bits for the next pass, then those of mixed words, then exact rows.
SCRATCH_WORDS = 1 + len(SUMS)


@dataclass
class Packing:
    """All packed rows of a layer.

    Attributes:
        words: that hold them, one after the other.
        sizes: of the groups of words that are summed in one pass.
        rows, keeping: by row of the layer.
    """

    words: list[Word]
    sizes: list[int]
    rows: dict[int, PackedRow]
    keeping: dict[int, Keeping]

    @property
    def groups(self) -> list[list[Word]]:
        """The words of each pass."""
        ends = [sum(self.sizes[: n + 1]) for n in range(len(self.sizes))]
        return [self.words[end - size : end] for end, size in zip(ends, self.sizes, strict=True)]

    @property
    def scratch_words(self) -> int:
        """Words of the frame in which something is kept."""
        return max((self._scratch(group) for group in self.groups), default=0)

    def _scratch(self, group: list[Word]) -> int:
        exact = sum(self.rows[row].fast is None for row in rows_in(group))
        kept = [n + 2 for n, word in enumerate(group) if word.mixed]
        if group[-1].outgoing is not None:
            kept.append(1)
        return SCRATCH_WORDS + exact if exact else max(kept, default=0)


@dataclass
class Place:
    """Where a group is written: code, its stream, and what they need of the layer."""

    code: Code
    data: Code
    sums: SumRoutines
    layer: DenseLayer
    bounds: LayerBounds
    outputs: str
    table: str | None
    cleared: bool
    inline: bool
    exact: ExactCycles | None


def plan_packing(layer: DenseLayer, bounds: LayerBounds, rows: list[PackedRow]) -> Packing:
    """Rows that give more than one output, in as few words as are worth it."""
    fewer = _narrowed_rows(layer, bounds, rows)
    needed = sum(row.least_bits for row in rows) - len(fewer)
    count = -(-needed // WORD_BITS)
    spare = WORD_BITS * count - needed
    keeping = {}
    for row in rows:
        if row.row in fewer:
            keeping[row.row] = fewer[row.row]
            continue
        more = 0 if row.split_bits is None else row.split_bits - row.least_bits
        split = row.split_bits is not None and more <= spare
        spare -= more if split else 0
        keeping[row.row] = row.keeping(split)
    words, sizes = best_layout([(row, kept.bits) for row, kept in keeping.items()], count)
    return Packing(words, sizes, {row.row: row for row in rows}, keeping)


def _narrowed_rows(
    layer: DenseLayer, bounds: LayerBounds, rows: list[PackedRow]
) -> dict[int, Keeping]:
    """Rows that are to take a bit less, if that saves a word that costs more than their rests."""
    total = sum(row.least_bits for row in rows)
    found = [(row.row, narrowed(layer, bounds, row)) for row in rows]
    known = [(row, kept) for row, kept in found if kept is not None]
    known.sort(key=lambda item: len(item[1].rests))
    wanted = (total - 1) % WORD_BITS + 1  # bits in the last word
    chosen = known[:wanted]
    cost = sum(REST_CYCLES * len(kept.rests) + _NARROWED for _, kept in chosen)
    if len(chosen) < wanted or total <= WORD_BITS or cost >= _WORD_CYCLES * layer.n_inputs:
        return {}
    return dict(chosen)


_NARROWED = 4  # cycles of a row with rests more than of one whose upper bit tells
_WORD_CYCLES = 3  # of a word in each column


def write_packing(place: Place, packing: Packing) -> list[RowPaths]:
    """All groups; R0 is and stays the stream."""
    offset, layer = place.bounds.x_offset, place.layer
    first, weights = {}, layer.weights.astype(np.int64)
    for row, keeping in packing.keeping.items():
        weights[row] = keeping.weights(layer, row)
        total = int(weights[row].sum())
        first[row] = int(layer.bias[row]) - offset * total + keeping.offset
    paths = []
    for words in packing.groups:
        count, columns = len(words), layer.n_inputs
        rows = rows_in(words)
        listed = ", ".join(map(str, rows)) or "none"
        firsts: list[int | str] = list(packed_words(words, first))
        if not place.inline:
            firsts.append(f"{place.sums.entry(count, columns)} + 1")
        place.data.words(firsts, f"rows {listed}: first sums" + ", entry" * (not place.inline))
        place.data.words(list(column_words(words, weights)), "columns")
        place.code.note(f"rows {listed}: packed sums in {count} words")
        if place.inline:
            place.sums.write_inline(place.code, count, columns)
        else:
            place.code.op(f"bl .Lsums_{count}")
            place.code.cycles += place.sums.cycles(count, columns) - 3
        decoder = _Decoder(place, packing, words)
        decoder.write()
        paths += decoder.paths
    return paths


class _Decoder:
    """Takes the rows out of the sums: R1: a word, R2: low bits of the incoming row."""

    def __init__(self, place: Place, packing: Packing, words: list[Word]) -> None:
        self.place, self.packing, self.code = place, packing, place.code
        self.words = words
        self.paths: list[RowPaths] = []
        lowest = min(rows_in(words), default=0)
        self.outputs = Outputs(place.code, place.outputs, place.table, place.layer.table, lowest)
        self.exact_rows: list[int] = []

    def write(self) -> None:
        words = self.words
        if words[0].incoming is not None:
            self.code.op(f"ldr r2, [sp, #{FIRST_FREE_SLOT}]", "low bits from the pass before")
        for number, word in enumerate(words):
            self.code.op(f"mov r1, {SUMS[number]}", f"word {number}")
            if word.incoming is not None:
                self._take_off("r2", word.incoming.next_shift)
            for item in word.full:
                self._row(item, number)
            if word.incoming is not None and not word.mixed:
                self._row(word.incoming, number)
            if word.mixed:
                self.code.op(f"mov {SUMS[number]}, r1")
                self.code.op(f"str r2, [sp, #{FIRST_FREE_SLOT + 4 + 4 * number}]")
            if word.outgoing is not None:
                self._low_bits(word.outgoing)
        if words[-1].outgoing is not None:
            self.code.op(f"str r2, [sp, #{FIRST_FREE_SLOT}]", "for the next pass")
        for number in reversed(range(len(words))):
            if words[number].mixed:
                self._resolve(number)
        self.outputs.finish(self.place.data)
        self._finish_exact()

    def _take_off(self, register: str, shift: int) -> None:
        if shift:
            self.code.op(f"lsls r3, {register}, #{shift}")
            register = "r3"
        self.code.op(f"subs r1, r1, {register}")

    def _low_bits(self, item: Field) -> None:
        above = WORD_BITS - item.shift - item.low_bits
        if above:
            self.code.op(f"lsls r2, r1, #{above}")
        source = "r2" if above else "r1"
        self.code.op(f"lsrs r2, {source}, #{WORD_BITS - item.low_bits}")

    def _resolve(self, number: int) -> None:
        word = self.words[number]
        assert word.incoming is not None
        assert word.outgoing is not None
        self.code.op(f"mov r3, {SUMS[number + 1]}", f"word {number}, mixed")
        self.code.op(f"mov r1, {SUMS[number]}")
        self._take_off("r3", word.outgoing.shift)
        self.code.op(f"ldr r2, [sp, #{FIRST_FREE_SLOT + 4 + 4 * number}]")
        self._row(word.incoming, number)

    def _row(self, item: Field, number: int) -> None:
        row = self.packing.rows[item.row]
        keep_in = None
        if item is self.words[number].incoming and number and self.words[number - 1].mixed:
            keep_in = SUMS[number]  # its word is in R1: the register is free
        code = RowCode(self.code, self.outputs, row)
        if row.fast is None:
            slot = FIRST_FREE_SLOT + 4 * (SCRATCH_WORDS + len(self.exact_rows))
            self.exact_rows.append(item.row)
            code.write_exact(item, keep_in, slot)
        else:
            keeping = self.packing.keeping[item.row]
            inputs = self.place.sums.frame.inputs_at(self.place.layer.n_inputs)
            self.paths.append(
                code.write_packed(
                    keeping, item, keep_in, self.place.cleared, (inputs, self.place.bounds.x_offset)
                )
            )

    def _finish_exact(self) -> None:
        code, layer = self.code, self.place.layer
        if not self.exact_rows:
            return
        exact = self.place.exact
        assert exact is not None
        for number, row in enumerate(self.exact_rows):
            _, multiplier, packed = exact_row_constants(layer, self.place.bounds, row)
            self.place.data.words(
                [layer.activation_min, layer.activation_max, multiplier, packed],
                f"row {row}: exact",
            )
            self.place.data.words([self.place.outputs, self.place.table or 0])
            slot = FIRST_FREE_SLOT + 4 * (SCRATCH_WORDS + number)
            code.op("ldm r0!, {r3-r6}")
            code.ops("mov r11, r3", "mov r12, r4", f"ldr r4, [sp, #{slot}]")
            code.op("bl .Lexact_requantize")
            code.cycles += exact.requantize
            code.cycles += exact.no_shift * (layer.shifts[row] >= 0)
            code.op("ldm r0!, {r1, r2}")
            if self.place.table is not None:
                code.ops("adds r4, #128", "ldrb r4, [r2, r4]")
            code.ops("lsrs r6, r6, #16", "strb r4, [r1, r6]")
