"""What toolchains make of the C kernel: records measured on simulated boards.

`calibration.json` holds them; `python -m miniml.cost.calibrate` measures and rewrites them.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from miniml.cost.paths import PATHS
from miniml.model import Float64Array

FILE = Path(__file__).with_name("calibration.json")
FORMAT = "miniml.calibration/1"


@dataclass(frozen=True)
class Calibration:
    """One core and toolchain.

    Attributes:
        core: as in boards.ini.
        toolchain: as build.json says it, such as "avr-gcc-5.4.0 -Os -flto".
        memory: what the cycles hold for, "0 wait states".
        cycles: of one pass of each of PATHS; those left out take none of their own.
        stack: bytes of stack of one run, from the call of <name>_run_layers on.
        kernel_flash: bytes of the kernel's functions.
        worst_error: largest relative error over the models of the calibration.
    """

    core: str
    toolchain: str
    memory: str
    cycles: dict[str, float]
    stack: int
    kernel_flash: int
    worst_error: float

    def coefficients(self) -> Float64Array:
        """Cycles by PATHS, float64."""
        return np.array([self.cycles.get(name, 0.0) for name in PATHS])


@dataclass(frozen=True)
class CalibrationFile:
    """All records, and the kernel that they are of.

    Attributes:
        kernel: SHA-256 of the kernel's sources (`kernel_digest`).
        records: by (core, toolchain).
    """

    kernel: str
    records: dict[tuple[str, str], Calibration]

    def text(self) -> str:
        """Canonical JSON, indented for diffs."""
        records = [dataclasses.asdict(record) for _, record in sorted(self.records.items())]
        content = {"format": FORMAT, "kernel": self.kernel, "records": records}
        return json.dumps(content, indent=1, sort_keys=True) + "\n"


@cache
def load_calibrations(file: Path = FILE) -> CalibrationFile:
    """Read the records."""
    content = json.loads(file.read_text(encoding="utf-8"))
    records = [Calibration(**record) for record in content["records"]]
    return CalibrationFile(content["kernel"], {(r.core, r.toolchain): r for r in records})


def find_calibration(core: str, toolchain: str | None) -> Calibration | None:
    """The record of exactly this core and toolchain."""
    return load_calibrations().records.get((core, toolchain)) if toolchain else None
