"""The vector by which a firmware tells whether its CMSIS-NN rounds twice.

`CMSIS_NN_USE_SINGLE_ROUNDING` is compiled into the library; nothing outside shows it. So the
header carries a layer small enough to forget and inputs for which each of its outputs is
another byte under single rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miniml import reference
from miniml.fixed_point import Int64Array
from miniml.model import DenseLayer, Int8Array

# Odd numbers above four: the kernels' blocks of rows and columns, and what is left over.
_COLUMNS, _ROWS = 5, 3


@dataclass(frozen=True, eq=False)
class SelfTest:
    """A layer, its inputs, and what they give.

    Attributes:
        layer: linear; a multiplier a row, or one for all.
        inputs: int8, (n_inputs,).
        outputs: int8, (n_outputs,), each another one under single rounding.
    """

    layer: DenseLayer
    inputs: Int8Array
    outputs: Int8Array


def make(*, per_row: bool) -> SelfTest:
    """The same vector every time."""
    rng = np.random.default_rng(0)
    inputs = rng.integers(-127, 128, _COLUMNS).astype(np.int8)
    multipliers = rng.integers(2**30, 2**31, _ROWS).astype(np.int32)
    shifts = np.array([-5, -6, -7], np.int8)
    if not per_row:
        multipliers, shifts = np.repeat(multipliers[:1], _ROWS), np.repeat(shifts[:1], _ROWS)
    weights = np.zeros((_ROWS, _COLUMNS), np.int8)
    bias = np.zeros(_ROWS, np.int32)
    for row in range(_ROWS):
        differ = False
        while not differ:
            weights[row] = rng.integers(-127, 128, _COLUMNS)
            bias[row] = rng.integers(-4000, 4000)
            accumulator = inputs.astype(np.int64) @ weights[row].astype(np.int64) + bias[row]
            m, shift = int(multipliers[row]), int(shifts[row])
            once = int(single_rounding(np.array([accumulator]), m, shift)[0])
            layer = _layer(weights, bias, multipliers, shifts)
            twice = int(reference.run_layer(layer, inputs[np.newaxis])[0, row])
            differ = once != twice and abs(once) < 127
    layer = _layer(weights, bias, multipliers, shifts)
    return SelfTest(layer, inputs, reference.run_layer(layer, inputs[np.newaxis])[0])


def single_rounding(accumulators: Int64Array, multiplier: int, shift: int) -> Int64Array:
    """What CMSIS-NN computes with CMSIS_NN_USE_SINGLE_ROUNDING: half of the last bit is added.

    Args:
        accumulators: int64, any shape.
        multiplier: M in [2^30, 2^31).
        shift: below 31.
    """
    return (((accumulators * multiplier) >> (30 - shift)) + 1) >> 1


def _layer(
    weights: Int8Array, bias: np.ndarray, multipliers: np.ndarray, shifts: np.ndarray
) -> DenseLayer:
    return DenseLayer(
        weights=weights,
        bias=bias,
        weight_scales=np.ones(_ROWS),
        multipliers=multipliers,
        shifts=shifts,
        input_scale=1.0,
        output_scale=1.0,
        activation="linear",
        activation_min=-127,
        activation_max=127,
    )
