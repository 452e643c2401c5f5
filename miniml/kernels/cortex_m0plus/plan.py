"""Picks a method for every row of a model and writes the program."""

from __future__ import annotations

from collections.abc import Sequence

from miniml.errors import BudgetError
from miniml.kernels.cortex_m0plus.candidates import INLINE, Candidates, Mixture
from miniml.kernels.program import KernelOptions, KernelProgram
from miniml.model import QuantizedModel

PACKED_SUMS, SWAR = "packed sums", "SWAR"
# Input words beyond these are out of an SP-relative load's reach, whatever else the frame holds.
_MOST_COLUMNS = 832
_QUICKEST = (Mixture(INLINE, 0), Mixture(0, 4))  # what comes into question without a limit
_MIXTURES = (
    *_QUICKEST,
    *(
        Mixture(*parts)
        for parts in ((4, 0), (3, 1), (2, 2), (1, 3), (0, 3), (0, 2), (0, 1), (0, 0))
    ),
)
# Letters of Mixture.used: methods whose routines a program may pay for.
_USES = (frozenset("ps"), frozenset("p"), frozenset("s"), frozenset("psl"), frozenset("sl"))
_ATTEMPTS = 12


def plan(model: QuantizedModel, options: KernelOptions) -> KernelProgram:
    """The program of a model for the Cortex-M0+.

    Raises:
        BudgetError: not even the smallest program fits into options.flash_bytes.
    """
    candidates = Candidates(model, options.placement)
    allowed = _allowed(model, options)
    if options.optimize == "flash":
        smallest = min(map(candidates.program, allowed), key=lambda program: program.flash)
        return _checked(smallest, options)
    quick = [one for one in allowed if one in _QUICKEST] or [Mixture(0, 0)]
    program = candidates.mixed(_quickest(candidates, quick))
    if options.flash_bytes is None or program.flash <= options.flash_bytes:
        return program
    return _within(candidates, allowed, options, options.flash_bytes)


def _allowed(model: QuantizedModel, options: KernelOptions) -> list[Mixture]:
    names = (PACKED_SUMS, SWAR) if options.methods is None else options.methods
    packed = PACKED_SUMS in names and max(one.n_inputs for one in model.layers) <= _MOST_COLUMNS
    return [
        mixture
        for mixture in _MIXTURES
        if (packed or not mixture.packed) and (SWAR in names or not mixture.swar)
    ]


def _quickest(candidates: Candidates, members: Sequence[Mixture]) -> list[Mixture]:
    """The quickest for each layer."""
    return [
        min(members, key=lambda one: candidates.layer(one, number).worst_cycles)
        for number in range(candidates.count)
    ]


def _within(
    candidates: Candidates, allowed: Sequence[Mixture], options: KernelOptions, limit: int
) -> KernelProgram:
    """The quickest program found within so many bytes of flash."""
    programs = [candidates.program(one) for one in allowed]
    fitting = [one for one in programs if one.flash <= limit]
    if not fitting:
        return _checked(min(programs, key=lambda one: one.flash), options)
    best = min(fitting, key=lambda one: one.worst_cycles)
    for use in _USES:
        members = [one for one in allowed if one.used <= use]
        # What the layers share is known once it is written: less room each time.
        room = limit - min((candidates.shared(one) for one in members), default=0)
        for _ in range(_ATTEMPTS):
            found = _shrunk(candidates, members, room)
            if found is None or candidates.cycles(found) >= best.worst_cycles:
                break
            program = candidates.mixed(found)
            if program.flash <= limit:
                best = min(best, program, key=lambda one: one.worst_cycles)
                break
            room -= program.flash - limit
    return best


def _shrunk(candidates: Candidates, members: Sequence[Mixture], room: int) -> list[Mixture] | None:
    """A member for each layer, all layers within the room; None: there is no such thing.

    From the quickest on, the change that costs the fewest cycles for a byte comes first.
    """
    if not members:
        return None
    picked = _quickest(candidates, members)
    while candidates.flash(picked) > room:
        changes = []
        for number, one in enumerate(picked):
            now = candidates.layer(one, number)
            for order, other in enumerate(members):
                then = candidates.layer(other, number)
                if then.flash < now.flash:
                    price = (then.worst_cycles - now.worst_cycles) / (now.flash - then.flash)
                    changes.append((price, number, order))
        if not changes:
            return None
        _, number, order = min(changes)
        picked[number] = members[order]
    return picked


def _checked(program: KernelProgram, options: KernelOptions) -> KernelProgram:
    if options.flash_bytes is not None and program.flash > options.flash_bytes:
        raise BudgetError(
            f"the smallest kernels take {program.flash} bytes of flash, not "
            f"{options.flash_bytes}: use fewer or narrower layers"
        )
    return program
