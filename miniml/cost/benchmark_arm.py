"""The benchmark program of a Cortex-M: no program of its own, its functions are called."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np

from miniml.errors import SimulatorError
from miniml.model import Int8Array, QuantizedModel
from miniml.sim.arm.core import Stop
from miniml.sim.arm.machine import ART_168_MHZ, XIP_125_MHZ, CoreName, Machine

_INPUTS_AT = 0x2008_0000

PROGRAM = r"""
#include "model.h"
#include "rows.h"

const int8_t *benchmark_empty(const int8_t *in, uint8_t n_layers);
const int8_t *benchmark_run(const int8_t *in, uint8_t n_layers);

const int8_t *benchmark_empty(const int8_t *in, uint8_t n_layers) {
  (void)n_layers;
  return in;
}

const int8_t *benchmark_run(const int8_t *in, uint8_t n_layers) {
  return MODEL(run_layers)(in, n_layers);
}
"""


# What stands behind "as shipped": both chips' flash at the clock that their cores set.
_SHIPPED = {"cortex-m4": ART_168_MHZ, "cortex-m0plus": XIP_125_MHZ}


def run(
    core: str, program: Path, model: QuantizedModel, inputs: Int8Array, *, shipped: bool = False
) -> tuple[list[list[int]], Int8Array, int]:
    """Cycles by row and layers, outputs, and stack in bytes.

    `shipped` counts the flash's wait states and caches, warm: each run follows one of its own.
    """
    machine = Machine.bare(cast(CoreName, core), flash=_SHIPPED[core] if shipped else None)
    try:
        machine.load_elf(program)
        cycles, outputs, stack = [], [], 0
        for _ in range(1 + shipped):
            empty = machine.call(machine.symbols["benchmark_empty"], _INPUTS_AT, 1).cycles
        # Assembly is global: called as it is, without the wrapper that a static function needs.
        own = f"{model.name}_run_layers"
        entry = machine.symbols.get(own, machine.symbols["benchmark_run"])
        # A first run may prepare something for all others.
        machine.call(entry, _INPUTS_AT, 1)
        for row in inputs:
            machine.write(_INPUTS_AT, row.tobytes())
            spans = []
            for n in range(1, len(model.layers) + 1):
                if shipped:
                    machine.call(entry, _INPUTS_AT, n)
                result = machine.call(entry, _INPUTS_AT, n)
                if result.stop is not Stop.TRAP:
                    raise SimulatorError(f"the benchmark stopped on {core}: {result.stop.name}")
                spans.append(result.cycles - empty)
                stack = max(stack, result.stack)
            cycles.append(spans)
            outputs.append(machine.read(result.value, model.n_outputs))
        return cycles, np.array([list(o) for o in outputs], np.uint8).astype(np.int8), stack
    finally:
        machine.close()
