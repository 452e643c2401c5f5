"""What a choice would take, from groups that are built once and remembered.

Estimates leave out what groups share between layers; the program that is built at the end counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from miniml.kernels.avr import loop, winograd
from miniml.kernels.avr.build import LayerChoice, Parts, build_group, make_context, preparation
from miniml.kernels.avr.group import Affines, Signs
from miniml.kernels.avr.rows import LayerRows

# A shared pattern: CALL instead of MOVW and the products, RET in the routine.
_CALL_BYTES, _RETURN_BYTES, _CALL_CYCLES = 4, 2, 8


@dataclass(frozen=True)
class Cost:
    """Bytes of flash, and cycles in the worst case."""

    flash: int
    cycles: int

    def __add__(self, other: Cost) -> Cost:
        """Both."""
        return Cost(self.flash + other.flash, self.cycles + other.cycles)


class LayerEstimate:
    """Costs of choices for one layer."""

    def __init__(self, name: str, rows: LayerRows, affines: Affines) -> None:
        """Nothing is built yet."""
        self.name, self.rows, self.affines = name, rows, affines
        self._choices: dict[LayerChoice, Cost] = {}
        self._groups: dict[tuple[object, ...], tuple[Cost, dict[str, int]]] = {}
        self._patterns: dict[tuple[int, ...], Counter[Signs]] = {}

    def of(self, choice: LayerChoice) -> Cost:
        """All of a layer but its activation table; the exact routine and patterns not counted."""
        if choice not in self._choices:
            self._choices[choice] = self._of(choice)
        return self._choices[choice]

    def _of(self, choice: LayerChoice) -> Cost:
        parts = Parts(self.name, frozenset())
        context = make_context(parts, self.rows, self.affines, choice)
        before = preparation(context, choice)
        total = Cost(before.bytes, before.cycles)
        products: dict[str, int] = {}
        routines = set()
        for position, (method, indices) in enumerate(choice.groups):
            takes_in = choice.takes_in and position == 0
            group, shared = self._group(choice, method, indices, takes_in)
            total += group
            products |= shared
            if method == "loop":
                wide = any(loop.is_wide(self.rows.rows[index]) for index in indices)
                routines.add((len(indices), wide))
        total += Cost(sum(products.values()), 0)
        for count, wide in routines:
            n_inputs = self.rows.layer.n_inputs
            shift = self.rows.x_low < 0 and not context.shifted
            code = loop.routine("", count, wide, n_inputs, shift, "a", "b")
            total += Cost(code.bytes, 0)
        return total

    def patterns(self, choice: LayerChoice) -> Counter[Signs]:
        """Signs of `winograd`'s tiles, if all were shared."""
        indices = tuple(i for method, some in choice.groups if method == "winograd" for i in some)
        if indices not in self._patterns:
            self._patterns[indices] = winograd.count_patterns(self.rows, indices)
        return self._patterns[indices]

    def _group(
        self, choice: LayerChoice, method: str, indices: tuple[int, ...], takes_in: bool
    ) -> tuple[Cost, dict[str, int]]:
        """Of one group; and the multiplications that it shares, with their bytes."""
        tables = choice.tables & set(indices)
        stored = choice.count("winograd") > choice.takes_in
        shifted = choice.count("loop", "tall") == len(choice.groups)
        key = (
            method,
            indices,
            choice.affine,
            choice.short,
            shifted,
            tables,
            takes_in,
            takes_in and stored,
        )
        if key not in self._groups:
            parts = Parts(self.name, frozenset())
            context = make_context(parts, self.rows, self.affines, choice)
            group = build_group(context, method, indices, 0 if takes_in else 1)
            paths = group.finished.paths
            worst = sum(path.worst(self.rows.rows[index]) for index, path in paths.items())
            flash = group.code.bytes + parts.constants.bytes
            shared = {
                label: routine.bytes
                for label, routine in parts.routines.items()
                if "_loop" not in label
            }
            self._groups[key] = (Cost(flash, group.cycles + worst), shared)
        return self._groups[key]


def shared_patterns(counts: Sequence[Counter[Signs]], least: int) -> frozenset[Signs]:
    """Patterns that occur `least` times or more in all layers; 0: none."""
    total: Counter[Signs] = Counter()
    for one in counts:
        total.update(one)
    return frozenset(signs for signs, count in total.items() if least and count >= least)


def sharing(counts: Sequence[Counter[Signs]], least: int) -> Cost:
    """What sharing these patterns adds."""
    total: Counter[Signs] = Counter()
    for one in counts:
        total.update(one)
    flash = cycles = 0
    for signs in shared_patterns(counts, least):
        inline = 2 + 6 * (len(signs) // 2)
        flash += inline + _RETURN_BYTES - total[signs] * (inline - _CALL_BYTES)
        cycles += _CALL_CYCLES * total[signs]
    return Cost(flash, cycles)
