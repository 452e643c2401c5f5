"""Cycles of given inputs, and of the worst: a constant, and the path that each row takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miniml import reference
from miniml.kernels.cortex_m0plus.bounds import LayerBounds
from miniml.kernels.cortex_m0plus.inputs import Frame, Int64Array, clamping_cycles
from miniml.model import DenseLayer, Int8Array, QuantizedModel


@dataclass(frozen=True)
class RowPaths:
    """Cycles of a row by its accumulator, with bias.

    Attributes:
        row: of the layer.
        starts: ascending; path i + 1 begins at starts[i], path 0 below starts[0].
        costs: one more than starts.
    """

    row: int
    starts: tuple[int, ...]
    costs: tuple[int, ...]

    def worst(self, low: int, high: int) -> int:
        """Most cycles for accumulators in [low, high]."""
        first, last = np.searchsorted(self.starts, [low, high], side="right")
        return max(self.costs[first : last + 1])


@dataclass(frozen=True)
class LayerCycles:
    """What one layer takes whatever the data, and the rows whose cycles depend on it."""

    constant: int
    paths: tuple[RowPaths, ...]

    def of_inputs(self, layer: DenseLayer, values: Int8Array) -> Int64Array:
        """Cycles for each row of the layer's inputs, int64 (n,)."""
        cycles = np.full(len(values), self.constant, np.int64)
        wide = values.astype(np.int64)
        for path in self.paths:
            sums = wide @ layer.weights[path.row].astype(np.int64) + int(layer.bias[path.row])
            index = np.searchsorted(np.array(path.starts, np.int64), sums, side="right")
            cycles += np.array(path.costs, np.int64)[index]
        return cycles

    def worst(self, bounds: LayerBounds) -> int:
        """No input takes more."""
        rows = [
            path.worst(int(bounds.low[path.row]), int(bounds.high[path.row])) for path in self.paths
        ]
        # Costs may have come from numpy, whose integers are no JSON.
        return int(self.constant + sum(rows))


@dataclass(frozen=True, eq=False)
class ProgramCycles:
    """CyclesOfRows of a program (miniml.kernels.program), for an aligned input.

    Attributes:
        model: which.
        frame: where inputs lie.
        x_offset: of the first layer.
        call: of the run itself.
        layers: one a layer.
    """

    model: QuantizedModel
    frame: Frame
    x_offset: int
    call: int
    layers: tuple[LayerCycles, ...]

    def __call__(self, inputs: Int8Array) -> Int64Array:
        """Cycles, int64 (n, 1 + layers), of int8 inputs (n, n_inputs)."""
        values = reference.clamp_inputs(self.model, inputs)
        columns = [np.full(len(values), self.call, np.int64)]
        for layer, cycles in zip(self.model.layers, self.layers, strict=True):
            columns.append(cycles.of_inputs(layer, values))
            values = reference.run_layer(layer, values)
        columns[1] += clamping_cycles(self.frame, self.model.n_inputs, self.x_offset, inputs)
        return np.stack(columns, axis=1)

    def worst_of_layers(self, bounds: list[LayerBounds]) -> list[int]:
        """Most cycles of each layer."""
        worst = [cycles.worst(bound) for cycles, bound in zip(self.layers, bounds, strict=True)]
        below = np.full((1, self.model.n_inputs), -128, np.int8)
        worst[0] += int(clamping_cycles(self.frame, self.model.n_inputs, self.x_offset, below)[0])
        return worst
