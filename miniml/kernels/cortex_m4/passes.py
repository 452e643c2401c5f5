"""Which rows of a layer are summed together: passes of groups, from rows in a chosen order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from miniml.kernels.cortex_m4.groups import PAIR, SINGLE, Group, chain
from miniml.kernels.cortex_m4.requantize import KINDS, Kind, Requantize

Packing = Literal["chain", "pair", "single"]
Columns = Literal["straight", "loop", "short loop"]
Rows = Literal["straight", "call", "loop"]


@dataclass(frozen=True)
class Form:
    """How a layer is written.

    Attributes:
        packing: of weights: "chain" is the fastest, "pair" takes one byte a weight.
        columns: in a "straight" line, or a loop of 16 or (short) 4 pairs of them.
        rows: in a "straight" line, a "call" of their sums for each pass, or a "loop" over passes.
    """

    packing: Packing
    columns: Columns
    rows: Rows


@dataclass(frozen=True)
class Pass:
    """Rows whose sums are in registers together.

    Attributes:
        groups: cover `rows` in their order.
        rows: of the layer.
        kind: of requantization, the same for all of them.
        n: -shift of all rows of a "high word"; None: they differ, or it doesn't matter.
    """

    groups: tuple[Group, ...]
    rows: tuple[int, ...]
    kind: Kind
    n: int | None

    @property
    def shape(self) -> tuple[tuple[Group, ...], Kind, int | None]:
        """Passes of one shape can share code in a loop."""
        return self.groups, self.kind, self.n


def row_order(plans: Sequence[Requantize]) -> list[int]:
    """Rows with the same requantization together, the ones that need SINGLE last."""
    return sorted(
        range(len(plans)),
        key=lambda row: (plans[row].wide, KINDS.index(plans[row].kind), plans[row].n, row),
    )


def passes_of(order: Sequence[int], plans: Sequence[Requantize], packing: Packing) -> list[Pass]:
    """Passes over rows in the given order."""
    narrow = [row for row in order if not plans[row].wide]
    # In their own order, a wide row cuts the others apart.
    if narrow + [row for row in order if plans[row].wide] != list(order):
        packing = "single"
    if packing == "single":
        narrow = []
    found: list[Pass] = []
    at = 0
    while at < len(narrow):
        groups = _groups(narrow[at:], plans, packing)
        count = sum(group.rows for group in groups)
        found.append(_pass(groups, narrow[at : at + count], plans))
        at += count
    rest = list(order[len(narrow) :])
    for at in range(0, len(rest), 6):
        part = rest[at : at + 6]
        found.append(_pass([SINGLE] * len(part), part, plans))
    return found


def _groups(rows: Sequence[int], plans: Sequence[Requantize], packing: Packing) -> list[Group]:
    left = len(rows)
    if packing == "pair":
        return [PAIR] * min(left // 2, 3) if left > 1 else [SINGLE]
    if left < 4:
        return [SINGLE] * left
    # Two chains of five need the registers that the exact requantization takes.
    exact = any(plans[row].kind == "exact" for row in rows[:10])
    if left in (9, 10) and not exact:
        return [chain(left - 5), chain(5)]
    if left >= 8:
        return [chain(4), chain(4)]
    return [chain(left)]


def _pass(groups: Sequence[Group], rows: Sequence[int], plans: Sequence[Requantize]) -> Pass:
    kind = max((plans[row].kind for row in rows), key=KINDS.index)
    if kind == "halfword" and any(group.kind != "chain" for group in groups):
        kind = "high word"
    shifts = {plans[row].n for row in rows}
    n = shifts.pop() if kind == "high word" and len(shifts) == 1 else None
    return Pass(tuple(groups), tuple(rows), kind, n)
