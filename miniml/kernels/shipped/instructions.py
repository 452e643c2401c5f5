"""What each instruction does that the ARM generators write, as functions of a machine.

Architecture manuals: ARM DDI 0419 (ARMv6-M), DDI 0403 (ARMv7-M).
"""

from __future__ import annotations

import re

from miniml.errors import KernelTextError
from miniml.kernels.shipped.arithmetic import Step, constant, data, dsp, number_of, operand
from miniml.kernels.shipped.machine import CONDITIONS, LR, MASK, PC, SP, Machine, signed
from miniml.kernels.shipped.text import Instruction, register, registers

_BRANCHES = {f"b{condition}": condition for condition in CONDITIONS}
_ACCESS = {"": (4, False), "b": (1, False), "h": (2, False), "sb": (1, True), "sh": (2, True)}


def step_of(machine: Machine, one: Instruction) -> Step:
    """The function that executes an instruction; r[15] is behind it already."""
    name, operands = one.name, one.operands
    for builder in (_branch, _memory, data, dsp):
        found = builder(machine, name, list(operands))
        if found is not None:
            return found
    raise KernelTextError(f"no cycles as shipped are foretold of {name} {', '.join(operands)}")


def _branch(machine: Machine, name: str, operands: list[str]) -> Step | None:
    m, r = machine, machine.r
    if name == "bx":
        source = register(operands[0])

        def back() -> None:
            r[PC] = r[source] & ~1

        return back
    if name == "it":
        condition = operands[0]

        def test() -> None:
            m.skip = not m.holds(condition)

        return test
    if name not in ("b", "bl") and name not in _BRANCHES:
        return None
    target, taken = m.program.symbols[operands[0]], _BRANCHES.get(name)

    def jump() -> None:
        if name == "bl":
            r[LR] = r[PC] | 1
        if taken is None or m.holds(taken):
            r[PC] = target

    return jump


def _memory(machine: Machine, name: str, operands: list[str]) -> Step | None:
    m, r = machine, machine.r
    if name in ("push", "pop", "ldm", "ldmia", "stm"):
        base = SP if name in ("push", "pop") else register(operands[0].rstrip("!"))
        listed = registers(operands[-1])
        size = 4 * len(listed)

        def many() -> None:
            address = r[base] - (size if name == "push" else 0)
            r[base] = address + (0 if name == "push" else size)
            for number in listed:
                if name in ("push", "stm"):
                    m.store(address, 4, r[number])
                else:
                    r[number] = m.load(address, 4) & (~1 if number == PC else MASK)
                address += 4

        return many
    found = re.fullmatch("(ldr|str)(|b|h|sb|sh)", name)
    if found is None:
        return None
    size, sign = _ACCESS[found[2]]
    target, bits = register(operands[0]), 8 * size
    inside = [text.strip() for text in operands[1].strip("[]").split(",")]
    if not operands[1].startswith("["):  # a literal
        place = m.program.symbols[operands[1]]
        base, offset = -1, constant(place)
    else:
        base = register(inside[0])
        offset = operand(m, inside[1:]) if len(inside) > 1 else constant(0)
    after = number_of(m, operands[2]) if len(operands) > 2 else 0

    def access() -> None:
        address = ((r[base] if base >= 0 else 0) + offset()) & MASK
        if after:
            r[base] += after
        if found[1] == "str":
            m.store(address, size, r[target])
            return
        value = m.load(address, size)
        value = signed(value, bits) & MASK if sign else value
        r[target] = value & ~1 if target == PC else value

    return access
