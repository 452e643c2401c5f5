"""The benchmark program of an AVR, run in batch on libsimavr."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from miniml.cost.elf_symbols import symbols
from miniml.model import Int8Array, QuantizedModel
from miniml.sim.avr.batch import Event, run_batch

_MAX_CYCLES = 2_000_000_000

# Marks (bytes written to GPIOR0): 1 and 2 around a call, then the outputs.
PROGRAM = r"""
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include "model.h"
#include "rows.h"

#define MARK(byte) \
  __asm__ volatile("out %0, %1" ::"I"(_SFR_IO_ADDR(GPIOR0)), "r"((uint8_t)(byte)) : "memory")

typedef const int8_t *(*run_function)(const int8_t *in, uint8_t n_layers);
static int8_t in[MODEL_CONSTANT(N_INPUTS)];
volatile uint16_t sp_at_call;

MINIML_NOINLINE static const int8_t *empty(const int8_t *values, uint8_t n_layers) {
  (void)n_layers;
  return values;
}

MINIML_NOINLINE static const int8_t *count(run_function run, uint8_t n_layers) {
  sp_at_call = SP;
  MARK(1);
  const int8_t *out = run(in, n_layers);
  MARK(2);
  return out;
}

int main(void) {
  count(empty, 1);
  for (uint16_t row = 0; row < ROWS; row++) {
    memcpy_P(in, rows[row], sizeof in);
    for (uint8_t n = 1; n <= MODEL_CONSTANT(N_LAYERS); n++) {
      const int8_t *out = count(MODEL(run_layers), n);
      for (uint16_t i = 0; n == MODEL_CONSTANT(N_LAYERS) && i < MODEL_CONSTANT(N_OUTPUTS); i++) {
        MARK(out[i]);
      }
    }
  }
  cli();
  sleep_mode();
}
"""


def run(
    core: str, program: Path, model: QuantizedModel, inputs: Int8Array, *, shipped: bool = False
) -> tuple[list[list[int]], Int8Array, int]:
    """Cycles by row and layers, outputs, and stack in bytes.

    `shipped` changes nothing: the chip has neither wait states nor caches.
    """
    result = run_batch(program, cycles=_MAX_CYCLES)
    marks = iter(result.marks)
    empty = _span(next(marks), next(marks))
    cycles, outputs = [], []
    for _ in inputs:
        cycles.append([_span(next(marks), next(marks)) - empty for _ in model.layers])
        outputs.append([next(marks).value for _ in range(model.n_outputs)])
    # Data addresses of an AVR's ELF lie above 0x800000.
    sp_at_call = symbols(program)["sp_at_call"][0] & 0xFFFF
    stack = result.word(sp_at_call) - result.sp_min
    return cycles, np.array(outputs, np.uint8).astype(np.int8), stack


def _span(first: Event, last: Event) -> int:
    assert (first.value, last.value) == (1, 2)
    return last.cycle - first.cycle
