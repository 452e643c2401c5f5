"""Packed sums: rows of a group from the call of the sums to their outputs."""

from __future__ import annotations

from dataclasses import dataclass, field

from miniml.kernels.cortex_m0plus.bounds import LayerBounds
from miniml.kernels.cortex_m0plus.cycles import RowPaths
from miniml.kernels.cortex_m0plus.emit import Code
from miniml.kernels.cortex_m0plus.exact import ExactCycles, exact_row_constants
from miniml.kernels.cortex_m0plus.inputs import FIRST_FREE_SLOT
from miniml.kernels.cortex_m0plus.packing import WORD_BITS, Field, Word, lay_out, pack
from miniml.kernels.cortex_m0plus.row_code import Outputs, RowCode
from miniml.kernels.cortex_m0plus.row_method import Keeping, PackedRow
from miniml.kernels.cortex_m0plus.sums import SUMS, SumRoutines, column_words, packed_words
from miniml.model import DenseLayer

SCRATCH_WORDS = 6  # of a frame: what mixed words and exact rows keep


@dataclass
class Group:
    """Rows that are summed in one pass."""

    words: list[Word]
    rows: dict[int, PackedRow]
    keeping: dict[int, Keeping]
    paths: list[RowPaths] = field(default_factory=list)


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
    exact: ExactCycles | None


def plan_groups(rows: list[PackedRow]) -> list[Group]:
    """Rows of a layer that give more than one output, in as few words as were found."""
    bits = [row.least_bits for row in rows]
    groups = []
    for count, chosen in pack(bits):
        spare = WORD_BITS * count - sum(bits[index] for index in chosen)
        keeping = {}
        for index in chosen:
            row = rows[index]
            more = 0 if row.split_bits is None else row.split_bits - row.least_bits
            split = row.split_bits is not None and more <= spare
            spare -= more if split else 0
            keeping[row.row] = row.keeping(split)
        words = lay_out([(row, kept.bits) for row, kept in keeping.items()], count)
        members = {rows[index].row: rows[index] for index in chosen}
        groups.append(Group(words, members, keeping))
    return groups


def scratch_words(group: Group) -> int:
    """Words of the frame that the group keeps something in."""
    exact = sum(row.fast is None for row in group.rows.values())
    mixed = max((n + 1 for n, word in enumerate(group.words) if word.mixed), default=0)
    return SCRATCH_WORDS + exact if exact else mixed


def write_group(place: Place, group: Group) -> None:
    """The whole group; R0 is and stays the stream."""
    code, data = place.code, place.data
    count, columns = len(group.words), place.layer.n_inputs
    offset = place.bounds.x_offset
    first = {}
    for row, keeping in group.keeping.items():
        total = int(place.layer.weights[row].astype(int).sum())
        first[row] = int(place.layer.bias[row]) - offset * total + keeping.offset
    listed = ", ".join(map(str, sorted(group.rows)))
    data.words(
        [*packed_words(group.words, first), f"{place.sums.entry(count, columns)} + 1"],
        f"rows {listed}: first sums, entry",
    )
    data.words(list(column_words(group.words, place.layer.weights)), "a line a few columns")
    code.note(f"rows {listed}: packed sums in {count} words")
    code.op(f"bl .Lsums_{count}")
    code.cycles += place.sums.cycles(count, columns) - 3
    _Decoder(place, group).write()


class _Decoder:
    """Takes the rows out of the sums: R1: a word, R2: low bits of the incoming row."""

    def __init__(self, place: Place, group: Group) -> None:
        self.place, self.group, self.code = place, group, place.code
        self.outputs = Outputs(place.code, place.outputs, place.table, place.layer.table)
        self.exact_rows: list[int] = []

    def write(self) -> None:
        words = self.group.words
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
                self.code.op(f"str r2, [sp, #{FIRST_FREE_SLOT + 4 * number}]")
            if word.outgoing is not None:
                self._low_bits(word.outgoing)
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
        word = self.group.words[number]
        assert word.incoming is not None
        assert word.outgoing is not None
        self.code.op(f"mov r3, {SUMS[number + 1]}", f"word {number}, mixed")
        self.code.op(f"mov r1, {SUMS[number]}")
        self._take_off("r3", word.outgoing.shift)
        self.code.op(f"ldr r2, [sp, #{FIRST_FREE_SLOT + 4 * number}]")
        self._row(word.incoming, number)

    def _row(self, item: Field, number: int) -> None:
        row = self.group.rows[item.row]
        keep_in = None
        if item.straddles and self.group.words[item.word].mixed:
            keep_in = SUMS[number]  # its word is in R1: the register is free
        code = RowCode(self.code, self.outputs, row, self.group.keeping[item.row], item)
        if row.fast is None:
            slot = FIRST_FREE_SLOT + 4 * (SCRATCH_WORDS + len(self.exact_rows))
            self.exact_rows.append(item.row)
            code.write_exact(keep_in, slot)
        else:
            self.group.paths.append(code.write(keep_in, self.place.cleared))

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
