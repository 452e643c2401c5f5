"""`python -m miniml.cost.calibrate`: measure what the compilers on PATH make of the kernel.

Compiles sample models for each core as PlatformIO's builders would, runs them on the simulated
cores, fits the cycles of each path of the kernel and rewrites calibration.json. To be done after
any change of the kernel, and for a new compiler (put it first on PATH, `--add` keeps the others).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from miniml import reference
from miniml.cost.benchmark import TARGETS, Measurement, Target, kernel_digest, measure
from miniml.cost.calibration import FILE, Calibration, CalibrationFile, load_calibrations
from miniml.cost.paths import PATHS, count_paths
from miniml.cost.sample_models import sample_inputs, sample_models
from miniml.errors import MiniMLError, SimulatorError, UsageError
from miniml.model import Float64Array, Int8Array, QuantizedModel

MODELS = 40
ROWS = 6
SEED = 1
# Coefficients are sums of whole instructions; beyond this many digits is the fit's noise.
DIGITS = 4


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m miniml.cost.calibrate", description=__doc__)
    parser.add_argument("cores", nargs="*", metavar="CORE", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--add", action="store_true", help="keep records of other toolchains")
    parser.add_argument("--file", type=Path, default=FILE, help="instead of the package's own")
    arguments = parser.parse_args(argv)
    try:
        cores = arguments.cores or list(TARGETS)
        for core in cores:
            if core not in TARGETS:
                raise UsageError(f"core {core!r} is unknown: use one of {', '.join(TARGETS)}")
        records = _kept(arguments.file) if arguments.add else {}
        for core in cores:
            record = calibrate(TARGETS[core])
            records[core, record.toolchain] = record
            print(f"{core}: {record.toolchain}, worst error {100 * record.worst_error:.3f} %")
    except MiniMLError as error:
        print(f"calibrate: error: {error}", file=sys.stderr)
        return error.exit_code
    temporary = arguments.file.with_name(f".{arguments.file.name}.{os.getpid()}.tmp")
    temporary.write_text(CalibrationFile(kernel_digest(), records).text(), encoding="utf-8")
    temporary.replace(arguments.file)
    return 0


def _kept(file: Path) -> dict[tuple[str, str], Calibration]:
    """The records of a file, if they are of today's kernel."""
    if not file.exists():
        return {}
    found = load_calibrations(file)
    return dict(found.records) if found.kernel == kernel_digest() else {}


def calibrate(target: Target) -> Calibration:
    """Measure the sample models on one core and fit.

    Raises:
        UsageError: no compiler.
        SimulatorError: no simulator, or it gives other bytes than the reference.
    """
    passes, cycles, stack, kernel_flash = [], [], 0, 0
    for model in sample_models(SEED, MODELS):
        inputs = sample_inputs(model, SEED, ROWS)
        found = measure_checked(target, model, inputs)
        counts = np.cumsum(count_paths(model, inputs), axis=1)[:, 1:]
        passes.append(counts.reshape(-1, len(PATHS)))
        cycles.append(found.cycles.reshape(-1))
        stack, kernel_flash = max(stack, found.stack), max(kernel_flash, found.kernel_flash)
    table, measured = np.concatenate(passes).astype(float), np.concatenate(cycles).astype(float)
    fitted = fit(table, measured)
    error = np.abs(table @ fitted - measured) / measured
    return Calibration(
        core=target.core,
        toolchain=target.toolchain(),
        memory="0 wait states",
        cycles={name: value for name, value in zip(PATHS, fitted.tolist(), strict=True) if value},
        stack=stack,
        kernel_flash=kernel_flash,
        worst_error=round(float(error.max()), 6),
    )


def measure_checked(target: Target, model: QuantizedModel, inputs: Int8Array) -> Measurement:
    """One model's cycles, of a run that gave the right bytes.

    Raises:
        SimulatorError: it did not.
    """
    with tempfile.TemporaryDirectory() as folder:
        found = measure(target, model, inputs, Path(folder))
    if not np.array_equal(found.outputs, reference.run_layers(model, inputs)[-1]):
        raise SimulatorError(f"{target.core} and the reference differ on {model.name}: a fault")
    return found


def fit(passes: Float64Array, cycles: Float64Array) -> Float64Array:
    """Cycles of a pass of each path, least squares; the smallest where some can't be told apart.

    Args:
        passes: float64, (measurements, len(PATHS)).
        cycles: float64, (measurements,).
    """
    fitted = np.linalg.lstsq(passes, cycles, rcond=None)[0]
    return np.asarray(np.round(fitted, DIGITS) + 0.0)


if __name__ == "__main__":
    sys.exit(main())
