"""Measured coefficients, a record a core and toolchain; `calibrate` writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from miniml.model import DenseLayer, Float64Array, QuantizedModel

FILE = "calibration.json"


@dataclass(frozen=True)
class Calibration:
    """What one toolchain makes of the portable kernel.

    Attributes:
        call: cycles of one run, without its layers.
        layer: cycles of a layer's entry and exit.
        terms: cycles for each count of `layer_terms`, by name.
        copy: cycles for each input byte that is clamped.
        stack: bytes of stack of the sketch and link while a model runs.
    """

    call: float
    copy: float
    layer: float
    terms: Mapping[str, float]
    stack: int


TERMS = ("rows", "pairs", "odd", "places", "left", "tables")


def layer_terms(layer: DenseLayer) -> Float64Array:
    """How often each part of the kernel runs in one layer; float64, (len(TERMS),).

    rows: outputs; pairs, odd: multiply-accumulates by twos and the ones left over; places:
    bits of all right shifts (a loop on AVR); left: rows with a left shift, and its bits;
    tables: look-ups.
    """
    shifts = layer.shifts.astype(np.int64)
    return np.array(
        [
            layer.n_outputs,
            layer.n_outputs * (layer.n_inputs // 2),
            layer.n_outputs * (layer.n_inputs % 2),
            2 * np.maximum(-shifts, 0).sum(),
            (shifts >= 0).sum() + shifts[shifts > 0].sum(),
            layer.n_outputs if layer.table is not None else 0,
        ],
        np.float64,
    )


@cache
def calibrations() -> dict[tuple[str, str], Calibration]:
    """All records, by (core, toolchain)."""
    text = (resources.files("miniml.cost") / FILE).read_text(encoding="utf-8")
    return {
        (entry.pop("core"), entry.pop("toolchain")): Calibration(**entry)
        for entry in json.loads(text)
    }


def layer_cycles(layer: DenseLayer, calibration: Calibration) -> float:
    """Cycles of one layer."""
    weights = np.array([calibration.terms[name] for name in TERMS])
    return float(calibration.layer + layer_terms(layer) @ weights)


def run_cycles(model: QuantizedModel, calibration: Calibration) -> float:
    """Cycles of one run outside its layers."""
    return calibration.call + calibration.copy * model.n_inputs
