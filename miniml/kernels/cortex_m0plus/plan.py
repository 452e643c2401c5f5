"""Picks a method for every row of a model and writes the program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from miniml.errors import BudgetError
from miniml.kernels.cortex_m0plus.bounds import LayerBounds, layer_bounds
from miniml.kernels.cortex_m0plus.layer import LayerChoice, choose, layer_rows
from miniml.kernels.cortex_m0plus.program_text import write_program
from miniml.kernels.cortex_m0plus.row_method import PackedRow
from miniml.kernels.program import KernelOptions, KernelProgram
from miniml.model import DenseLayer, QuantizedModel

PACKED_SUMS, SWAR = "packed sums", "SWAR"
# Input words beyond these are out of an SP-relative load's reach, whatever else the frame holds.
_MOST_COLUMNS = 832
# Quarters of a layer's rows by packed sums and by SWAR; the others go by the exact loop. 5: all
# by packed sums that are written out.
_INLINE = 5
_MIXTURES = ((5, 0), (4, 0), (0, 4), (3, 1), (2, 2), (1, 3), (0, 3), (0, 2), (0, 1), (0, 0))
_QUICKEST = ((5, 0), (0, 4))  # what comes into question without a limit
# Written out, wide layers take more flash than the calls are worth.
_INLINE_COLUMNS = 64
_ATTEMPTS = 12


@dataclass(frozen=True)
class _Layer:
    layer: DenseLayer
    bounds: LayerBounds
    rows: list[PackedRow]

    def choice(self, mixture: tuple[int, int]) -> LayerChoice:
        varying = sum(not row.constant for row in self.rows)
        packed = min(-(-varying * mixture[0] // 4), varying)
        both = min(-(-varying * (mixture[0] + mixture[1]) // 4), varying)
        inline = mixture[0] == _INLINE and self.layer.n_inputs <= _INLINE_COLUMNS
        return choose(self.layer, self.bounds, self.rows, packed, both - packed, inline)


def plan(model: QuantizedModel, options: KernelOptions) -> KernelProgram:
    """The program of a model for the Cortex-M0+.

    Raises:
        BudgetError: not even the smallest program fits into options.flash_bytes.
    """
    layers = [
        _Layer(layer, bounds, layer_rows(layer, bounds))
        for layer, bounds in zip(model.layers, layer_bounds(model), strict=True)
    ]
    mixtures = _allowed(model, options)
    if options.flash_bytes is None and options.optimize == "cycles":
        mixtures = [one for one in mixtures if one in _QUICKEST] or [(0, 0)]
    choices = [[one.choice(mixture) for one in layers] for mixture in mixtures]
    programs = [write_program(model, same, options.placement) for same in choices]
    if options.optimize == "flash":
        return _checked(min(programs, key=lambda program: program.flash), options)
    if options.flash_bytes is None:
        picked = _quickest(programs, range(len(programs)))
        if len(set(picked)) == 1:
            return programs[picked[0]]
        mixed = [choices[n][number] for number, n in enumerate(picked)]
        return write_program(model, mixed, options.placement)
    fitting = [one for one in programs if one.flash <= options.flash_bytes]
    if not fitting:
        return _checked(min(programs, key=lambda one: one.flash), options)
    best = min(fitting, key=lambda one: one.worst_cycles)
    for use in _USES:
        members = [n for n, mixture in enumerate(mixtures) if _used(mixture) <= use]
        # What the layers share is known once it is written: less room each time.
        room = options.flash_bytes - _shared(programs, members)
        for _ in range(_ATTEMPTS):
            found = _shrunk(programs, members, room)
            if found is None or _cycles(programs, found) >= best.worst_cycles:
                break
            mixed = [choices[n][number] for number, n in enumerate(found)]
            program = write_program(model, mixed, options.placement)
            if program.flash <= options.flash_bytes:
                best = min(best, program, key=lambda one: one.worst_cycles)
                break
            room -= program.flash - options.flash_bytes
    return best


_USES = (frozenset("ps"), frozenset("p"), frozenset("s"), frozenset("psl"), frozenset("sl"))


def _used(mixture: tuple[int, int]) -> frozenset[str]:
    """Packed sums, SWAR, loop."""
    parts = (mixture[0], mixture[1], max(4 - sum(mixture), 0))
    return frozenset(letter for letter, part in zip("psl", parts, strict=True) if part)


def _quickest(programs: Sequence[KernelProgram], members: Sequence[int]) -> list[int]:
    return [
        min(members, key=lambda n: programs[n].layers[number].worst_cycles)
        for number in range(len(programs[0].layers))
    ]


def _cycles(programs: Sequence[KernelProgram], picked: Sequence[int]) -> int:
    return sum(programs[n].layers[number].worst_cycles for number, n in enumerate(picked))


def _shared(programs: Sequence[KernelProgram], members: Sequence[int]) -> int:
    """Bytes outside of the layers: at least those of the leanest of these programs."""
    shared = [programs[n].flash - sum(one.flash for one in programs[n].layers) for n in members]
    return min(shared, default=0)


def _allowed(model: QuantizedModel, options: KernelOptions) -> list[tuple[int, int]]:
    names = (PACKED_SUMS, SWAR) if options.methods is None else options.methods
    packed = PACKED_SUMS in names and max(one.n_inputs for one in model.layers) <= _MOST_COLUMNS
    return [
        mixture
        for mixture in _MIXTURES
        if (packed or not mixture[0]) and (SWAR in names or not mixture[1])
    ]


def _shrunk(
    programs: Sequence[KernelProgram], members: Sequence[int], room: int
) -> list[int] | None:
    """A member for each layer, all layers within the room; None: there is no such thing.

    From the quickest on, the change that costs the fewest cycles for a byte comes first.
    """
    if not members:
        return None
    picked = _quickest(programs, members)
    while sum(programs[n].layers[number].flash for number, n in enumerate(picked)) > room:
        changes = []
        for number, n in enumerate(picked):
            now = programs[n].layers[number]
            for other in members:
                saved = now.flash - programs[other].layers[number].flash
                if saved > 0:
                    more = programs[other].layers[number].worst_cycles - now.worst_cycles
                    changes.append((more / saved, number, other))
        if not changes:
            return None
        _, number, other = min(changes)
        picked[number] = other
    return picked


def _checked(program: KernelProgram, options: KernelOptions) -> KernelProgram:
    if options.flash_bytes is not None and program.flash > options.flash_bytes:
        raise BudgetError(
            f"the smallest kernels take {program.flash} bytes of flash, not "
            f"{options.flash_bytes}: use fewer or narrower layers"
        )
    return program
