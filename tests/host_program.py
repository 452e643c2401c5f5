"""C programs for this machine, compiled with every warning and both sanitizers."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

FIRMWARE = Path(__file__).parents[1] / "firmware"
KERNEL = FIRMWARE / "lib/MiniML/src"
LINK = FIRMWARE / "lib/MiniMLLink/src"
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror")
SANITIZERS = ("-fsanitize=undefined,address", "-fno-sanitize-recover=all", "-g")


def compile_program(
    folder: Path,
    main: str,
    *,
    headers: dict[str, str] | None = None,
    sources: Sequence[Path] | None = None,
    flags: Sequence[str] = ("-O1", *SANITIZERS),
    standard: str = "c99",
    compiler: str = "gcc",
) -> Path:
    """The path of a program made of `main` and the kernel (or `sources`)."""
    for name, text in (headers or {}).items():
        (folder / name).write_text(text, encoding="utf-8")
    main_file = folder / ("main.cpp" if standard.startswith("c++") else "main.c")
    main_file.write_text(main, encoding="utf-8")
    program = folder / "program"
    command = [
        *(compiler, f"-std={standard}", *WARNINGS, *flags),
        *(f"-I{path}" for path in (folder, KERNEL, LINK)),
        *("-o", str(program), str(main_file)),
        *map(str, sorted(KERNEL.glob("*.c")) if sources is None else sources),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return program


def run_program(program: Path, content: bytes = b"") -> bytes:
    """Standard output of a program that must end well and say nothing on standard error."""
    done = subprocess.run([str(program)], input=content, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert not done.stderr, done.stderr.decode()
    return done.stdout
