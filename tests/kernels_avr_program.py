"""Generated AVR kernels of several models in one program, run on the simulated chip."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from miniml import reference
from miniml.cost.elf_symbols import symbols
from miniml.kernels.program import Int64Array, KernelProgram
from miniml.model import Int8Array, QuantizedModel
from miniml.sim.avr.batch import Event, run_batch

_MAIN = r"""
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/pgmspace.h>
#include <avr/sleep.h>
#include <stdint.h>
#define MARK(byte) \
  __asm__ volatile("out %0, %1" ::"I"(_SFR_IO_ADDR(GPIOR0)), "r"((uint8_t)(byte)) : "memory")
#ifdef __cplusplus
extern "C" {
#endif
typedef const int8_t *(*run_function)(const int8_t *in, uint8_t n_layers);
const int8_t *full_call(run_function run, const int8_t *in, uint8_t n_layers);
extern volatile uint8_t full_call_faults;
@DECLARATIONS@
#ifdef __cplusplus
}
#endif
typedef struct {
  run_function run;
  int8_t *buffer;
  const int8_t *rows;
  uint16_t n_inputs;
  uint8_t n_layers, n_rows;
  uint16_t widths[6];
} net;
static const net nets[] = {@NETS@};
volatile uint16_t sp_at_call;
__attribute__((noinline)) static const int8_t *empty(const int8_t *in, uint8_t n_layers) {
  (void)n_layers;
  return in;
}
__attribute__((noinline)) static const int8_t *count(run_function run, const int8_t *in,
                                                     uint8_t n_layers) {
  sp_at_call = SP;
  MARK(1);
  const int8_t *out = @CALL@;
  MARK(2);
  return out;
}
@HANDLER@
int main(void) {
  @SETUP@
  count(empty, 0, 1);
  for (uint8_t i = 0; i < sizeof nets / sizeof nets[0]; i++) {
    const net *n = &nets[i];
    for (uint8_t row = 0; row < n->n_rows; row++) {
      for (uint8_t layers = n->n_layers; layers > 0; layers--) {
        memcpy_P(n->buffer, n->rows + row * n->n_inputs, n->n_inputs);
        const int8_t *out = count(n->run, n->buffer, layers);
        for (uint16_t o = 0; o < n->widths[layers - 1]; o++) {
          MARK(out[o]);
        }
      }
    }
  }
  @TEARDOWN@
  cli();
  sleep_mode();
}
"""
_FULL_CALL = Path(__file__).with_name("kernels_avr_full_call.S")
# Timer 2 interrupts every 90 cycles or so, never twice at the same place.
_HARSH = {
    "@SETUP@": "TCCR2A = 2; TCCR2B = 1; OCR2A = 90; TIMSK2 = 2; sei();",
    "@HANDLER@": "volatile uint16_t ticks;\n"
    "ISR(TIMER2_COMPA_vect) { ticks++; OCR2A = 90 + (ticks & 15); }",
    "@CALL@": "full_call(run, in, n_layers)",
    "@TEARDOWN@": "MARK(full_call_faults); MARK(ticks >> 8);",
}
_PLAIN = {"@SETUP@": "", "@HANDLER@": "", "@CALL@": "run(in, n_layers)", "@TEARDOWN@": ""}


@dataclass(frozen=True, eq=False)
class Case:
    """A model, its program, and what to run it on, int8 (n, n_inputs)."""

    model: QuantizedModel
    program: KernelProgram
    inputs: Int8Array


@dataclass(frozen=True, eq=False)
class Run:
    """Cycles by row and number of layers, outputs of each layer, and bytes of stack."""

    cycles: Int64Array
    outputs: list[Int8Array]
    stack: int


def build(
    cases: Sequence[Case],
    folder: Path,
    flags: Sequence[str] = ("-Os",),
    *,
    cplusplus: bool = False,
    harsh: bool = False,
) -> Path:
    """One ELF of all cases; their names must differ.

    `harsh`: the caller's registers are full and interrupts are on; cycles tell nothing then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    declarations, nets = [], []
    sources = [str(_FULL_CALL)] if harsh else []
    for case in cases:
        name, shape = case.model.name, case.inputs.shape
        source = folder / f"{name}_kernels.S"
        source.write_text(case.program.assembly)
        sources.append(str(source))
        rows = ",".join(map(str, case.inputs.ravel().tolist()))
        declarations.append(
            f"const int8_t *{name}_run_layers(const int8_t *in, uint8_t n_layers);\n"
            f"extern int8_t {name}_input_buffer[{shape[1]}];\n"
            f"static const int8_t {name}_rows[] PROGMEM = {{{rows}}};"
        )
        widths = ",".join(map(str, case.model.widths[1:]))
        nets.append(
            f"{{{name}_run_layers, {name}_input_buffer, {name}_rows, {shape[1]}, "
            f"{len(case.model.layers)}, {shape[0]}, {{{widths}}}}}"
        )
    text = _MAIN.replace("@DECLARATIONS@", "\n".join(declarations))
    text = text.replace("@NETS@", ",\n".join(nets))
    for place, content in (_HARSH if harsh else _PLAIN).items():
        text = text.replace(place, content)
    main = folder / ("main.cpp" if cplusplus else "main.c")
    main.write_text(text)
    program = folder / "program.elf"
    command = ["avr-g++" if cplusplus else "avr-gcc", "-mmcu=atmega328p", *flags]
    command += ["-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"]
    subprocess.run([*command, "-o", str(program), str(main), *sources], check=True)
    return program


def run(cases: Sequence[Case], program: Path, *, harsh: bool = False) -> list[Run]:
    """Run what `build` made."""
    result = run_batch(program, cycles=2_000_000_000)
    assert not result.crashed, result.crashed
    assert result.end == "sleep"
    marks = iter(result.marks)
    empty = _span(next(marks), next(marks))
    # Data addresses of an AVR's ELF lie above 0x800000.
    stack = result.word(symbols(program)["sp_at_call"][0] & 0xFFFF) - result.sp_min
    runs = []
    for case in cases:
        layers = len(case.model.layers)
        cycles = np.zeros((len(case.inputs), layers), np.int64)
        outputs = [np.zeros((len(case.inputs), w), np.uint8) for w in case.model.widths[1:]]
        for row in range(len(case.inputs)):
            for last in range(layers - 1, -1, -1):
                cycles[row, last] = _span(next(marks), next(marks)) - empty
                width = case.model.widths[last + 1]
                outputs[last][row] = [next(marks).value for _ in range(width)]
        runs.append(Run(cycles, [values.view(np.int8) for values in outputs], stack))
    if harsh:
        assert next(marks).value == 0, "a call-saved register or r1 is changed"
        assert next(marks).value > 0, "no interrupts came"
    assert next(marks, None) is None
    return runs


def differences(case: Case, found: Run, *, harsh: bool = False) -> list[str]:
    """What is otherwise than foretold: bytes of each layer, cycles of each number of layers."""
    wrong = []
    for number, (layer, expected) in enumerate(
        zip(found.outputs, reference.run_layers(case.model, case.inputs), strict=True), start=1
    ):
        count = int((layer != expected).sum())
        if count:
            rows = sorted(set(np.nonzero(layer != expected)[1].tolist()))
            wrong.append(f"layer {number}: {count} bytes differ, of rows {rows}")
    if harsh:
        return wrong
    foretold = case.program.cycles(case.inputs).cumsum(axis=1)[:, 1:]
    if not np.array_equal(foretold, found.cycles):
        gap = (found.cycles - foretold)[0].tolist()
        wrong.append(f"cycles differ, by {gap} for the first input")
    if int(found.cycles[:, -1].max()) > case.program.worst_cycles:
        wrong.append("an input takes more cycles than the worst case")
    return wrong


def sizes(placed: Mapping[str, tuple[int, int]], name: str) -> tuple[int, int]:
    """Bytes of flash and of SRAM of a model's symbols among those of an ELF."""
    flash = sram = 0
    for symbol, (address, size) in placed.items():
        if symbol.startswith(f"{name}_") and not symbol.endswith("_rows"):
            if address < 0x800000:
                flash += size
            else:
                sram += size
    return flash, sram


def _span(first: Event, last: Event) -> int:
    assert (first.value, last.value) == (1, 2)
    return last.cycle - first.cycle
