"""Programs of one model by different mixtures of methods, each written once, when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from miniml.kernels.cortex_m0plus.bounds import LayerBounds, layer_bounds
from miniml.kernels.cortex_m0plus.layer import LayerChoice, choose, layer_rows
from miniml.kernels.cortex_m0plus.program_text import write_program
from miniml.kernels.cortex_m0plus.row_method import PackedRow
from miniml.kernels.program import KernelProgram, LayerPlan, Placement
from miniml.model import DenseLayer, QuantizedModel

INLINE = 5
# Written out, wide layers take more flash than the calls are worth.
_INLINE_COLUMNS = 64


@dataclass(frozen=True)
class Mixture:
    """Quarters of a layer's rows.

    Attributes:
        packed: by packed sums; INLINE: all, and the sums of narrow layers are written out.
        swar: by SWAR; the others go by the exact loop.
    """

    packed: int
    swar: int

    @property
    def used(self) -> frozenset[str]:
        """Of packed sums ("p"), SWAR ("s") and loop ("l")."""
        parts = {"p": self.packed, "s": self.swar, "l": max(4 - self.packed - self.swar, 0)}
        return frozenset(letter for letter, part in parts.items() if part)


@dataclass(frozen=True)
class _Layer:
    layer: DenseLayer
    bounds: LayerBounds
    rows: list[PackedRow]

    def choice(self, mixture: Mixture) -> LayerChoice:
        varying = sum(not row.constant for row in self.rows)
        packed = min(-(-varying * mixture.packed // 4), varying)
        both = min(-(-varying * (mixture.packed + mixture.swar) // 4), varying)
        inline = mixture.packed == INLINE and self.layer.n_inputs <= _INLINE_COLUMNS
        return choose(self.layer, self.bounds, self.rows, packed, both - packed, inline)


class Candidates:
    """What the planner chooses among."""

    def __init__(self, model: QuantizedModel, placement: Placement) -> None:
        """Proves the rows; writes nothing."""
        self._model, self._placement = model, placement
        self._layers = [
            _Layer(layer, bounds, layer_rows(layer, bounds))
            for layer, bounds in zip(model.layers, layer_bounds(model), strict=True)
        ]
        self._choices: dict[Mixture, list[LayerChoice]] = {}
        self._programs: dict[Mixture, KernelProgram] = {}

    @property
    def count(self) -> int:
        """Layers."""
        return len(self._layers)

    def program(self, mixture: Mixture) -> KernelProgram:
        """All layers by one mixture."""
        if mixture not in self._programs:
            self._programs[mixture] = self._write(self._of(mixture))
        return self._programs[mixture]

    def mixed(self, picked: Sequence[Mixture]) -> KernelProgram:
        """Each layer by a mixture of its own."""
        if len(set(picked)) == 1:
            return self.program(picked[0])
        return self._write([self._of(one)[number] for number, one in enumerate(picked)])

    def layer(self, mixture: Mixture, number: int) -> LayerPlan:
        """What a layer takes by a mixture."""
        return self.program(mixture).layers[number]

    def flash(self, picked: Sequence[Mixture]) -> int:
        """Bytes of the layers alone."""
        return sum(self.layer(one, number).flash for number, one in enumerate(picked))

    def cycles(self, picked: Sequence[Mixture]) -> int:
        """Worst cycles of the layers alone."""
        return sum(self.layer(one, number).worst_cycles for number, one in enumerate(picked))

    def shared(self, mixture: Mixture) -> int:
        """Bytes outside of the layers."""
        return self.program(mixture).flash - self.flash([mixture] * self.count)

    def _of(self, mixture: Mixture) -> list[LayerChoice]:
        if mixture not in self._choices:
            self._choices[mixture] = [one.choice(mixture) for one in self._layers]
        return self._choices[mixture]

    def _write(self, choices: list[LayerChoice]) -> KernelProgram:
        return write_program(self._model, choices, self._placement)
