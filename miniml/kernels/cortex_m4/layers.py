"""One layer as code and constants, in a given form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from miniml.kernels.cortex_m4.assembly import REFILL, Assembly, by_number
from miniml.kernels.cortex_m4.columns import (
    LOOP_STEPS,
    STREAM,
    InputWord,
    Order,
    looped_columns,
    straight_columns,
)
from miniml.kernels.cortex_m4.epilogue import Epilogue
from miniml.kernels.cortex_m4.groups import Group, pack, start_values, words_of
from miniml.kernels.cortex_m4.passes import Form, Pass, passes_of, row_order
from miniml.kernels.cortex_m4.requantize import Requantize
from miniml.kernels.cortex_m4.sinks import RETURN_SLOT, Sink
from miniml.model import DenseLayer

# STRB's and SP's offsets reach 4095: beyond, addresses go through registers.
STRAIGHT_REACH = 4000
_LOW = ("r0", "r1", "r2", "r3", "r4", "r5", "r6")


@dataclass(frozen=True)
class LayerInput:
    """What a layer reads.

    Attributes:
        offset: of the lanes in the frame.
        columns: the input of each lane, in order.
        added: lane + added is the input's value.
    """

    offset: int
    columns: tuple[int, ...]
    added: int


@dataclass(frozen=True, eq=False)
class LayerCode:
    """A layer's code, its part of the stream, and where its rows are.

    Attributes:
        code: with size and cycles.
        stream: words, in memory order, with comments between: (comment, words).
        passes: in the order of execution; their rows are the lanes' order.
        subroutines: that the code calls, behind the program's end.
    """

    code: Assembly
    stream: list[tuple[str, list[int]]]
    passes: list[Pass]
    subroutines: list[Assembly]

    @property
    def rows(self) -> tuple[int, ...]:
        """The row at each position of the output."""
        return tuple(row for one in self.passes for row in one.rows)

    @property
    def code_size(self) -> int:
        """Bytes of code."""
        return self.code.size + sum(one.size for one in self.subroutines)

    @property
    def flash(self) -> int:
        """Bytes of code and stream."""
        words = sum(len(words) for _, words in self.stream)
        return self.code_size + 4 * words


@dataclass(frozen=True, eq=False)
class LayerWriter:
    """Writes one layer.

    Attributes:
        label: begins every label.
        layer: of the model.
        plans: a requantization for each row.
        source: what it reads.
        form: how it is written.
        offset: of its lanes in the frame, unless it is the last.
        output: symbol of the output's bytes, for the last layer; else "".
        table: symbol of its table, or None.
    """

    label: str
    layer: DenseLayer
    plans: Sequence[Requantize]
    source: LayerInput
    form: Form
    offset: int
    output: str
    table: str | None
    _parts: dict[tuple[Group, ...], tuple[Assembly, Order]] = field(default_factory=dict)
    _uses: Counter[tuple[Group, ...]] = field(default_factory=Counter)

    def write(self, *, constants: bool = True) -> LayerCode:
        """The code and its constants, or as many zeros where only sizes matter."""
        # Bytes that a loop stores must come out in the model's order.
        looped_bytes = bool(self.output) and self.form.rows == "loop"
        natural = list(range(self.layer.n_outputs))
        order = natural if looped_bytes else row_order(self.plans)
        passes = passes_of(order, self.plans, self.form.packing)
        if bool(self.output) and not looped_bytes and len(natural) > STRAIGHT_REACH:
            raise ValueError("a straight layer of so many rows")
        self._uses.update(one.groups for one in passes)
        result = LayerCode(Assembly(), [], passes, [])
        first = 0
        for number, part in enumerate(self._segments(passes)):
            far = max(self.offset + 2 * len(natural), len(natural)) > STRAIGHT_REACH
            looped = self.form.rows == "loop" and (len(part) > 1 or far)
            sink = Sink(bool(self.output), self.offset, self.output, looped)
            write = self._constants if constants else self._zeros
            self._segment(result, part, first, sink, f"{self.label}_{number}", write)
            first += sum(len(one.rows) for one in part)
        return result

    def _segments(self, passes: list[Pass]) -> Iterator[list[Pass]]:
        if self.form.rows != "loop":
            yield from ([one] for one in passes)
            return
        for _, same in groupby(passes, key=lambda one: one.shape):
            yield list(same)

    def _segment(
        self,
        result: LayerCode,
        part: list[Pass],
        first: int,
        sink: Sink,
        label: str,
        write: Callable[[LayerCode, Pass, Order, list[int]], None],
    ) -> None:
        code, one = result.code, part[0]
        methods = " + ".join(group.method for group in one.groups)
        passes = f", {len(part)} passes" if len(part) > 1 else ""
        code.comment(f"rows {_listed(part)}: {methods}{passes}; requantize: {one.kind}")
        if not sink.looped:
            order, constants = self._pass(result, code, one, sink, first, label)
            write(result, one, order, constants)
            return
        sink.start_loop(code, first, len(part))
        with code.loop(label, len(part)):
            order, _ = self._pass(result, code, one, sink, first, label)
        for other in part:
            _, constants = self._pass(result, Assembly(), other, sink, first, label)
            write(result, other, order, constants)

    def _pass(
        self, result: LayerCode, code: Assembly, one: Pass, sink: Sink, first: int, label: str
    ) -> tuple[Order, list[int]]:
        _, sums = words_of(one.groups)
        if self.form.rows == "call" and self._uses[one.groups] > 1:
            name = f"{self.label}_sums_{list(self._uses).index(one.groups)}"
            if one.groups not in self._parts:
                part = Assembly()
                part.label(name)
                part.op(f"str.w lr, [sp, #{RETURN_SLOT}]")
                order = self._sums(part, one.groups, f"{name}_c")
                part.op(f"ldr.w pc, [sp, #{RETURN_SLOT}]", 4, 2 + REFILL)
                self._parts[one.groups] = part, order
                result.subroutines.append(part)
            part, order = self._parts[one.groups]
            code.op(f"bl {name}", 4, 1 + REFILL)
            code.cycles += part.cycles
        elif self.form.columns != "straight":
            order = self._sums(code, one.groups, f"{label}_c")
        else:
            if one.groups not in self._parts:
                part = Assembly()
                self._parts[one.groups] = part, self._sums(part, one.groups, "")
            part, order = self._parts[one.groups]
            code.append(part)
        constants: list[int] = []
        epilogue = Epilogue(code, self.layer, self.plans, sink, self.table, constants)
        epilogue.emit(one, sums, first)
        return order, constants

    def _sums(self, code: Assembly, groups: tuple[Group, ...], label: str) -> Order:
        """Start values and all columns."""
        words, sums = words_of(groups)
        taken = [register for own in sums for register in own]
        code.load_many(STREAM, taken)
        free = [register for register in _LOW if register not in taken]
        steps = -(-len(self.source.columns) // 2)
        if self.form.columns != "straight":
            free.remove("r6")
            unrolled = LOOP_STEPS[self.form.columns]
            return looped_columns(code, words, self.source.offset, steps, unrolled, free, label)
        inputs = [InputWord("sp", self.source.offset + 4 * step) for step in range(steps)]
        return straight_columns(code, words, inputs, free)

    @staticmethod
    def _zeros(result: LayerCode, one: Pass, order: Order, constants: list[int]) -> None:
        starts = sum(group.accumulators for group in one.groups)
        result.stream.append(("", [0] * (starts + len(order) + len(constants))))

    def _constants(self, result: LayerCode, one: Pass, order: Order, constants: list[int]) -> None:
        rows = list(one.rows)
        weights = self._lanes[rows]
        bias = self.layer.bias[rows].astype(np.int64) + self.source.added * weights.sum(axis=1)
        with_fractions = one.kind == "halfword"
        fractions = [self.plans[row].fraction if with_fractions else 0 for row in rows]
        _, sums = words_of(one.groups)
        starts = start_values(one.groups, [int(b) for b in bias], fractions)
        # LDM fills registers by their number.
        taken = [register for own in sums for register in own]
        by_register = dict(zip(taken, starts, strict=True))
        packed, at = pack(one.groups, weights), np.array(order)
        ordered = sorted(taken, key=by_number)
        name = f"rows {', '.join(map(str, rows))}"
        result.stream.extend(
            [
                (f"{name}: start values", [by_register[register] for register in ordered]),
                (f"{name}: weights", packed[at[:, 1], at[:, 0]].tolist()),
                (f"{name}: requantization", constants),
            ]
        )

    @cached_property
    def _lanes(self) -> NDArray[np.int64]:
        """Weights by row and lane."""
        columns = list(self.source.columns)
        weights = self.layer.weights[:, columns].astype(np.int64)
        return np.pad(weights, ((0, 0), (0, len(columns) % 2)))


def _listed(part: Sequence[Pass]) -> str:
    rows = [row for one in part for row in one.rows]
    text = ", ".join(map(str, rows[:12]))
    return text + (f" ... {rows[-1]}" if len(rows) > 12 else "")
