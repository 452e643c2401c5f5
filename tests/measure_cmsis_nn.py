"""Cycles of CMSIS-NN under our header: `python tests/measure_cmsis_nn.py [NET ...]`.

docs/CMSIS_NN.md has them. With MINIML_CMSIS_NN set to a release's folder, of that release.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1])]

from miniml import reference  # noqa: E402
from miniml.bench.cmsis_nn import cmsis_nn  # noqa: E402
from miniml.cost.benchmark import TARGETS, ModelCode, measure, portable_code  # noqa: E402
from miniml.kernels.benchmark_nets import WIDTHS, benchmark_net  # noqa: E402
from miniml.model import Int8Array, QuantizedModel  # noqa: E402


def with_one_multiplier(model: QuantizedModel) -> QuantizedModel:
    """The net with the multiplier and shift of each layer's first row for all rows."""
    layers = (
        dataclasses.replace(
            layer,
            multipliers=np.full_like(layer.multipliers, layer.multipliers[0]),
            shifts=np.full_like(layer.shifts, layer.shifts[0]),
        )
        for layer in model.layers
    )
    return dataclasses.replace(model, layers=tuple(layers))


def line(core: str, model: QuantizedModel, inputs: Int8Array, code: ModelCode, what: str) -> str:
    """Cycles, bytes, and whether all bytes were right."""
    with tempfile.TemporaryDirectory() as folder:
        found = measure(TARGETS[core], model, inputs, Path(folder), code=code)
    cycles = found.cycles[:, -1]
    exact = np.array_equal(found.outputs, reference.run_layers(model, inputs)[-1])
    return (
        f"{core} {what}: {cycles.mean() / model.macs:.2f} cycles/MAC, at most {cycles.max():,} "
        f"cycles, flash {found.flash:,}, SRAM {found.sram:,}, stack {found.stack}, "
        f"{'all bytes right' if exact else 'BYTES DIFFER'}"
    )


def main() -> None:
    """Prints a line for each core, net, kernel and level of optimization."""
    for core in ("cortex-m4", "cortex-m0plus"):
        for name in sys.argv[1:] or WIDTHS:
            net = benchmark_net(name, 1, rows=2 if name == "N6" else 5)
            rows, one = net.model, with_one_multiplier(net.model)
            print(line(core, rows, net.inputs, portable_code(rows), f"{name} int8 C"))
            for level in ("-O2", "-Os"):
                for model, kind in ((rows, "per_channel"), (one, "per_layer")):
                    what = f"{name} CMSIS-NN {kind} {level}"
                    print(line(core, model, net.inputs, cmsis_nn(model, level), what), flush=True)


if __name__ == "__main__":
    main()
