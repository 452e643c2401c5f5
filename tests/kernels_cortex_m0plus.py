"""Runs generated kernels on the simulated Cortex-M0+: many programs in one ELF."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from miniml import reference
from miniml.kernels.cortex_m0plus import plan
from miniml.kernels.program import KernelOptions, KernelProgram
from miniml.model import Int8Array, QuantizedModel
from miniml.sim.arm.core import Stop
from miniml.sim.arm.machine import Machine

_MANY = 10
CALLER = Path(__file__).with_name("kernels_cortex_m0plus_caller.S")


@dataclass(frozen=True, eq=False)
class Case:
    """A model, its program and inputs (n, n_inputs) to run."""

    model: QuantizedModel
    inputs: Int8Array
    program: KernelProgram


def case(model: QuantizedModel, inputs: Int8Array, options: KernelOptions | None = None) -> Case:
    """A case with the program that the options ask for."""
    return Case(model, inputs, plan(model, options or KernelOptions()))


def link(cases: Sequence[Case], folder: Path) -> Path:
    """One ELF of all programs; models need different names."""
    sources = [CALLER]
    # As in a firmware; where there are many, without a preprocessor's process for each.
    suffix = "S" if len(cases) < _MANY else "s"
    for item in cases:
        sources.append(folder / f"{item.model.name}.{suffix}")
        sources[-1].write_text(item.program.assembly, encoding="utf-8")
    elf = folder / "program.elf"
    subprocess.run(
        [
            *("arm-none-eabi-gcc", "-mcpu=cortex-m0plus", "-mthumb", "-nostdlib"),
            *("-Wl,-Ttext=0x10000000,-Tdata=0x20000000,-e,call_full", "-Wl,--build-id=none"),
            *("-Wa,--fatal-warnings", "-Wl,--fatal-warnings", *map(str, sources), "-o", str(elf)),
        ],
        check=True,
    )
    return elf


CALL_TWICE = """\
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
extern const int8_t *NAME_run_layers(const int8_t *in, uint8_t n_layers);
extern int8_t NAME_input_buffer[INPUTS];
extern int call_twice(const int8_t *in, int8_t *out);
#ifdef __cplusplus
}
#endif
int call_twice(const int8_t *in, int8_t *out) {
  int sum = 0;
  for (int turn = 0; turn < 2; turn++) {
    for (int i = 0; i < INPUTS; i++)
      NAME_input_buffer[i] = in[i];
    const int8_t *outputs = NAME_run_layers(NAME_input_buffer, LAYERS);
    for (int i = 0; i < OUTPUTS; i++)
      sum += out[i] = outputs[i];
  }
  return sum;
}
"""


def compile_caller(item: Case, folder: Path, language: str, flags: Sequence[str]) -> Path:
    """An ELF of a program with a C or C++ function that runs it: `call_twice(in, out)`."""
    model = item.model
    values = {"NAME": model.name, "INPUTS": model.n_inputs, "OUTPUTS": model.n_outputs}
    text = CALL_TWICE
    for name, value in (values | {"LAYERS": len(model.layers)}).items():
        text = text.replace(name, str(value))
    source = folder / ("caller.c" if language == "c" else "caller.cpp")
    source.write_text(text, encoding="utf-8")
    (folder / "kernels.S").write_text(item.program.assembly, encoding="utf-8")
    elf = folder / "called.elf"
    subprocess.run(
        [
            *("arm-none-eabi-gcc", "-mcpu=cortex-m0plus", "-mthumb", *flags, "-Wall", "-Werror"),
            *("-nostdlib", "-ffreestanding", "-funsigned-char", "-fno-exceptions"),
            *("-Wl,-Ttext=0x10000000,-Tdata=0x20000000,-e,call_twice", "-Wl,--gc-sections"),
            *(str(source), str(folder / "kernels.S"), "-o", str(elf), "-lgcc"),
        ],
        check=True,
    )
    return elf


def global_symbols(elf: Path) -> set[str]:
    """Names of an ELF's global functions and objects."""
    with elf.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        return {
            symbol.name
            for symbol in table.iter_symbols()
            if symbol["st_info"]["bind"] == "STB_GLOBAL"
            and symbol["st_info"]["type"] in ("STT_FUNC", "STT_OBJECT")
        }


def section_bytes(elf: Path) -> dict[str, int]:
    """Sizes of an ELF's sections."""
    with elf.open("rb") as file:
        return {s.name: int(s["sh_size"]) for s in ELFFile(file).iter_sections()}


def differences(cases: Sequence[Case], folder: Path, *, prefixes: bool = True) -> list[str]:
    """What differs from the reference or from the plan, a line each; empty if nothing does.

    Args:
        cases: linked and run in one machine.
        folder: for the files.
        prefixes: run the first 1, 2, ... layers too, not only all of them.
    """
    machine = Machine.bare("cortex-m0plus")
    try:
        machine.load_elf(link(cases, folder))
        return [line for item in cases for line in _differences(machine, item, prefixes)]
    finally:
        machine.close()


def _differences(machine: Machine, item: Case, prefixes: bool) -> list[str]:
    model, program = item.model, item.program
    expected = reference.run_layers(model, item.inputs)
    cycles = program.cycles(item.inputs).sum(axis=1)
    function = machine.symbols[f"{model.name}_run_layers"]
    buffer = machine.symbols[f"{model.name}_input_buffer"]
    found = []
    if len(cycles) and int(cycles.max()) > program.worst_cycles:
        found.append(f"{model.name}: {cycles.max()} cycles, worst {program.worst_cycles}")
    deepest = 0
    for number, row in enumerate(item.inputs):
        last = len(model.layers)
        for n in range(1 if prefixes else last, last + 1):
            machine.write(buffer, row.tobytes())
            result = machine.call(function, buffer, n)
            where = f"{model.name}, input {number}, {n} layers"
            if result.stop is not Stop.TRAP:
                return [*found, f"{where}: stopped by {result.stop.name}"]
            output = machine.read(result.value, model.layers[n - 1].n_outputs)
            if output != expected[n - 1][number].tobytes():
                found.append(f"{where}: other bytes")
            deepest = max(deepest, result.stack)
        if result.cycles - 2 != cycles[number]:  # an empty function takes 2
            found.append(f"{where}: {result.cycles - 2} cycles, foretold {cycles[number]}")
    if len(item.inputs) and deepest != program.stack:
        found.append(f"{model.name}: {deepest} bytes of stack, foretold {program.stack}")
    return found


def registers_lost(
    item: Case, folder: Path, *, shift: int = 0, interrupts: int | None = None
) -> int:
    """Not 0 where a call with full registers loses one; the output is checked too.

    Args:
        item: its first input is run.
        folder: for the files.
        shift: bytes by which the input is off a word.
        interrupts: an interrupt every so many cycles.
    """
    machine = Machine.bare("cortex-m0plus")
    try:
        machine.load_elf(link([item], folder))
        name, at = item.model.name, 0x2008_0000
        machine.write(at + shift, item.inputs[0].tobytes())
        function = machine.symbols[f"{name}_run_layers"] | 1
        layers = len(item.model.layers)
        if interrupts is not None:
            machine.call(machine.symbols["interrupt_often"], interrupts)
        result = machine.call(
            machine.symbols["call_full"], at + shift, layers, function, 0x2009_0000
        )
        ticks = int.from_bytes(machine.read(machine.symbols["ticks"], 4), "little")
        assert (ticks > 5) == (interrupts is not None)
        assert result.stop is Stop.TRAP
        pointer = int.from_bytes(machine.read(0x2009_0000, 4), "little")
        output = np.frombuffer(machine.read(pointer, item.model.n_outputs), np.int8)
        expected = reference.run_layers(item.model, item.inputs[:1])[-1][0]
        np.testing.assert_array_equal(output, expected)
        return result.value
    finally:
        machine.close()
