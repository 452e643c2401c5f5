"""Who runs in `miniml bench kernels`, in which form, on which core."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from miniml.bench import peers, plain
from miniml.bench.cmsis_nn import cmsis_nn
from miniml.cost.benchmark import ModelCode, kernel_code, portable_code
from miniml.kernels.choice import PLANNERS, plan
from miniml.kernels.program import KernelOptions, KernelProgram
from miniml.model import QuantizedModel

AVR = ("avr",)
ARM = ("cortex-m4", "cortex-m0plus")
# What a generated kernel may fill: the chips' flash, less 2 KB on the AVR for the benchmark itself.
ROOM = {"avr": 30 * 1024, "cortex-m4": 1024 * 1024, "cortex-m0plus": 2048 * 1024}
CAP = 20 * 1024
# Of the AVR's methods: the loop alone is left for sums, since it needs none of them.
LOOP, LOOP_AND_TABLES = ("multiply",), ("multiply", "table")


@dataclass(frozen=True)
class Entry:
    """A kernel for one model on one core: what is compiled, and our plan if it is ours."""

    code: ModelCode
    program: KernelProgram | None = None


# Makes an entry of a model; the folder is an empty one that stays until it was measured.
Maker = Callable[[QuantizedModel, str, Path], Entry]


@dataclass(frozen=True)
class Contestant:
    """One kernel in one form.

    Attributes:
        name: ours begin with "miniml".
        cores: where it runs.
        make: its code.
        flash_cap: bytes of flash it was held to; None: none but the chip's.
        nets: those it takes part with; empty: all.
        shipped: counts the wait states and caches of the chip's flash, warm; else ideal memory.
    """

    name: str
    cores: tuple[str, ...]
    make: Maker
    flash_cap: int | None = None
    nets: tuple[str, ...] = ()
    shipped: bool = False

    def runs(self, net: str, core: str) -> bool:
        """Whether it takes part there."""
        return core in self.cores and (not self.nets or net in self.nets)


def _generated(options: KernelOptions) -> Maker:
    def make(model: QuantizedModel, core: str, folder: Path) -> Entry:
        limit = min(options.flash_bytes or ROOM[core], ROOM[core])
        program = plan(core, model, dataclasses.replace(options, flash_bytes=limit))
        return Entry(kernel_code(model, program), program)

    return make


def _compiled(code: Callable[[QuantizedModel], ModelCode]) -> Maker:
    return lambda model, core, folder: Entry(code(model))


_OURS = tuple(core for core in (*AVR, *ARM) if core in PLANNERS)
_AVR_OURS = tuple(core for core in AVR if core in PLANNERS)
_ARM_OURS = tuple(core for core in ARM if core in PLANNERS)


CONTESTANTS: tuple[Contestant, ...] = (
    Contestant("miniml", _OURS, _generated(KernelOptions())),
    Contestant(
        "miniml in 20 KB",
        _AVR_OURS,
        _generated(KernelOptions(flash_bytes=CAP)),
        flash_cap=CAP,
        nets=("N5", "N5s"),
    ),
    # The kernel that serves any model, at its fastest: "smallest" is a loop too, but saves flash.
    Contestant("miniml loop", _AVR_OURS, _generated(KernelOptions(methods=LOOP))),
    Contestant(
        "miniml loop and tables", _AVR_OURS, _generated(KernelOptions(methods=LOOP_AND_TABLES))
    ),
    Contestant("miniml smallest", _OURS, _generated(KernelOptions(optimize="flash"))),
    Contestant("miniml in flash", _ARM_OURS, _generated(KernelOptions()), shipped=True),
    Contestant(
        "miniml, constants in SRAM",
        ("cortex-m4",),
        _generated(KernelOptions(placement="constants")),
        shipped=True,
    ),
    Contestant(
        "miniml, code in SRAM",
        ("cortex-m4",),
        # Half of the SRAM, as on a board: the other half is the firmware's.
        _generated(KernelOptions(placement="code", sram_bytes=64 * 1024)),
        shipped=True,
    ),
    Contestant(
        "miniml in SRAM", _ARM_OURS, _generated(KernelOptions(placement="sram")), shipped=True
    ),
    Contestant("miniml portable C", (*AVR, *ARM), _compiled(portable_code)),
    Contestant("plain C int8", (*AVR, *ARM), _compiled(plain.plain_int8)),
    Contestant("plain C float32", (*AVR, *ARM), _compiled(plain.plain_float32)),
    Contestant(
        "bakenn", (*AVR, *ARM), lambda model, core, folder: Entry(peers.bakenn(model, folder))
    ),
    Contestant("CMSIS-NN", ARM, _compiled(cmsis_nn)),
    Contestant("emlearn float", (*AVR, *ARM), _compiled(peers.emlearn)),
)
