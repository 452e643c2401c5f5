"""Inputs that hit what ordinary rows miss: saturation, ties, and floats at the edges."""

from __future__ import annotations

import numpy as np

from miniml import reference
from miniml.float_net import FloatNet
from miniml.model import Float32Array, Int8Array, QuantizedModel

SEED = 20260301
_POOL_FACTOR = 8


def random_inputs(model: QuantizedModel, count: int) -> Int8Array:
    """`count` rows of int8 inputs (count, n_inputs), the same ones for the same model.

    Corners first, then rows drawn from a larger pool: those whose outputs saturate, and those
    whose largest output is shared by two classes, come before ordinary ones.
    """
    corners = _corners(model.n_inputs)[:count]
    wanted = count - len(corners)
    if not wanted:
        return corners
    source = np.random.default_rng(SEED)
    pool = _draw(source, wanted * _POOL_FACTOR, model.n_inputs)
    saturates, ties = saturated_and_tied(model, pool)
    special = np.concatenate(
        [np.flatnonzero(ties)[: wanted // 4], np.flatnonzero(saturates & ~ties)[: wanted // 4]]
    )
    ordinary = np.setdiff1d(np.arange(len(pool)), special)
    chosen = np.concatenate([special, ordinary])[:wanted]
    return np.concatenate([corners, pool[chosen]])


def saturated_and_tied(
    model: QuantizedModel, inputs: Int8Array
) -> tuple[np.ndarray[tuple[int], np.dtype[np.bool_]], np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Which rows hit a clamp in any layer, and which have two equal largest outputs."""
    layers = reference.run_layers(model, inputs)
    saturates = np.zeros(len(inputs), np.bool_)
    for layer, values in zip(model.layers, layers, strict=True):
        if layer.table is None:
            at_top = values == layer.activation_max
            # Zero is where every negative sum ends under ReLU, not a rare event.
            at_bottom = (values == layer.activation_min) & (layer.activation_min < 0)
            saturates |= (at_top | at_bottom).any(axis=1)
    outputs = layers[-1]
    largest = outputs.max(axis=1, keepdims=True)
    ties = (outputs == largest).sum(axis=1) > 1
    return saturates, ties


def hard_floats(model: QuantizedModel, features: Float32Array, count: int) -> Float32Array:
    """`count` float rows: edges of binary32 first, halves between two steps, then real rows."""
    n = model.n_inputs
    tiny, huge = np.float32(1e-45), np.finfo(np.float32).max
    edges = [0.0, -0.0, np.nan, np.inf, -np.inf, huge, -huge, tiny, -tiny, 1e-38]
    rows = [np.resize(np.array(edges, np.float32), n), np.full(n, np.nan, np.float32)]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for step in (0.5, -0.5, 126.5, -126.5, 63.5, 127.49):
            exact = (np.float32(step) - model.input.offset) / model.input.inv_scale
            rows += [
                exact.astype(np.float32),
                np.nextafter(exact, np.float32(np.inf), dtype=np.float32),
                np.nextafter(exact, np.float32(-np.inf), dtype=np.float32),
            ]
    return np.concatenate([np.stack(rows), features])[:count].astype(np.float32)


def hard_features(net: FloatNet, features: Float32Array, count: int) -> Float32Array:
    """`count` rows for a float mode: edges of binary32, values of every size, then real rows."""
    n = net.n_inputs
    tiny, huge = np.float32(1e-45), np.finfo(np.float32).max
    edges = [0.0, -0.0, tiny, -tiny, 1e-38, -1e-20, 1e20, huge, -huge, np.inf, -np.inf, np.nan]
    rows = [np.full(n, edge, np.float32) for edge in edges]
    rows += [np.resize(np.array(edges[start:], np.float32), n) for start in (0, 5)]
    source = np.random.default_rng(SEED)
    scaled = source.normal(0, 1, (16, n)) * 10.0 ** source.integers(-6, 6, (16, n))
    with np.errstate(over="ignore"):
        spread = (scaled / net.factor + net.shift).astype(np.float32)
    return np.concatenate([np.stack(rows), spread, features])[:count]


def _corners(n: int) -> Int8Array:
    rows = [np.full(n, value, np.int8) for value in (0, 127, -127, -128, 1, -1)]
    rows += [
        np.resize(np.array(pair, np.int8), n) for pair in ((127, -128), (-127, 127), (64, -64))
    ]
    return np.stack(rows)


def _draw(source: np.random.Generator, count: int, n: int) -> Int8Array:
    """Uniform rows, rows of extremes only, and sparse ones, a third each."""
    uniform = source.integers(-128, 128, (count, n))
    extremes = source.choice([-128, -127, 127], (count, n))
    sparse = uniform * (source.random((count, n)) < 0.1)
    kind = source.integers(0, 3, (count, 1))
    return np.choose(kind, [uniform, extremes, sparse]).astype(np.int8)
