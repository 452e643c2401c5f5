"""The benchmark program of an AVR, run in batch on libsimavr."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from miniml.cost.benchmark_run import Run, Values
from miniml.cost.elf_symbols import symbols
from miniml.errors import SimulatorError
from miniml.sim.avr.batch import Event, run_batch

_MAX_CYCLES = 4_000_000_000

# Marks (bytes written to GPIOR0): 1 and 2 around a call, then the bytes of the layer's output.
PROGRAM = r"""
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include "miniml.h"
#include "model.h"
#include "rows.h"

#define MARK(byte) \
  __asm__ volatile("out %0, %1" ::"I"(_SFR_IO_ADDR(GPIOR0)), "r"((uint8_t)(byte)) : "memory")

typedef const VALUE *(*run_function)(const VALUE *in, uint8_t n_layers);
static VALUE in[MODEL_CONSTANT(N_INPUTS)];
volatile uint16_t sp_at_call;

MINIML_NOINLINE static const VALUE *empty(const VALUE *values, uint8_t n_layers) {
  (void)n_layers;
  return values;
}

MINIML_NOINLINE static const VALUE *count(run_function run, uint8_t n_layers) {
  sp_at_call = SP;
  MARK(1);
  const VALUE *out = run(in, n_layers);
  MARK(2);
  return out;
}

int main(void) {
  count(empty, 1);
  for (uint16_t row = 0; row < ROWS; row++) {
    memcpy_P(in, rows[row], sizeof in);
    for (uint8_t n = 1; n <= MODEL_CONSTANT(N_LAYERS); n++) {
      const uint8_t *out = (const uint8_t *)count(RUN, n);
      const uint16_t size = pgm_read_word(&widths[n - 1]) * sizeof(VALUE);
      for (uint16_t i = 0; i < size; i++) {
        MARK(out[i]);
      }
    }
  }
  cli();
  sleep_mode();
}
"""


def run(program: Path, widths: Sequence[int], inputs: Values) -> Run:
    """Cycles, outputs and stack of a program whose layers have these widths.

    Args:
        program: of PROGRAM.
        widths: outputs of each layer.
        inputs: what rows.h has: int8 or float32, (n, n_inputs).

    Raises:
        SimulatorError: the simulator can't be started, or the program didn't end.
    """
    result = run_batch(program, cycles=_MAX_CYCLES)
    if result.end != "sleep" or result.crashed:
        raise SimulatorError(f"the benchmark on avr ended by {result.crashed or result.end}")
    marks = iter(result.marks)
    empty = _span(next(marks), next(marks))
    cycles = np.zeros((len(inputs), len(widths)), np.int64)
    outputs = [np.zeros((len(inputs), width), inputs.dtype) for width in widths]
    for row in range(len(inputs)):
        for layer, output in enumerate(outputs):
            cycles[row, layer] = _span(next(marks), next(marks)) - empty
            content = bytes(next(marks).value for _ in range(output[row].nbytes))
            output[row] = np.frombuffer(content, inputs.dtype)
    # Data addresses of an AVR's ELF lie above 0x800000.
    sp_at_call = symbols(program)["sp_at_call"][0] & 0xFFFF
    return Run(cycles, outputs, result.word(sp_at_call) - result.sp_min)


def _span(first: Event, last: Event) -> int:
    assert (first.value, last.value) == (1, 2)
    return last.cycle - first.cycle
