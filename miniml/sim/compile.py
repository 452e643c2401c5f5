"""Compile a simulator's C part on first use; the cache key is everything that goes in."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from miniml.cache import cache_dir
from miniml.errors import SimulatorError


def compile_c(
    name: str, sources: Sequence[Path], flags: Sequence[str] = (), *, shared: bool = False
) -> Path:
    """The path of an executable (or shared library) made from C sources.

    Compiled once for a given compiler, sources, neighbouring headers and flags; two
    processes that compile at the same time both win, by rename.

    Raises:
        SimulatorError: no C compiler, or the compilation failed.
    """
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise SimulatorError("no C compiler for the simulated boards: install gcc")
    command = [compiler, "-O2", "-Wall", "-Wextra", "-Werror"]
    command += ["-shared", "-fPIC"] if shared else []
    digest = hashlib.sha256("\0".join([*command, *flags]).encode())
    headers = sorted(header for source in sources for header in source.parent.glob("*.h"))
    for file in [*sources, *headers]:
        digest.update(file.read_bytes())
    suffix = ".so" if shared else ""
    target = cache_dir() / f"{name}-{digest.hexdigest()[:16]}{suffix}"
    if target.exists():
        return target
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        built = Path(folder) / target.name
        result = subprocess.run(
            [*command, "-o", str(built), *map(str, sources), *flags],
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            reason = next((line for line in result.stderr.splitlines() if "error" in line), "?")
            raise SimulatorError(f"can't compile {name}: {reason.strip()}")
        built.replace(target)
    return target
