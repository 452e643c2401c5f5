"""The end of a pass: rows come apart, are requantized and stored.

Constants are appended to the stream in the order in which the code loads them. In a loop
everything that differs between passes must come from there; else it is in the code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from miniml.kernels.cortex_m4.assembly import Assembly, by_number
from miniml.kernels.cortex_m4.columns import STREAM
from miniml.kernels.cortex_m4.groups import Group, last_fraction, separate
from miniml.kernels.cortex_m4.passes import Pass
from miniml.kernels.cortex_m4.requantize import HALFWORD_C, Requantize
from miniml.kernels.cortex_m4.sinks import Sink
from miniml.model import DenseLayer

# Everything but the stream's pointer and SP.
REGISTERS = ("r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr")
ONES = 1


@dataclass
class Epilogue:
    """Emits the end of one pass.

    Attributes:
        code: to add to.
        layer: whose rows these are.
        plans: a requantization for each row of the layer.
        sink: where bytes go.
        table: symbol of the layer's table, or None.
        words: constants, in the order of use.
    """

    code: Assembly
    layer: DenseLayer
    plans: Sequence[Requantize]
    sink: Sink
    table: str | None
    words: list[int]

    def emit(self, one: Pass, sums: Sequence[Sequence[str]], first: int) -> None:
        """Add the code of a pass whose first row has position `first` in the layer."""
        taken = {register for own in sums for register in own}
        self._free = [register for register in REGISTERS if register not in taken]
        self._base = self.sink.base(self.code, self._free)
        self._constant: str | None = None
        self._loaded_c: int | None = None
        if one.kind == "halfword":
            self._constant = self._take()
            self.code.op(f"movw {self._constant}, #{HALFWORD_C}")
        elif self.table is not None:
            self._constant = self._take()
            self.code.address(self._constant, f"{self.table} + 128")
        elif one.kind == "high word" and self.layer.activation_min < 0:
            self._constant = self._take()
            self.code.op(f"mov.w {self._constant}, #{ONES}")
        self._mixed = self.sink.looped and one.n is None
        self._c = None if one.kind != "high word" or self._mixed else self._take()
        at, position = 0, 0 if self.sink.looped else first
        for group, own in zip(one.groups, sums, strict=True):
            rows = one.rows[at : at + group.rows]
            if one.kind == "halfword":
                self._halfwords(group, own, rows, position)
            else:
                spare = self._take() if group.kind == "chain" else None
                whole = one.kind == "exact"
                values = separate(self.code, group, own, spare, fraction=None, whole=whole)
                (self._exact if whole else self._high_words)(values, rows, position)
            at += group.rows
            position += group.rows
        self.sink.finish(self.code, self._base, self._free[0], len(one.rows))

    # ---- registers and constants ----

    def _take(self) -> str:
        return self._free.pop(0)

    def _give(self, *registers: str) -> None:
        self._free = sorted({*self._free, *registers}, key=by_number)

    def _load(self, values: Sequence[int]) -> list[str]:
        """Registers with constants of the stream."""
        registers = self._free[: len(values)]
        del self._free[: len(values)]
        self.code.load_many(STREAM, registers)
        self.words += [value & 0xFFFFFFFF for value in values]
        return registers

    def _place(self, row: int, position: int) -> int:
        """Bytes are stored in the model's order, lanes in the order of execution."""
        return row if self.sink.last and not self.sink.looped else position

    # ---- kinds ----

    def _halfwords(
        self, group: Group, sums: Sequence[str], rows: Sequence[int], position: int
    ) -> None:
        plans = [self.plans[row] for row in rows]
        spare = self._take()
        constants = [plan.scaled for plan in plans]
        room = min(len(self._free), 1 + len(rows))
        fraction, *scaled = self._load(
            [last_fraction([plan.fraction for plan in plans]), *constants[: room - 1]]
        )
        values = separate(self.code, group, sums, spare, fraction=fraction, whole=False)
        self._give(fraction)
        done = 0
        while done < len(values):
            for register in scaled:
                value = values[done]
                self.code.op(f"smmla {value}, {value}, {register}, {self._constant}")
                done += 1
            self._give(*scaled)
            if done < len(values):
                scaled = self._load(constants[done : done + len(self._free)])
        at = 0
        while at < len(values):
            value = values[at]
            if self.sink.last or (position + at) % 2 or at + 1 == len(values):
                self.code.op(f"usat {value}, #7, {value}, asr #16")
                place = self._place(rows[at], position + at)
                self.sink.put(self.code, self._base, value, place)
                at += 1
            else:
                self.code.op(f"pkhtb {value}, {values[at + 1]}, {value}, asr #16")
                self.code.op(f"usat16 {value}, #7, {value}")
                self.sink.put_two(self.code, self._base, value, position + at)
                at += 2
        self._give(*values)

    def _high_words(self, values: Sequence[str], rows: Sequence[int], position: int) -> None:
        done = 0
        while done < len(values):
            loaded = self._high_word_constants(rows[done:])
            for m, c, shift in loaded:
                row, value = rows[done], values[done]
                self._high_word(row, value, m, c, shift)
                self.sink.put(self.code, self._base, value, self._place(row, position + done))
                self._give(m, value, *([c, shift] if self._mixed else []))
                done += 1

    def _high_word_constants(self, rows: Sequence[int]) -> list[tuple[str, str, str]]:
        """Registers of M, C and the shift for the next rows, as many as fit."""
        plans = [self.plans[row] for row in rows]
        if self._mixed:
            plans = plans[: max(len(self._free) // 3, 1)]
            words = [w for p in plans for w in (p.multiplier, self._c_of(p), 7 + p.n)]
            r = self._load(words)
            return [(r[i], r[i + 1], r[i + 2]) for i in range(0, len(r), 3)]
        assert self._c is not None
        if self._loaded_c != plans[0].n:
            self.code.constant(self._c, self._c_of(plans[0]))
            self._loaded_c = plans[0].n
        same = list(takewhile(lambda plan: plan.n == plans[0].n, plans))[: len(self._free)]
        registers = self._load([plan.multiplier for plan in same])
        return [(register, self._c, f"#{7 + plans[0].n}") for register in registers]

    def _c_of(self, plan: Requantize) -> int:
        # One less where -127 is the lower clamp: saturated to -128 ... 127, then plus one.
        lower = self.layer.activation_min < 0 and self.table is None
        return plan.high_word_c - (1 << (7 + plan.n) if lower else 0)

    def _high_word(self, row: int, value: str, m: str, c: str, shift: str) -> None:
        code = self.code
        if self.layer.activation_min == 0:
            code.op(f"smmla {value}, {value}, {m}, {c}")
            source = self._shifted(value, value, shift)
            code.op(f"usat {value}, #7, {source}")
            return
        code.op(f"smmla {m}, {value}, {m}, {c}")
        code.op(f"lsr.w {value}, {value}, #31")
        code.op(f"sub.w {value}, {m}, {value}, lsl #7")
        source = self._shifted(value, value, shift)
        code.op(f"ssat {value}, #8, {source}")
        if self.table is not None:
            code.load_byte(value, f"{self._constant}, {value}", value)
            return
        code.op(f"qadd8 {value}, {value}, {self._constant}")
        if not self.sink.last:
            code.op(f"sxtb.w {value}, {value}")

    def _shifted(self, target: str, register: str, shift: str) -> str:
        if shift.startswith("#"):
            return f"{register}, asr {shift}"
        self.code.op(f"asr.w {target}, {register}, {shift}")
        return target

    def _exact(self, values: Sequence[str], rows: Sequence[int], position: int) -> None:
        clamp = self._clamp()
        for at, (value, row) in enumerate(zip(values, rows, strict=True)):
            plan = self.plans[row]
            n = max(plan.n, 0)
            m, left, less, one = self._load(
                [plan.multiplier, max(-plan.n, 0), max(n - 1, 0), min(n, 1)]
            )
            for text in (
                f"lsl.w {value}, {value}, {left}",
                f"smull {m}, {value}, {value}, {m}",
                f"adds.w {m}, {m}, #0x40000000",
                f"adc.w {value}, {value}, #0",
                f"lsl.w {value}, {value}, #1",
                f"orr.w {value}, {value}, {m}, lsr #31",
                # A tie goes away from zero: one less below zero, if there is a second rounding.
                f"and.w {m}, {one}, {value}, lsr #31",
                f"sub.w {value}, {value}, {m}",
                f"asr.w {value}, {value}, {less}",
                f"add.w {value}, {value}, {one}",
                f"asr.w {value}, {value}, {one}",
            ):
                self.code.op(text)
            clamp(value)
            self._give(m, left, less, one)
            if self.table is not None:
                self.code.load_byte(value, f"{self._constant}, {value}", value)
            self.sink.put(self.code, self._base, value, self._place(row, position + at))
        self._give(*values)

    def _clamp(self) -> Callable[[str], None]:
        least, greatest = self.layer.activation_min, self.layer.activation_max
        code = self.code

        def clamp(value: str) -> None:
            if (least, greatest) == (0, 127):
                code.op(f"usat {value}, #7, {value}")
                return
            code.op(f"ssat {value}, #8, {value}")
            for bound, condition in ((greatest, "gt"), (least, "lt")):
                if bound == 127:
                    continue
                test = f"cmp.w {value}, #{bound}" if bound >= 0 else f"cmn.w {value}, #{-bound}"
                move = f"mov{condition}.w {value}, #{bound}"
                if bound < 0:
                    move = f"mvn{condition}.w {value}, #{-bound - 1}"
                code.op(test)
                # Executed or skipped, both instructions take a cycle.
                code.op(f"it {condition}", 2)
                code.op(move)

        return clamp
