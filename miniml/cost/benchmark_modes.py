"""One generated header of any mode on a simulated core: bits, cycles, flash, SRAM, stack.

As `miniml.cost.benchmark`, for headers whose values are int8 or binary32.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from miniml.cost import benchmark_arm, benchmark_avr
from miniml.cost.benchmark import KERNEL, LIBRARY, ModelCode, Target
from miniml.cost.benchmark_run import ROWS_HEADER, Values, rows_header
from miniml.cost.compiler import run_tool
from miniml.cost.elf_symbols import loaded_bytes

Int64Array = NDArray[np.int64]


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
    widths = header.widths[1:]
    if target.core == "avr":
        run = benchmark_avr.run(program, widths, inputs)
    else:
        run = benchmark_arm.run(target.core, program, header.name, widths, inputs)
    flash, sram = loaded_bytes(program)
    other_flash, other_sram = loaded_bytes(without)
    return ModeMeasurement(
        cycles=run.cycles[:, -1],
        outputs=run.outputs,
        flash=flash - other_flash,
        sram=sram - other_sram,
        stack=run.stack,
    )


def _build(target: Target, header: Header, inputs: Values, folder: Path) -> tuple[Path, Path]:
    """Compile a program around a header, as the target's builder would, and one without it."""
    texts = {
        "model.h": header.code.header,
        ROWS_HEADER: rows_header(target.core, header.name, header.widths[1:], inputs),
        "main.c": benchmark_avr.PROGRAM if target.core == "avr" else benchmark_arm.PROGRAM,
        **header.code.texts,
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
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
    programs, main = [], str(folder / "main.c")
    for name, flags in (("program", ()), ("without", ("-DWITHOUT_MODEL",))):
        main_object, program = str(folder / f"{name}.o"), folder / f"{name}.elf"
        run_tool([compiler, *common, *code.flags, *flags, *includes, "-c", main, "-o", main_object])
        link = [*target.machine, *target.optimization, *target.link_flags]
        run_tool([compiler, *link, "-o", str(program), main_object, *objects])
        programs.append(program)
    return programs[0], programs[1]
