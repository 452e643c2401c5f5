"""A second implementation of docs/QUANTIZATION.md in plain Python numbers.

Written from the contract, not from miniml: integers, fractions and divmod instead of masks
and numpy, so that a slip in one shows against the other.
"""

from __future__ import annotations

import struct
from decimal import Decimal, localcontext
from fractions import Fraction
from math import floor
from typing import Any


def multiplier(real: Fraction) -> tuple[int, int]:
    """M and shift of a real multiplier: M = real * 2^(31 - shift), half to even."""
    if real < Fraction(1, 2**32):
        return 2**30, -31
    shift = 0
    while real >= Fraction(2) ** shift:
        shift += 1
    while real < Fraction(2) ** (shift - 1):
        shift -= 1
    m = half_even(real * Fraction(2) ** (31 - shift))
    return (2**30, shift + 1) if m == 2**31 else (m, shift)


def half_even(value: Fraction) -> int:
    whole = floor(value)
    rest = value - whole
    if rest == Fraction(1, 2):
        return whole + whole % 2
    return whole + (rest > Fraction(1, 2))


def half_up(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


def half_away(value: Fraction) -> int:
    return half_up(value) if value >= 0 else -half_up(-value)


def requantize(acc: int, m: int, shift: int) -> int:
    """Double rounding: half up at 2^31, then half away at 2^-shift (only if shift < 0)."""
    first = half_up(Fraction(acc * 2 ** max(shift, 0) * m, 2**31))
    return half_away(Fraction(first, 2 ** max(-shift, 0)))


def dense(layer: Any, inputs: list[int]) -> list[int]:
    """One layer of a QuantizedModel for one row of int8 inputs."""
    outputs = []
    for row in range(len(layer.bias)):
        acc = int(layer.bias[row])
        for weight, value in zip(layer.weights[row].tolist(), inputs, strict=True):
            acc += weight * value
        assert -(2**31) < acc < 2**31
        y = requantize(acc, int(layer.multipliers[row]), int(layer.shifts[row]))
        y = min(max(y, layer.activation_min), layer.activation_max)
        outputs.append(y if layer.table is None else int(layer.table[y + 128]))
    return outputs


def run(model: Any, inputs: list[int]) -> list[list[int]]:
    """Every layer's outputs for one row of int8 inputs, -128 allowed."""
    values = [max(value, -127, model.input.input_min) for value in inputs]
    layers = []
    for layer in model.layers:
        values = dense(layer, values)
        layers.append(values)
    return layers


def binary32(value: float | Fraction) -> float:
    """The nearest binary32, half to even, by way of exact integers; overflow gives infinity."""
    exact = Fraction(value)
    if exact == 0:
        return 0.0
    exponent = 0
    while abs(exact) >= Fraction(2) ** (exponent + 1):
        exponent += 1
    while abs(exact) < Fraction(2) ** exponent:
        exponent -= 1
    unit = Fraction(2) ** (max(exponent, -126) - 23)
    rounded = half_even(exact / unit) * unit
    if abs(rounded) >= Fraction(2) ** 128:
        return float("inf") if rounded > 0 else float("-inf")
    (bits,) = struct.unpack("<f", struct.pack("<f", float(rounded)))
    assert Fraction(bits) == rounded
    return float(bits)


def quantize_input(x: float, inverse: float, offset: float, minimum: int) -> int:
    """One feature (a finite binary32) to int8."""
    product = binary32(Fraction(x) * Fraction(inverse))
    if product in (float("inf"), float("-inf")):
        return 127 if product > 0 else minimum
    total = binary32(Fraction(product) + Fraction(offset))
    if total in (float("inf"), float("-inf")):
        return 127 if total > 0 else minimum
    return min(max(half_away(Fraction(total)), minimum), 127)


def table_entry(activation: str, index: int, scale: float) -> int:
    """Entry of a sigmoid or tanh table from 50 decimal digits, half to even."""
    with localcontext() as context:
        context.prec = 50
        x = Decimal(max(index - 128, -127)) * Decimal(scale)
        if activation == "sigmoid":
            value = 1 / (1 + (-x).exp())
        else:
            value = ((2 * x).exp() - 1) / ((2 * x).exp() + 1)
        return half_even(Fraction(127 * value))
