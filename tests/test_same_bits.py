"""From saved float weights on, the processor decides nothing: no AVX, another BLAS, same models."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

umath: Any = importlib.import_module("numpy._core._multiarray_umath")

REPOSITORY = Path(__file__).parent.parent
PROGRAM = """
import itertools, dataclasses
from pathlib import Path
from miniml.calibration_report import report_ranges
from miniml.pipeline import make_lock, prepare
p = prepare(Path("firmware/models/sine"), train="frozen")
for granular, method, corrected in itertools.product(
    (False, True), ("minmax", "percentile", "mse", "kl"), (False, True)
):
    chosen = dataclasses.replace(
        p.settings.quantization,
        per_channel=granular,
        range=method,
        percentile=99.0 if method == "percentile" else 100.0,
        bias_correction=corrected,
    )
    settings = dataclasses.replace(p.settings, quantization=chosen)
    lock = make_lock(settings, "", p.dataset, p.split, p.float_model)
    print(lock.model.model_id, lock.metrics)
    if granular and not corrected:
        print(report_ranges(p.float_model, p.dataset, p.split, settings))
"""


def run(**environment: str) -> list[str]:
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=REPOSITORY,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout.splitlines()


def test_every_way_to_quantize_gives_the_same_bits_without_the_processors_extras() -> None:
    extras = [name for name in umath.__cpu_dispatch__ if umath.__cpu_features__[name]]
    plain = run(NPY_DISABLE_CPU_FEATURES=" ".join(extras), OPENBLAS_CORETYPE="Prescott")
    assert len(plain) == 20
    assert len({line.split()[0] for line in plain if "{" in line}) == 16
    assert plain == run()
