"""KernelProgram: generated assembly for one model on one core, and what is known of it.

A core's module (`miniml.kernels.avr`, `cortex_m4`, `cortex_m0plus`) has one public function,
`plan(model, options)`, that picks a method for each row, proves its precondition for the actual
weights, and writes the assembly. The same bytes as `miniml.reference`, in all cases.

The assembly defines, with the C calling convention of its core,

    const int8_t *<name>_run_layers(const int8_t *in, uint8_t n_layers);
    int8_t <name>_input_buffer[n_inputs];

`in` holds any int8 and is clamped to the model's input_min; it may be the input buffer itself.
Cycles are those of an `in` that begins at a word (on ARM; others may take a few more).
The result is the plain output of layer n_layers (1 to all), valid until the next run.
Every global symbol begins with `<name>_`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from miniml.model import Int8Array, QuantizedModel

Int64Array = NDArray[np.int64]
Placement = Literal["flash", "constants", "code", "sram"]


@dataclass(frozen=True)
class KernelOptions:
    """What a generator may spend.

    Attributes:
        flash_bytes: most bytes of flash for code and constants; None: no limit.
        optimize: "cycles": the fastest within flash_bytes; "flash": the smallest.
        placement: where code and weights lie while they run: both in flash or (ARM only) in
            SRAM, or (Cortex-M4 only) constants or code alone in SRAM.
        methods: names of methods that may be used besides the exact portable one; None: all.
        sram_bytes: most bytes of SRAM for buffers and what the placement puts there. None: no
            limit on ARM, 1,536 on the AVR. The Cortex-M0+ doesn't look at it.
    """

    flash_bytes: int | None = None
    optimize: Literal["cycles", "flash"] = "cycles"
    placement: Placement = "flash"
    methods: tuple[str, ...] | None = None
    sram_bytes: int | None = None


@dataclass(frozen=True)
class RowPlan:
    """How one row is computed.

    Attributes:
        method: such as "chain of 4" or "loop".
        requantize: such as "high word" or "exact".
        proof: one line: the precondition with this row's numbers.
    """

    method: str
    requantize: str
    proof: str


@dataclass(frozen=True)
class LayerPlan:
    """One layer: a plan a row in the model's order, bytes of flash, cycles in the worst case."""

    rows: tuple[RowPlan, ...]
    flash: int
    worst_cycles: int


class CyclesOfRows(Protocol):
    """Cycles of each input row, int64 (n, 1 + layers): the run itself, then each layer."""

    def __call__(self, inputs: Int8Array) -> Int64Array:
        """`inputs` is int8, (n, n_inputs)."""


@dataclass(frozen=True, eq=False)
class KernelProgram:
    """The assembly of a model for one core, and what it takes.

    Cycles are those of one call with all layers at 0 wait states, less those of an empty
    function called in the same way (what TIME measures).

    Attributes:
        core: as in boards.ini.
        assembly: text of `<name>_kernels.S`, for the C preprocessor and GNU as.
        flash, sram: bytes of everything the assembly defines.
        stack: most bytes of stack below the call.
        layers: one a layer.
        cycles: exact cycles of given inputs (n, n_inputs), any int8.
        worst_cycles: no input takes more.
        placement: where code and weights lie while they run.
    """

    core: str
    assembly: str
    flash: int
    sram: int
    stack: int
    layers: tuple[LayerPlan, ...]
    cycles: CyclesOfRows
    worst_cycles: int
    placement: Placement = "flash"


class Planner(Protocol):
    """The public function of a core's module.

    Raises:
        BudgetError: not even the smallest program fits into options.flash_bytes.
    """

    def __call__(self, model: QuantizedModel, options: KernelOptions) -> KernelProgram:
        """Picks, proves and writes."""
