"""The simulator proper, a C program on libsimavr, compiled where it is used.

libsimavr is GPL-3, so it is never linked with or shipped in the Python package: the program's
source is ours, and the user's own compiler joins the two.
"""

from __future__ import annotations

from pathlib import Path

from miniml.errors import SimulatorError
from miniml.sim import need_linux
from miniml.sim.compile import compile_c

SOURCES = Path(__file__).parent / "runner"


def runner_program() -> Path:
    """The compiled simulator.

    Raises:
        SimulatorError: not Linux, no compiler, or libsimavr is missing.
    """
    need_linux()
    try:
        return compile_c("miniml-avr", sorted(SOURCES.glob("*.c")), ["-lsimavr"])
    except SimulatorError as error:
        if "simavr" in str(error).split(":", 1)[-1]:
            raise SimulatorError(
                f"{error}: install libsimavr-dev for the simulated Uno and Nano"
            ) from error
        raise
