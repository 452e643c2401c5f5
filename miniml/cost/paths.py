"""Which paths of the C kernel a run takes, and how often: the part of a cycle count that is known
without a compiler. What one pass of a path takes is measured (miniml.cost.calibrate).

The names follow firmware/lib/MiniML/src: miniml_run_layers copies the inputs, miniml_dense_run goes
over rows, miniml_dot over pairs of products, miniml_requantize over bits of a shift.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from miniml import reference
from miniml.fixed_point import requantize
from miniml.model import DenseLayer, Int8Array, QuantizedModel

Int64Array = NDArray[np.int64]

PATHS = (
    "run",  # once
    "input",  # an input copied
    "input_raised",  # of these, below input_min
    "layer",
    "row",
    "row_without_pair",  # one input only
    "pair",  # two products
    "odd_product",
    "left_row",  # shift > 0
    "left_bit",
    "right_row",  # shift < 0
    "right_row_byte",  # of these, by nine bits or more (AVR takes eight at once)
    "right_bit",  # one a pass of the loop that AVR shifts by
    "table_row",
    # The accumulator and the first rounding's result below zero, by the direction of the shift ...
    "negative_right",
    "negative_left",
    "negative_none",
    # ... the final result beyond 127 on either side, before the clamp, and of these below.
    "saturated_right",
    "saturated_left",
    "saturated_none",
    "saturated_negative_right",
    "saturated_negative_left",
    "saturated_negative_none",
    "raised",  # below activation_min
    "lowered",  # above activation_max
)
_INDEX = {name: index for index, name in enumerate(PATHS)}
# Those that depend on the inputs, not on the model alone.
DATA_PATHS = frozenset(PATHS[PATHS.index("negative_right") :]) | {"input_raised"}


def count_paths(model: QuantizedModel, inputs: Int8Array) -> Int64Array:
    """Passes of each path, of the run's own and of each layer's.

    Args:
        model: any quantized model.
        inputs: int8, (n, n_inputs).

    Returns:
        int64, (n, 1 + layers, len(PATHS)); [:, 0] is the run without its layers.
    """
    counts = np.broadcast_to(fixed_paths(model), (len(inputs), len(model.layers) + 1, len(PATHS)))
    counts = counts.copy()
    raised = inputs < model.input.input_min
    counts[:, 0, _INDEX["input_raised"]] = raised.sum(axis=1)
    values = reference.clamp_inputs(model, inputs)
    for number, layer in enumerate(model.layers, start=1):
        _count_data_paths(layer, values, counts[:, number])
        values = reference.run_layer(layer, values)
    return counts


def fixed_paths(model: QuantizedModel) -> Int64Array:
    """The part that no input changes; int64, (1 + layers, len(PATHS))."""
    counts = np.zeros((len(model.layers) + 1, len(PATHS)), np.int64)
    counts[0, _INDEX["run"]] = 1
    counts[0, _INDEX["input"]] = model.n_inputs
    for layer, row in zip(model.layers, counts[1:], strict=True):
        rows, shifts = layer.n_outputs, layer.shifts.astype(np.int64)
        # The last bit of a right shift is the rounding's own.
        bits = -1 - shifts[shifts < 0]
        found = {
            "layer": 1,
            "row": rows,
            "row_without_pair": rows * (layer.n_inputs < 2),
            "pair": rows * (layer.n_inputs // 2),
            "odd_product": rows * (layer.n_inputs % 2),
            "left_row": int((shifts > 0).sum()),
            "left_bit": int(shifts[shifts > 0].sum()),
            "right_row": len(bits),
            "right_row_byte": int((bits >= 8).sum()),
            "right_bit": int(np.where(bits >= 8, bits - 8, bits).sum()),
            "table_row": rows * (layer.table is not None),
        }
        for name, passes in found.items():
            row[_INDEX[name]] = passes
    return counts


def path_bounds(model: QuantizedModel) -> tuple[Int64Array, Int64Array]:
    """Lowest and highest passes for any input; int64, (1 + layers, len(PATHS)) each."""
    low = fixed_paths(model)
    high = low.copy()
    high[0, _INDEX["input_raised"]] = model.n_inputs
    for layer, row in zip(model.layers, high[1:], strict=True):
        for name in DATA_PATHS - {"input_raised"}:
            row[_INDEX[name]] = layer.n_outputs
        for direction, where in _directions(layer).items():
            for name in DATA_PATHS:
                if name.endswith(direction):
                    row[_INDEX[name]] = where.sum()
    return low, high


def _directions(layer: DenseLayer) -> dict[str, NDArray[np.bool_]]:
    return {"right": layer.shifts < 0, "left": layer.shifts > 0, "none": layer.shifts == 0}


def _count_data_paths(layer: DenseLayer, values: Int8Array, counts: Int64Array) -> None:
    acc = values.astype(np.int64) @ layer.weights.T.astype(np.int64) + layer.bias
    once = requantize(acc, layer.multipliers, np.maximum(layer.shifts, 0))
    twice = requantize(acc, layer.multipliers, layer.shifts)
    clamped = np.clip(twice, -127, 127)
    found = {
        "raised": clamped < layer.activation_min,
        "lowered": clamped > layer.activation_max,
    }
    for direction, rows in _directions(layer).items():
        found[f"negative_{direction}"] = rows & (once < 0)
        found[f"saturated_{direction}"] = rows & (np.abs(twice) > 127)
        found[f"saturated_negative_{direction}"] = rows & (twice < -127)
    for name, where in found.items():
        counts[:, _INDEX[name]] = where.sum(axis=1)
