"""How sure the calibrated ranges are, and which rows of the CSV set them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from miniml.calibration import Observed, calibration_rows, observe
from miniml.dataset import Dataset, Split
from miniml.float_model import FloatModel
from miniml.settings import Settings

# Leaving out a tenth of the rows, ten times: row i of the calibration rows is in group i mod 10.
GROUPS = 10
ROWS_SHOWN = 3


@dataclass(frozen=True)
class RangeReport:
    """One activation's range and what it rests on.

    Attributes:
        name: "input", "layer 1", ...
        range: the real value that int8's 127 stands for.
        low, high: least and largest range when each tenth of the rows is left out in turn;
            None with fewer than two rows.
        unseen: share of the values, in percent, that lie beyond the range which the other nine
            tenths ask for: how often new rows may be clipped; None with fewer than two rows.
        clipped: share of all values beyond the range, in percent.
        rows: lines of the CSV with the largest values, the largest first.
        sizes: |value| there.
    """

    name: str
    range: float
    low: float | None
    high: float | None
    unseen: float | None
    clipped: float
    rows: tuple[int, ...]
    sizes: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)

    def line(self) -> str:
        """One line for people."""
        spread = "from one row"
        if self.low is not None and self.high is not None and self.unseen is not None:
            spread = (
                f"{self.low:.4g} to {self.high:.4g} without a tenth of the rows, "
                f"{self.unseen:.2g} % of unseen values beyond"
            )
        largest = ", ".join(
            f"{row} ({size:.4g})" for row, size in zip(self.rows, self.sizes, strict=True)
        )
        return (
            f"{self.name}: range {self.range:.4g} ({spread}), {self.clipped:.2g} % clipped; "
            f"largest in rows {largest}"
        )


def report_ranges(
    model: FloatModel, dataset: Dataset, split: Split, settings: Settings
) -> tuple[RangeReport, ...]:
    """Report on the ranges that `calibrate` finds: the input's, then each layer's.

    Raises:
        CalibrationError: as `calibrate`.
    """
    rows = calibration_rows(split, settings)
    lines = [dataset.line_of(row) for row in rows.tolist()]
    observed = observe(model, dataset.features[rows], settings)
    return tuple(_report(one, lines, settings.quantization.percentile) for one in observed)


def _report(observed: Observed, lines: list[int], percent: float) -> RangeReport:
    chosen = observed.range(percent)
    sizes = np.abs(observed.values)
    by_row = sizes.max(axis=1)
    largest = np.argsort(-by_row, kind="stable")[:ROWS_SHOWN].tolist()
    low = high = unseen = None
    groups = min(GROUPS, len(sizes))
    if groups > 1:
        group = np.arange(len(sizes)) % groups
        found, beyond = [], 0
        for number in range(groups):
            found.append(observed.of_rows(group != number).range(percent))
            beyond += int((sizes[group == number] > min(found[-1], observed.most)).sum())
        low, high, unseen = min(found), max(found), 100.0 * beyond / sizes.size
    return RangeReport(
        name=observed.name,
        range=chosen,
        low=low,
        high=high,
        unseen=unseen,
        clipped=100.0 * int((sizes > chosen).sum()) / sizes.size,
        rows=tuple(lines[index] for index in largest),
        sizes=tuple(float(by_row[index]) for index in largest),
    )
