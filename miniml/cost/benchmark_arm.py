"""The benchmark program of a Cortex-M: no program of its own, its functions are called."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np

from miniml.cost.benchmark_run import Run, Values
from miniml.errors import SimulatorError
from miniml.sim.arm.core import Stop
from miniml.sim.arm.machine import ART_168_MHZ, XIP_125_MHZ, CoreName, Machine

_INPUTS_AT = 0x2008_0000

PROGRAM = r"""
#include "miniml.h"
#include "model.h"
#include "rows.h"

const VALUE *benchmark_empty(const VALUE *in, uint8_t n_layers);
const VALUE *benchmark_run(const VALUE *in, uint8_t n_layers);

const VALUE *benchmark_empty(const VALUE *in, uint8_t n_layers) {
  (void)n_layers;
  return in;
}

const VALUE *benchmark_run(const VALUE *in, uint8_t n_layers) {
  return RUN(in, n_layers);
}
"""


# What stands behind "as shipped": both chips' flash at the clock that their cores set.
_SHIPPED = {"cortex-m4": ART_168_MHZ, "cortex-m0plus": XIP_125_MHZ}


def run(
    core: str,
    program: Path,
    name: str,
    widths: Sequence[int],
    inputs: Values,
    *,
    shipped: bool = False,
) -> Run:
    """Cycles, outputs and stack of a program whose layers have these widths.

    Args:
        core: "cortex-m4" or "cortex-m0plus".
        program: of PROGRAM.
        name: of the model.
        widths: outputs of each layer.
        inputs: int8 or float32, (n, n_inputs).
        shipped: with the wait states and caches of the chip, warm: each run follows one of its own.

    Raises:
        SimulatorError: the simulator can't be started, or the program ran into a fault.
    """
    machine = Machine.bare(cast(CoreName, core), flash=_SHIPPED[core] if shipped else None)
    try:
        machine.load_elf(program)
        for _ in range(1 + shipped):
            empty = machine.call(machine.symbols["benchmark_empty"], _INPUTS_AT, 1).cycles
        # Assembly is global: called as it is, without the wrapper that a static function needs.
        own = f"{name}_run_layers"
        entry = machine.symbols.get(own, machine.symbols["benchmark_run"])
        # A first run may prepare something for all others.
        machine.call(entry, _INPUTS_AT, 1)
        cycles = np.zeros((len(inputs), len(widths)), np.int64)
        outputs = [np.zeros((len(inputs), width), inputs.dtype) for width in widths]
        stack = 0
        for row, values in enumerate(inputs):
            machine.write(_INPUTS_AT, values.tobytes())
            for layer, output in enumerate(outputs):
                if shipped:
                    machine.call(entry, _INPUTS_AT, layer + 1)
                result = machine.call(entry, _INPUTS_AT, layer + 1)
                if result.stop is not Stop.TRAP:
                    raise SimulatorError(f"the benchmark on {core} ended by {result.stop.name}")
                cycles[row, layer] = result.cycles - empty
                content = machine.read(result.value, output[row].nbytes)
                output[row] = np.frombuffer(content, inputs.dtype)
                stack = max(stack, result.stack)
        return Run(cycles, outputs, stack)
    finally:
        machine.close()
