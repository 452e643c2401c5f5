"""CMSIS-NN 4.0.0 as the development package bakenn carries it, built for a PC, a core, PlatformIO.

miniml/bench/cmsis_nn.py finds it; nothing of it is copied into the repository.
"""

from __future__ import annotations

import atexit
import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from host_program import KERNEL

from miniml.bench.cmsis_nn import includes, root, sources, version_flags
from miniml.cost.benchmark import TARGETS

# 4.0.0 takes these types from CMSIS-Core, which a PC has not.
HOST = ("-D__GNUC_PYTHON__", "-D__RESTRICT=__restrict")


@cache
def host_objects(flags: tuple[str, ...] = ("-O2",)) -> tuple[Path, ...]:
    """The library for this machine, compiled once a process: the same sources, their portable C."""
    folder = Path(tempfile.mkdtemp(prefix="cmsis-nn-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    command = ["gcc", "-std=gnu11", "-w", *HOST, f"-I{includes()[0]}", *flags, "-c"]
    subprocess.run([*command, *map(str, sources())], check=True, cwd=folder)
    return tuple(sorted(folder.glob("*.o")))


def host_flags() -> tuple[str, ...]:
    """For a program whose header calls the library."""
    return ("-DCMSISNN_ENABLED", *version_flags(), *HOST, "-isystem", str(includes()[0]))


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
    command += [*target.optimization, *flags, *version_flags(), *_arm_paths(folder)]
    subprocess.run(command, check=True, cwd=folder)
    return folder / "main.o"


def _arm_paths(folder: Path) -> list[str]:
    paths = [f"-I{folder}", f"-I{KERNEL}"]
    return paths + [word for path in includes() for word in ("-isystem", str(path))]


def platformio_library(folder: Path) -> Path:
    """A library folder like the one that PlatformIO makes of Arm's repository, of links."""
    library = folder / "CMSIS-NN"
    (library / "Include").mkdir(parents=True)
    # The cores of the official platforms bring CMSIS-Core, which 4.0.0 includes; the kit's don't.
    for path in includes():
        for header in path.glob("*.h"):
            (library / "Include" / header.name).symlink_to(header)
    (library / "Source").symlink_to(root() / "Source")
    # PlatformIO writes this where a repository has none: all of the folder would be compiled.
    manifest = json.dumps({"name": "CMSIS-NN", "version": "4.0.0"})
    (library / "library.json").write_text(manifest, encoding="utf-8")
    return library
