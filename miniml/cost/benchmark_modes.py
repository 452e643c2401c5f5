"""One generated header of any mode on a simulated core: bits, cycles, flash, SRAM, stack.

As `miniml.cost.benchmark`, for headers whose values are int8 or binary32.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from miniml.cost.benchmark import KERNEL, LIBRARY, ModelCode, Target, run_tool
from miniml.cost.elf_symbols import loaded_bytes, symbols
from miniml.errors import SimulatorError
from miniml.sim.arm.core import Stop
from miniml.sim.arm.machine import CoreName, Machine
from miniml.sim.avr.batch import run_batch

Int64Array = NDArray[np.int64]
Values = NDArray[Any]

_MAX_CYCLES = 4_000_000_000
_INPUTS_AT = 0x2008_0000

# Marks (bytes written to GPIOR0): 1 and 2 around a call, then the bytes of the layer's output.
_AVR_PROGRAM = r"""
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

_ARM_PROGRAM = r"""
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


@dataclass(frozen=True)
class Header:
    """A generated header and what a benchmark has to know of it.

    Attributes:
        code: `<name>_model.h`, which has `<name>_run_layers`, and what it needs besides. Sources
            of a library are compiled with -O2 and without warnings.
        name: the model's.
        widths: inputs, then outputs of each layer.
        dtype: of its values, int8 or float32.
    """

    code: ModelCode
    name: str
    widths: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True, eq=False)
class ModeMeasurement:
    """One header on one core.

    Attributes:
        cycles: int64, (n,): of all layers, as TIME counts.
        outputs: (n, width) of the header's dtype, one a layer.
        flash, sram: bytes that the model, its kernel and the compiler's library add to the
            program; on ARM the stack is not in them, nor on an AVR.
        stack: most bytes of stack below the call.
    """

    cycles: Int64Array
    outputs: list[Values]
    flash: int
    sram: int
    stack: int


def measure_mode(target: Target, header: Header, inputs: Values, folder: Path) -> ModeMeasurement:
    """Compile and run one header.

    Args:
        target: of `miniml.cost.benchmark.TARGETS`.
        header: small enough for the core, with the inputs.
        inputs: (n, n_inputs), of the header's dtype.
        folder: an empty one for the programs.

    Raises:
        UsageError: the compiler is missing or refuses.
        SimulatorError: the simulated core can't be started, or the program ran into a fault.
    """
    program, without = _build(target, header, inputs, folder)
    run = _run_avr if target.core == "avr" else _run_arm
    cycles, outputs, stack = run(target.core, program, header, inputs)
    flash, sram = loaded_bytes(program)
    other_flash, other_sram = loaded_bytes(without)
    return ModeMeasurement(
        cycles=np.array(cycles, np.int64),
        outputs=[np.stack(rows) for rows in zip(*outputs, strict=True)],
        flash=flash - other_flash,
        sram=sram - other_sram,
        stack=stack,
    )


def _build(target: Target, header: Header, inputs: Values, folder: Path) -> tuple[Path, Path]:
    """Compile a program around a header, as the target's builder would, and one without it."""
    data = np.ascontiguousarray(inputs).view(np.uint8).reshape(len(inputs), -1)
    rows = ",\n".join("{" + ",".join(map(str, row)) + "}" for row in data.tolist())
    widths = ",".join(map(str, header.widths[1:]))
    value = "int8_t" if header.dtype == np.int8 else "float"
    empty = "empty" if target.core == "avr" else "benchmark_empty"
    flash = "MINIML_FLASH MINIML_UNUSED"
    texts = {"model.h": header.code.header, **header.code.texts}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "rows.h").write_text(
        f"#define ROWS {len(data)}\n#define VALUE {value}\n"
        f"#define MODEL_CONSTANT(symbol) {header.name.upper()}_##symbol\n"
        f"#ifdef WITHOUT_MODEL\n#define RUN {empty}\n"
        f"#else\n#define RUN {header.name}_run_layers\n#endif\n"
        f"static const uint16_t widths[] {flash} = {{{widths}}};\n"
        f"static const uint8_t rows[][{data.shape[1]}] {flash} = {{\n{rows}}};\n",
        encoding="utf-8",
    )
    main = folder / "main.c"
    main.write_text(_AVR_PROGRAM if target.core == "avr" else _ARM_PROGRAM, encoding="utf-8")
    compiler = target.prefix + "gcc"
    own = json.loads((LIBRARY / "library.json").read_text(encoding="utf-8"))["build"]
    common = [*target.machine, *target.compile_flags, *target.optimization]
    library = [*(flag for flag in common if flag not in own["unflags"]), *own["flags"]]
    code = header.code
    includes = [f"-I{KERNEL}", f"-I{folder}"]
    includes += [word for path in code.includes for word in ("-isystem", str(path))]
    objects = []
    generated = [folder / name for name in code.texts if not name.endswith(".h")]
    for these, sources in (
        (library, sorted(KERNEL.glob("*.c"))),
        ([*common, *code.flags], generated),
        ([*common, *code.flags, "-O2", "-w"], code.sources),
    ):
        for source in sources:
            objects.append(str(folder / f"{source.stem}.o"))
            run_tool([compiler, *these, *includes, "-c", str(source), "-o", objects[-1]])
    programs = []
    for name, flags in (("program", ()), ("without", ("-DWITHOUT_MODEL",))):
        main_object, program = str(folder / f"{name}.o"), folder / f"{name}.elf"
        run_tool(
            [compiler, *common, *code.flags, *flags, *includes, "-c", str(main), "-o", main_object]
        )
        link = [*target.machine, *target.optimization, *target.link_flags]
        run_tool([compiler, *link, "-o", str(program), main_object, *objects])
        programs.append(program)
    return programs[0], programs[1]


def _run_avr(
    core: str, program: Path, header: Header, inputs: Values
) -> tuple[list[int], list[list[Values]], int]:
    result = run_batch(program, cycles=_MAX_CYCLES)
    if result.end != "sleep" or result.crashed:
        raise SimulatorError(f"the benchmark on {core} ended by {result.crashed or result.end}")
    marks = iter(result.marks)

    def span() -> int:
        first, last = next(marks), next(marks)
        assert (first.value, last.value) == (1, 2)
        return last.cycle - first.cycle

    empty = span()
    cycles, outputs = [], []
    for _ in inputs:
        layers = []
        for width in header.widths[1:]:
            count = span() - empty
            size = width * header.dtype.itemsize
            content = bytes(next(marks).value for _ in range(size))
            layers.append(np.frombuffer(content, header.dtype))
        cycles.append(count)
        outputs.append(layers)
    sp_at_call = symbols(program)["sp_at_call"][0] & 0xFFFF
    return cycles, outputs, result.word(sp_at_call) - result.sp_min


def _run_arm(
    core: str, program: Path, header: Header, inputs: Values
) -> tuple[list[int], list[list[Values]], int]:
    machine = Machine.bare(cast(CoreName, core))
    try:
        machine.load_elf(program)
        empty = machine.call(machine.symbols["benchmark_empty"], _INPUTS_AT, 1).cycles
        # Assembly is global: called as it is, without the wrapper that a static function needs.
        own = f"{header.name}_run_layers"
        entry = machine.symbols.get(own, machine.symbols["benchmark_run"])
        cycles, outputs, stack = [], [], 0
        for row in inputs:
            machine.write(_INPUTS_AT, row.tobytes())
            layers = []
            for number, width in enumerate(header.widths[1:], start=1):
                result = machine.call(entry, _INPUTS_AT, number)
                if result.stop is not Stop.TRAP:
                    raise SimulatorError(f"the benchmark on {core} ended by {result.stop.name}")
                content = machine.read(result.value, width * header.dtype.itemsize)
                layers.append(np.frombuffer(content, header.dtype))
                stack = max(stack, result.stack)
            cycles.append(result.cycles - empty)
            outputs.append(layers)
        return cycles, outputs, stack
    finally:
        machine.close()
