"""CMSIS-NN 4.0.0 as the development package bakenn carries it, built for a PC, a core, PlatformIO.

Nothing of it is copied into the repository. With MINIML_CMSIS_NN set to the folder of another
release (its Include and Source), these tests run on that one.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from host_program import KERNEL

from miniml.adapters.cmsis_nn.adapter import generate
from miniml.cost import benchmark_arm
from miniml.cost.benchmark import TARGETS, Measurement
from miniml.cost.elf_symbols import loaded_bytes
from miniml.model import Int8Array, QuantizedModel

OTHER_RELEASE = "MINIML_CMSIS_NN"
# What a generated header can call, by release; the files that are there are compiled.
SOURCES = (
    "ConvolutionFunctions/arm_convolve_1x1_s8_fast.c",
    "ConvolutionFunctions/arm_convolve_get_buffer_sizes_s8.c",
    "ConvolutionFunctions/arm_convolve_s8.c",
    "ConvolutionFunctions/arm_nn_mat_mult_kernel_row_offset_s8_s16.c",
    "ConvolutionFunctions/arm_nn_mat_mult_kernel_s8_s16.c",
    "FullyConnectedFunctions/arm_fully_connected_get_buffer_sizes_s8.c",
    "FullyConnectedFunctions/arm_fully_connected_per_channel_s8.c",
    "FullyConnectedFunctions/arm_fully_connected_s8.c",
    "NNSupportFunctions/arm_nn_mat_mult_nt_t_s8.c",
    "NNSupportFunctions/arm_nn_vec_mat_mult_t_per_ch_s8.c",
    "NNSupportFunctions/arm_nn_vec_mat_mult_t_s8.c",
    "NNSupportFunctions/arm_q7_to_q15_with_offset.c",
    "NNSupportFunctions/arm_s8_to_s16_unordered_with_offset.c",
)
# 4.0.0 takes these types from CMSIS-Core, which a PC has not.
HOST = ("-D__GNUC_PYTHON__", "-D__RESTRICT=__restrict")


def vendor() -> Path:
    """The folder of bakenn that holds cmsis_nn and cmsis_core."""
    found = importlib.util.find_spec("bakenn")
    assert found is not None, "bakenn is missing: run make setup"
    assert found.origin is not None
    return Path(found.origin).parent / "backend" / "cmsis_nn" / "vendor"


def root() -> Path:
    """The folder with Include and Source."""
    other = os.environ.get(OTHER_RELEASE)
    return Path(other) if other else vendor() / "cmsis_nn"


def includes() -> list[Path]:
    """Folders of headers: CMSIS-NN's, and CMSIS-Core's compiler header that 4.0.0 asks for."""
    return [root() / "Include", vendor() / "cmsis_core" / "Include"]


def sources() -> list[Path]:
    """The files to compile."""
    return [file for name in SOURCES if (file := root() / "Source" / name).is_file()]


def per_channel_flags() -> tuple[str, ...]:
    """CMSISNN_VERSION=7 where the release has the per-channel function."""
    newer = "arm_fully_connected_per_channel_s8.c" in {file.name for file in sources()}
    return ("-DCMSISNN_VERSION=7",) if newer else ()


def host_objects(folder: Path, flags: Sequence[str] = ("-O2",)) -> list[Path]:
    """The library for this machine: the same sources, their portable C path."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["gcc", "-std=gnu11", "-w", *HOST, f"-I{includes()[0]}", *flags, "-c"]
    subprocess.run([*command, *map(str, sources())], check=True, cwd=folder)
    return sorted(folder.glob("*.o"))


def host_flags() -> tuple[str, ...]:
    """For a program whose header calls the library."""
    return ("-DCMSISNN_ENABLED", *per_channel_flags(), *HOST, "-isystem", str(includes()[0]))


def arm_program(
    core: str,
    main: str,
    headers: dict[str, str],
    folder: Path,
    *,
    optimization: str = "-O2",
    library_flags: Sequence[str] = (),
    flags: Sequence[str] = ("-DCMSISNN_ENABLED",),
) -> Path:
    """An ELF for a simulated core: `main` with a builder's flags, the library with its own."""
    target = TARGETS[core]
    common = [f"{target.prefix}gcc", *target.machine, *target.compile_flags]
    paths = _arm_paths(folder)
    arm_object(core, main, headers, folder, flags)
    command = [*common, optimization, "-w", *library_flags, *paths, "-c"]
    library = [*map(str, sources()), *map(str, sorted(KERNEL.glob("*.c")))]
    subprocess.run([*command, *library], check=True, cwd=folder)
    program = folder / "program.elf"
    link = [f"{target.prefix}gcc", *target.machine, *target.optimization, *target.link_flags]
    objects = sorted(folder.glob("*.o"))
    subprocess.run([*link, "-o", str(program), *map(str, objects)], check=True)
    return program


def arm_object(
    core: str, main: str, headers: dict[str, str], folder: Path, flags: Sequence[str]
) -> Path:
    """`main` alone, compiled."""
    for name, text in {**headers, "main.c": main}.items():
        (folder / name).write_text(text, encoding="utf-8")
    target = TARGETS[core]
    command = [f"{target.prefix}gcc", *target.machine, *target.compile_flags, "-c", "main.c"]
    command += [*target.optimization, *flags, *per_channel_flags(), *_arm_paths(folder)]
    subprocess.run(command, check=True, cwd=folder)
    return folder / "main.o"


def _arm_paths(folder: Path) -> list[str]:
    paths = [f"-I{folder}", f"-I{KERNEL}"]
    return paths + [word for path in includes() for word in ("-isystem", str(path))]


def measure(
    core: str, model: QuantizedModel, inputs: Int8Array, folder: Path, optimization: str = "-O2"
) -> Measurement:
    """As miniml.cost.benchmark.measure, on CMSIS-NN; kernel_flash is 0.

    The self-test, which the first run does, is not in the figures.
    """
    rows = "#define MODEL(symbol) model_##symbol\n".replace("model_", f"{model.name}_")
    headers = {"model.h": generate(model, "a benchmark"), "rows.h": rows}
    program = arm_program(core, benchmark_arm.PROGRAM, headers, folder, optimization=optimization)
    first = np.concatenate([inputs[:1], inputs])
    cycles, outputs, stack = benchmark_arm.run(core, program, model, first)
    return Measurement(
        np.array(cycles, np.int64)[1:], outputs[1:], stack, 0, *loaded_bytes(program)
    )


def platformio_library(folder: Path, flags: Sequence[str] = ("-O2",)) -> Path:
    """A private library folder as docs/CMSIS_NN.md describes it, of links to the release."""
    library = folder / "CMSIS-NN"
    (library / "Include").mkdir(parents=True)
    for path in includes():
        for header in path.iterdir():
            (library / "Include" / header.name).symlink_to(header)
    (library / "Source").symlink_to(root() / "Source")
    manifest = {
        "name": "CMSIS-NN",
        "version": "4.0.0",
        "build": {
            "srcDir": "Source",
            "includeDir": "Include",
            "srcFilter": ["-<*>", *(f"+<{name}>" for name in SOURCES)],
            "flags": list(flags),
            "unflags": ["-Os"],
        },
    }
    (library / "library.json").write_text(json.dumps(manifest, indent=2), encoding="utf-8")
    return library
