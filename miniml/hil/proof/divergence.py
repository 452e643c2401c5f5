"""Where a wrong row first leaves the reference: layer, neuron, byte, and what accumulators say.

A byte comes from an accumulator by requantization, clamp and table (docs/QUANTIZATION.md). The
first two never fall as the accumulator rises, so the accumulators of a byte are an interval, found
by halving; a table may take several.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miniml import reference
from miniml.fixed_point import accumulator_bound, requantize
from miniml.float_net import DeviceModel
from miniml.hil.proof.comparison import Difference, RanRow, first_difference
from miniml.model import DenseLayer, QuantizedModel

Interval = tuple[int, int]
# Intervals that a phrase shows; a table's flat ends are one each.
SHOWN_INTERVALS = 4


@dataclass(frozen=True)
class Divergence:
    """The first value that differs, and why it may.

    Attributes:
        difference: row, layer, neuron (its `index`), both values.
        byte: the first byte of the value that differs, from its lowest address; 0 for int8.
        accumulator: the reference's; None for float modes and the quantized input.
        expected_from, found_from: the accumulators that give each value, both ends included, within
            what the row can reach; empty: none does. None as above.
    """

    difference: Difference
    byte: int
    accumulator: int | None = None
    expected_from: tuple[Interval, ...] | None = None
    found_from: tuple[Interval, ...] | None = None

    def __str__(self) -> str:
        """One phrase for messages."""
        at = self.difference
        where = f"layer {at.layer}, neuron {at.index}" if at.layer else f"input {at.index}"
        text = f"first divergence: {at.suite} row {at.row}, {where}, byte {self.byte}: "
        if self.expected_from is None or self.found_from is None:
            return f"{text}expected {at.expected}, found {at.found}"
        return (
            f"{text}expected {at.expected} (accumulator {_phrase(self.expected_from)}; the "
            f"reference has {self.accumulator:,}), found {at.found} "
            f"(accumulator {_phrase(self.found_from)})"
        )


def first_divergence(model: DeviceModel, ran: RanRow) -> Divergence:
    """Of a row that differs.

    Raises:
        ValueError: it doesn't.
    """
    at = first_difference(ran)
    place = at.layer - ran.first_layer
    expected, found = (
        layers[place][at.index : at.index + 1].tobytes() for layers in (ran.expected, ran.found)
    )
    byte = next(n for n in range(len(expected)) if expected[n] != found[n])
    if at.layer == 0 or not isinstance(model, QuantizedModel):
        return Divergence(at, byte)
    layer = model.layers[at.layer - 1]
    before = reference.clamp_inputs(model, ran.inputs[None, :])
    for earlier in model.layers[: at.layer - 1]:
        before = reference.run_layer(earlier, before)
    return Divergence(
        at,
        byte,
        accumulator=int(reference.accumulate(layer, before)[0, at.index]),
        expected_from=accumulators_of(layer, at.index, int(at.expected)),
        found_from=accumulators_of(layer, at.index, int(at.found)),
    )


def accumulators_of(layer: DenseLayer, neuron: int, value: int) -> tuple[Interval, ...]:
    """The accumulators that give a value, in rising order, within what the neuron can reach."""
    if layer.table is None:
        inputs = [value]
    else:
        inputs = [int(z) - 128 for z in np.flatnonzero(layer.table == value)]
    found: list[Interval] = []
    for z in inputs:
        if not layer.activation_min <= z <= layer.activation_max:
            continue
        low, high = _lowest(layer, neuron, z), _lowest(layer, neuron, z + 1) - 1
        if low > high:
            continue
        if found and found[-1][1] + 1 == low:
            found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return tuple(found)


def _lowest(layer: DenseLayer, neuron: int, z: int) -> int:
    """The lowest accumulator in reach whose clamped value is at least z; one above all if none."""
    bound = int(accumulator_bound(layer.weights, layer.bias)[neuron])
    low, high = -bound, bound + 1
    while low < high:
        middle = (low + high) // 2
        if _clamped(layer, neuron, middle) >= z:
            high = middle
        else:
            low = middle + 1
    return low


def _clamped(layer: DenseLayer, neuron: int, accumulator: int) -> int:
    rows = slice(neuron, neuron + 1)
    scaled = requantize(
        np.array([accumulator], np.int64), layer.multipliers[rows], layer.shifts[rows]
    )
    return int(np.clip(scaled[0], layer.activation_min, layer.activation_max))


def _phrase(intervals: tuple[Interval, ...]) -> str:
    if not intervals:
        return "none that it can reach"
    shown = [f"{low:,} to {high:,}" for low, high in intervals[:SHOWN_INTERVALS]]
    more = len(intervals) - len(shown)
    return " or ".join(shown) + (f" or {more} more" if more else "")
