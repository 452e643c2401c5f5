"""Cycles of generated models on simulated cores, outside of any firmware.

A benchmark program calls <name>_run_layers through a pointer, as the link's TIME does, and takes
the call of an empty function off.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from miniml.adapters import int8
from miniml.cost.benchmark_run import ROWS_HEADER, rows_header
from miniml.cost.compiler import AVR_FLASH, AVR_SRAM, run_tool
from miniml.cost.elf_symbols import loaded_bytes, symbols
from miniml.cost.paths import Int64Array
from miniml.errors import BudgetError
from miniml.kernels.program import KernelProgram
from miniml.model import Int8Array, QuantizedModel

LIBRARY = Path(__file__).parents[2] / "firmware" / "lib" / "MiniML"
KERNEL = LIBRARY / "src"
# What a call of anything takes at least, on top of a program's data.
LEAST_STACK = 64


def kernel_digest() -> str:
    """SHA-256 over the kernel's sources and flags: a calibration holds for just these."""
    digest = hashlib.sha256()
    # The float modes' sources have no part in it.
    sources = sorted(file for file in KERNEL.iterdir() if not file.name.startswith("miniml_float"))
    for file in [LIBRARY / "library.json", *sources]:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


@dataclass(frozen=True)
class Target:
    """How the builders of PlatformIO compile for a core (docs/PLATFORMIO.md).

    Attributes:
        core: as in boards.ini.
        prefix: of the compiler's programs.
        machine: flags of every call.
        compile_flags: of compilation; the toolchain's optimization flags come on top.
        link_flags: of the benchmark's link.
        optimization: the builder's flags that a toolchain string names.
        flash_bytes, sram_bytes: of the chip that stands for the core.
    """

    core: str
    prefix: str
    machine: tuple[str, ...]
    compile_flags: tuple[str, ...]
    link_flags: tuple[str, ...]
    optimization: tuple[str, ...]
    flash_bytes: int
    sram_bytes: int

    def toolchain(self) -> str:
        """Such as "avr-gcc-5.4.0 -Os -flto", of the compiler on PATH."""
        version = run_tool([self.prefix + "gcc", "-dumpfullversion", "-dumpversion"]).strip()
        return " ".join([f"{self.prefix}gcc-{version}", *self.optimization])


_SECTIONS = ("-ffunction-sections", "-fdata-sections")
_ARM_LINK = (
    "-nostartfiles",
    "--specs=nano.specs",
    "-Wl,--gc-sections,-e,benchmark_run,-u,benchmark_empty",
)
TARGETS = {
    target.core: target
    for target in (
        Target(
            core="avr",
            prefix="avr-",
            machine=("-mmcu=atmega328p",),
            compile_flags=("-std=gnu11", "-Wall", *_SECTIONS, "-fno-fat-lto-objects"),
            link_flags=("-Wl,--gc-sections", "-fuse-linker-plugin"),
            optimization=("-Os", "-flto"),
            flash_bytes=AVR_FLASH,
            sram_bytes=AVR_SRAM,
        ),
        Target(
            core="cortex-m4",
            prefix="arm-none-eabi-",
            machine=("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"),
            compile_flags=("-std=gnu17", *_SECTIONS, "--param", "max-inline-insns-single=500"),
            link_flags=(*_ARM_LINK, "-Wl,-Ttext=0x08000000,-Tdata=0x20000000"),
            optimization=("-Os",),
            flash_bytes=1024 * 1024,
            sram_bytes=128 * 1024,
        ),
        Target(
            core="cortex-m0plus",
            prefix="arm-none-eabi-",
            machine=("-mcpu=cortex-m0plus", "-mthumb"),
            compile_flags=("-std=gnu11", *_SECTIONS, "-fomit-frame-pointer", "-funsigned-char"),
            link_flags=(*_ARM_LINK, "-Wl,-Ttext=0x10000000,-Tdata=0x20000000"),
            optimization=("-Os",),
            flash_bytes=2048 * 1024,
            sram_bytes=264 * 1024,
        ),
    )
}


@dataclass(frozen=True, eq=False)
class ModelCode:
    """What a benchmark compiles: any code that defines `<name>_run_layers` in its header.

    Attributes:
        header: text of model.h.
        texts: further sources by file name, compiled like the main program.
        sources: files of a library, compiled in the same way.
        includes: folders of headers, of others: their warnings don't count.
        flags: on top of the target's.
    """

    header: str
    texts: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[Path, ...] = ()
    includes: tuple[Path, ...] = ()
    flags: tuple[str, ...] = ()


def portable_code(model: QuantizedModel) -> ModelCode:
    """The C kernel of firmware/lib/MiniML."""
    return ModelCode(int8.generate(model, "a benchmark"))


def kernel_code(model: QuantizedModel, kernels: KernelProgram) -> ModelCode:
    """Generated assembly."""
    header = int8.generate(model, "a benchmark", kernels=True)
    return ModelCode(header, {"kernels.S": kernels.assembly})


@dataclass(frozen=True, eq=False)
class Measurement:
    """One model on one core.

    Attributes:
        cycles: int64, (n, layers): of the first 1, 2, ... layers, as TIME counts.
        outputs: int8, (n, n_outputs), of all layers.
        stack: most bytes of stack below the call.
        kernel_flash: bytes of the functions of miniml, or of the model's own, in the program.
        flash, sram: bytes of the whole program, the inputs among them.
    """

    cycles: Int64Array
    outputs: Int8Array
    stack: int
    kernel_flash: int
    flash: int
    sram: int


def measure(
    target: Target,
    model: QuantizedModel,
    inputs: Int8Array,
    folder: Path,
    kernels: KernelProgram | None = None,
    code: ModelCode | None = None,
    shipped: bool = False,
) -> Measurement:
    """Compile and run one model.

    Args:
        target: of TARGETS.
        model: small enough for the core, with the inputs.
        inputs: int8, (n, n_inputs).
        folder: an empty one for the program.
        kernels: the model's assembly for this core; None: the portable kernel.
        code: anything else that runs the model.
        shipped: with the wait states and caches of the chip's flash, else without any.

    Raises:
        UsageError: the compiler is missing or refuses.
        BudgetError: the program doesn't fit into the chip.
        SimulatorError: the simulated core can't be started.
    """
    from miniml.cost import benchmark_arm, benchmark_avr

    avr = target.core == "avr"
    if code is None:
        code = kernel_code(model, kernels) if kernels else portable_code(model)
    main = benchmark_avr.PROGRAM if avr else benchmark_arm.PROGRAM
    program = build(target, model, inputs, main, folder, code)
    flash, sram = loaded_bytes(program)
    _check_room(target, flash, sram)
    widths = model.widths[1:]
    if avr:  # as shipped its flash has no wait states
        run = benchmark_avr.run(program, widths, inputs)
    else:
        name = model.name
        run = benchmark_arm.run(target.core, program, name, widths, inputs, shipped=shipped)
    prefix = f"{model.name}_" if kernels else "miniml_"
    found = symbols(program).items()
    return Measurement(
        cycles=run.cycles,
        outputs=run.outputs[-1],
        stack=run.stack,
        kernel_flash=sum(size for name, (_, size) in found if name.startswith(prefix)),
        flash=flash,
        sram=sram,
    )


def _check_room(target: Target, flash: int, sram: int) -> None:
    for what, used, there in (
        ("flash", flash, target.flash_bytes),
        ("SRAM", sram + LEAST_STACK, target.sram_bytes),
    ):
        if used > there:
            raise BudgetError(f"it doesn't fit: {used:,} bytes of {what}, {there:,} are there")


def build(
    target: Target,
    model: QuantizedModel,
    inputs: Int8Array,
    main: str,
    folder: Path,
    code: ModelCode,
) -> Path:
    """Compile a program around a model's code, as the target's builder would."""
    texts = {
        "model.h": code.header,
        ROWS_HEADER: rows_header(target.core, model.name, model.widths[1:], inputs),
        "main.c": main,
        **code.texts,
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    compiler = target.prefix + "gcc"
    own = json.loads((LIBRARY / "library.json").read_text(encoding="utf-8"))["build"]
    flags = [*target.machine, *target.compile_flags, *target.optimization, *code.flags]
    library_flags = [*(flag for flag in flags if flag not in own["unflags"]), *own["flags"]]
    includes = [f"-I{KERNEL}", f"-I{folder}"]
    includes += [word for path in code.includes for word in ("-isystem", str(path))]
    objects = []
    generated = [folder / name for name in texts if not name.endswith(".h")]
    for source in [*generated, *sorted(KERNEL.glob("*.c")), *code.sources]:
        objects.append(str(folder / f"{source.stem}.o"))
        these = library_flags if source.parent == KERNEL else flags
        run_tool([compiler, *these, *includes, "-c", str(source), "-o", objects[-1]])
    program = folder / "program.elf"
    link = [*target.machine, *target.optimization, *target.link_flags]
    run_tool([compiler, *link, "-o", str(program), *objects, "-lm"])
    return program
