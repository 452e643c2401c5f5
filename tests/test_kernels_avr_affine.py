"""The AVR's requantization by one multiplication, at every threshold, without a compiler."""

from __future__ import annotations

import dataclasses

import numpy as np
from kernels_avr_nets import draw
from random_models import random_model

from miniml.fixed_point import requantize
from miniml.kernels.avr import product
from miniml.kernels.avr.affine import WINDOW, Affine, Window, search
from miniml.kernels.avr.rows import Row, model_rows

NETS = 80


def output(row: Row, affine: Affine, accumulator: int) -> int:
    """What the generated code gives for an accumulator, byte product by byte product."""
    lowest, highest = row.reach
    window = chosen(row, affine, accumulator)
    if window is None:
        return lowest if accumulator < affine.base or accumulator < 0 else highest
    total = window.constant
    orders = ((i, j) for i in range(3 if affine.wide else 2) for j in range(3))
    for i, j in orders:
        k = i + j
        if k == 0 or k > affine.top:
            continue
        piece = (accumulator - affine.base >> 8 * i & 255) * (affine.multiplier >> 8 * j & 255)
        total += (piece if k >= affine.bottom else piece & ~255) << 8 * k
    byte = total >> affine.shift & 255
    if affine.fix:
        if highest == 127:
            byte = 127 if byte & 128 else byte
        elif byte >= highest + 1 & 255:
            byte = highest & 255
    return byte - 256 if byte & 128 else byte


def chosen(row: Row, affine: Affine, accumulator: int) -> Window | None:
    """The window whose product counts; None where the code leaves before."""
    offset = accumulator - affine.base
    if affine.negative:
        reached = row.thresholds[(row.thresholds > row.low) & (row.thresholds <= row.high)]
        if not reached.min() <= accumulator < reached.max():
            return None
        windows = affine.positive if accumulator >= 0 else affine.negative
        return next(one for one in windows if one.third == offset >> 16)
    if offset < 0 or (row.high >= affine.beyond and accumulator >= affine.beyond):
        return None
    if affine.wide:
        return affine.positive[0]
    return next(one for one in affine.positive if one.third == offset >> 16)


def check(row: Row) -> int:
    """Compares at every threshold, and where a window begins; returns whether it multiplies."""
    affine = None if row.is_constant else search(row)
    if affine is None:
        return 0
    # Between two of these the product rises, so that they suffice.
    edges = np.arange(row.low // WINDOW, row.high // WINDOW + 2) * WINDOW
    at = np.concatenate([row.thresholds, edges, edges + affine.base, [row.high]])
    at = np.unique(np.concatenate([at, at - 1]))
    at = at[(at >= row.low) & (at <= row.high)]
    raw = requantize(at, np.full(1, row.multiplier, np.int32), np.full(1, row.shift, np.int8))
    expected = np.clip(raw, row.minimum, row.maximum).tolist()
    for one in (affine, affine.other, product.to_share(affine)):
        if one is not None:
            assert [output(row, one, accumulator) for accumulator in at.tolist()] == expected
    return 1


def test_every_threshold_of_random_rows() -> None:
    models = [draw(seed)[0] for seed in range(NETS)]
    rows = [row for model in models for layer in model_rows(model) for row in layer.rows]
    assert sum(map(check, rows)) > 500


def test_outputs_clamped_on_one_side_of_zero() -> None:
    """Steps at zero too: an accumulator of 1 gives more than the highest output."""
    multiplied = 0
    for seed in range(NETS):
        rng = np.random.default_rng(seed)
        model = random_model(rng, widths=[int(rng.integers(1, 30)), 6])
        low, high = sorted(rng.choice(np.arange(-127, 128), 2, replace=False).tolist())
        shifts = rng.integers(-6, 9, 6).astype(np.int8)
        layer = dataclasses.replace(
            model.layers[0],
            bias=rng.integers(-5000, 5000, 6).astype(np.int32),
            shifts=shifts,
            activation_min=low,
            activation_max=high,
        )
        changed = dataclasses.replace(model, layers=(layer,))
        multiplied += sum(check(row) for one in model_rows(changed) for row in one.rows)
    assert multiplied > 100
