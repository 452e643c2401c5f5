"""The instructions that turn one packed row into its output byte.

R0: constants, R1: the word, R2: the row's low bits if it straddles, R7: outputs. R3 becomes u, R4
the output, R6 the sign of a "magnitude" row; R5 is free.
"""

from __future__ import annotations

from collections.abc import Callable

from miniml.kernels.cortex_m0plus.cycles import RowPaths
from miniml.kernels.cortex_m0plus.emit import Code
from miniml.kernels.cortex_m0plus.outputs import ROW_BYTES, STUB_CYCLES, Outputs
from miniml.kernels.cortex_m0plus.packing import WORD_BITS, Field
from miniml.kernels.cortex_m0plus.rests import REST_BYTES, add_rests
from miniml.kernels.cortex_m0plus.row_method import Keeping, PackedRow


class RowCode:
    """One row of a group."""

    def __init__(self, code: Code, outputs: Outputs, row: PackedRow) -> None:
        """Nothing is written yet."""
        self.code, self.outputs, self.row = code, outputs, row
        self.low_end = 0  # cycles up to where a row below its first threshold leaves

    def write_packed(
        self,
        keeping: Keeping,
        item: Field,
        keep_in: str | None,
        cleared: bool,
        inputs: tuple[int, int],
    ) -> RowPaths:
        """The row from packed sums by its fast requantization.

        Args:
            keeping: how v is kept.
            item: where.
            keep_in: a register that is to get v.
            cleared: the output is 0 already.
            inputs: where the layer's inputs are from SP, and the offset that they have.
        """
        self.keeping, self.item, self.inputs = keeping, item, inputs
        self.outputs.before(ROW_BYTES + REST_BYTES * len(keeping.rests))
        note = f"row {self.row.row}: {item.bits} bits"
        return self._write(lambda low_label: self._value(keep_in, low_label), note, cleared)

    def write_plain(self, register: str, cleared: bool) -> RowPaths:
        """The same from a register that holds the accumulator less the first threshold."""

        def value(low_label: str) -> None:
            self.code.op(f"mov r3, {register}")
            self._signed(low_label)

        return self._write(value, f"row {self.row.row}", cleared)

    def _write(self, value: Callable[[str], None], note: str, cleared: bool) -> RowPaths:
        fast = self.row.fast
        assert fast is not None
        code = self.code
        offset = self.outputs.begin_row(self.row.row)
        code.note(note)
        store, after = code.new_label("store"), code.new_label("next")
        y_low = self.outputs.final(fast.y_low)
        skipped = cleared and y_low == 0
        low_label = after
        if fast.form == "above" and not skipped:
            low_label = self.outputs.stub(y_low, store)
        before = code.cycles
        value(low_label)
        cut_end = sign_end = top_end = 0
        sign = code.new_label("sign")
        if fast.form == "above":
            target, saturated = store, self.outputs.final(fast.y_low + fast.steps)
        else:
            target, saturated = sign, fast.steps
        if fast.cut is not None:
            code.op(f"lsrs r4, r3, #{fast.cut}")
            code.op(f"bne {self.outputs.stub(saturated, target)}")
            cut_end = code.cycles - before
        self._multiply()
        if fast.top == "sign":
            code.op(f"bmi {self.outputs.stub(saturated, target)}")
            top_end = code.cycles - before
        code.op(f"lsrs r4, r4, #{fast.shift}")
        if fast.top == "compare":
            code.op(f"cmp r4, #{fast.steps}")
            code.op(f"bhi {self.outputs.stub(saturated, target)}")
            top_end = code.cycles - before
        if fast.form == "magnitude":
            sign_end = code.cycles - before
            code.label(sign)
            code.ops("eors r4, r6", "subs r4, r4, r6")
        self._look_up()
        if fast.form == "above":
            sign_end = code.cycles - before
        code.label(store)
        code.op(f"strb r4, [r7, #{offset}]")
        normal = code.cycles - before
        code.label(after)
        code.cycles = before  # all of it depends on the data
        rest = 1 + STUB_CYCLES + normal - sign_end
        costs = {"normal": normal, "cut": cut_end + rest, "top": top_end + rest}
        costs["low"] = self.low_end - before + (1 if skipped else rest)
        return _paths(self.row, costs)

    def _signed(self, low_label: str) -> None:
        fast, code = self.row.fast, self.code
        assert fast is not None
        if fast.form == "above":
            code.ops("cmp r3, #0", f"blt {low_label}")
            self.low_end = code.cycles
        else:
            code.ops("asrs r6, r3, #31", "eors r3, r6", "subs r3, r3, r6")

    def write_exact(self, item: Field, keep_in: str | None, slot: int) -> None:
        """The accumulator from packed sums into a slot of the frame."""
        self.item = item
        self.outputs.begin_row(self.row.row)
        self.code.note(f"row {self.row.row}: {self.item.bits} bits, exact")
        self._whole_value()
        if keep_in is not None:
            self.code.op(f"mov {keep_in}, r3")
        self.outputs.load("r4", self.row.low & 0xFFFF_FFFF)
        self.code.op("adds r3, r3, r4")
        self.code.op(f"str r3, [sp, #{slot}]")

    def _value(self, keep_in: str | None, low_label: str) -> None:
        fast, code, bits = self.row.fast, self.code, self.item.bits
        assert fast is not None
        if self.keeping.form == "offset":
            self._whole_value()
            if keep_in is not None:
                code.op(f"mov {keep_in}, r3")
            self._offset_value(fast.first)
            if self.keeping.rests:
                self._signed(low_label)
                return
            if fast.form == "above":
                code.op(f"bcc {low_label}")
                self.low_end = code.cycles
            else:
                code.ops("asrs r6, r3, #31", "eors r3, r6", "subs r3, r3, r6")
            return
        if keep_in is not None:
            self._whole_value()
            code.op(f"mov {keep_in}, r3")
            code.op(f"lsls r3, r3, #{WORD_BITS + 1 - bits}", "carry: the upper bit")
        else:
            top = self.item.shift + bits
            if self.item.straddles:
                top = self.item.next_shift + bits
            code.op(f"lsls r3, r1, #{WORD_BITS + 1 - top}", "carry: the upper bit")
        joined = self.item.straddles and keep_in is None
        if fast.form == "above":
            code.op(f"bcc {low_label}")
            self.low_end = code.cycles
            if joined:
                self._join()
            else:
                code.op(f"lsrs r3, r3, #{WORD_BITS + 1 - bits}")
            return
        code.op("sbcs r6, r6, r6", "all ones below zero")
        if joined:
            self._join()
            code.ops(f"lsls r5, r6, #{bits - 1}", "adds r3, r3, r5", "eors r3, r6")
        else:
            code.ops("eors r3, r6", f"lsrs r3, r3, #{WORD_BITS + 1 - bits}")
        code.op("subs r3, r3, r6")

    def _offset_value(self, first: int) -> None:
        at, offset = self.inputs
        rests = self.keeping.rests
        add_rests(self.code, rests, at, "r3", "r6")
        less = first + self.keeping.offset + offset * sum(rest.weight for rest in rests)
        self.outputs.load("r4", less & 0xFFFF_FFFF)
        self.code.op("subs r3, r3, r4")

    def _join(self) -> None:
        """High bits without the upper one, at the top of R3, and low bits: R3 = v without it."""
        high = self.item.high_bits - 1
        if high:
            self.code.op(f"lsrs r3, r3, #{WORD_BITS - high}")
            self.code.ops(f"lsls r3, r3, #{self.item.low_bits}", "orrs r3, r2")
        else:
            self.code.op("movs r3, r2")

    def _whole_value(self) -> None:
        item, code = self.item, self.code
        top = (item.next_shift if item.straddles else item.shift) + item.bits
        count = item.high_bits if item.straddles else item.bits
        source = "r1"
        if top < WORD_BITS:
            code.op(f"lsls r3, r1, #{WORD_BITS - top}")
            source = "r3"
        if count < WORD_BITS:
            code.op(f"lsrs r3, {source}, #{WORD_BITS - count}")
        else:
            code.op(f"movs r3, {source}")
        if item.straddles:
            code.ops(f"lsls r3, r3, #{item.low_bits}", "orrs r3, r2")

    def _multiply(self) -> None:
        fast, code = self.row.fast, self.code
        assert fast is not None
        self.outputs.load("r4", fast.high)
        code.op("muls r4, r3, r4")
        if fast.low:
            self.outputs.load("r5", fast.low)
            code.ops("muls r5, r3, r5", f"lsrs r5, r5, #{fast.low_shift}", "adds r4, r4, r5")
        if 0 <= fast.constant < 256:
            code.op(f"adds r4, #{fast.constant}")
        else:
            self.outputs.load("r5", fast.constant)
            code.op("adds r4, r4, r5")

    def _look_up(self) -> None:
        fast, code = self.row.fast, self.code
        assert fast is not None
        base = fast.y_low + (128 if self.outputs.values is not None else 0)
        if base:
            code.op(f"{'adds' if base > 0 else 'subs'} r4, #{abs(base)}")
        if self.outputs.table is not None:
            self.outputs.load("r5", self.outputs.table)
            code.op("ldrb r4, [r5, r4]")


def _paths(row: PackedRow, costs: dict[str, int]) -> RowPaths:
    fast = row.fast
    assert fast is not None
    cut = 1 << 40 if fast.cut is None else 1 << fast.cut
    top = cut if fast.first_top is None else min(fast.first_top, cut)
    if fast.form == "above":
        return RowPaths(
            row.row,
            (fast.first, fast.first + top, fast.first + cut),
            (costs["low"], costs["normal"], costs["top"], costs["cut"]),
        )
    return RowPaths(
        row.row,
        (1 - cut, 1 - top, top, cut),
        (costs["cut"], costs["top"], costs["normal"], costs["top"], costs["cut"]),
    )
