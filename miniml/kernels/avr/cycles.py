"""Cycles of given inputs: what every run takes, and each row's path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from miniml import reference
from miniml.kernels.avr.requantize import Paths
from miniml.kernels.avr.rows import LayerRows
from miniml.kernels.program import CyclesOfRows, Int64Array
from miniml.model import Int8Array, QuantizedModel


@dataclass(frozen=True, eq=False)
class LayerCycles:
    """What every run takes, and what each row's requantization takes by its accumulator."""

    fixed: int
    paths: dict[int, Paths]

    def worst(self, rows: LayerRows) -> int:
        """No input takes more."""
        return self.fixed + sum(self.paths[row.index].worst(row) for row in rows.rows)


def cycles_of_rows(model: QuantizedModel, run: int, layers: Sequence[LayerCycles]) -> CyclesOfRows:
    """The function of KernelProgram.cycles."""

    def cycles(inputs: Int8Array) -> Int64Array:
        values = reference.clamp_inputs(model, inputs)
        columns = [np.full(len(values), run, np.int64)]
        for layer, known in zip(model.layers, layers, strict=True):
            sums = values.astype(np.int64) @ layer.weights.T.astype(np.int64) + layer.bias
            spent = np.full(len(values), known.fixed, np.int64)
            for row, paths in known.paths.items():
                spent += paths.of(sums[:, row])
            columns.append(spent)
            values = reference.run_layer(layer, values)
        return np.stack(columns, axis=1)

    return cycles
