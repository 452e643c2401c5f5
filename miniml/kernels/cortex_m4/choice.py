"""The form of each layer: the fastest, the smallest, or the fastest within a given flash."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from miniml.errors import BudgetError
from miniml.kernels.cortex_m4.frame import Frame
from miniml.kernels.cortex_m4.layers import STRAIGHT_REACH, LayerInput, LayerWriter
from miniml.kernels.cortex_m4.passes import Columns, Form, Packing, Rows
from miniml.kernels.cortex_m4.program import Program, build
from miniml.kernels.cortex_m4.requantize import Requantize
from miniml.kernels.program import KernelOptions
from miniml.model import QuantizedModel

SINGLE: Packing = "single"


@dataclass(frozen=True)
class Cost:
    """Bytes of flash, those of code and of constants, and cycles; of a layer or a program."""

    code: int
    constants: int
    cycles: int

    @property
    def flash(self) -> int:
        """Bytes of both."""
        return self.code + self.constants


Part = Literal["flash", "code", "constants"]


@dataclass(frozen=True)
class Limits:
    """Most bytes of code and constants, and of one of them alone.

    Attributes:
        flash: of both; None: no limit.
        part: which of them is limited alone; "flash": neither.
        part_bytes: most bytes of it.
    """

    flash: int | None
    part: Part = "flash"
    part_bytes: int = 0

    @staticmethod
    def of(options: KernelOptions, buffers: int) -> Limits:
        """What the options leave where the placement puts things."""
        if options.sram_bytes is None or options.placement == "flash":
            return Limits(options.flash_bytes)
        room = options.sram_bytes - buffers
        if options.placement != "sram":
            return Limits(options.flash_bytes, options.placement, room)
        return Limits(room if options.flash_bytes is None else min(room, options.flash_bytes))

    def broken(self, cost: Cost) -> Part | None:
        """The first limit that a program breaks."""
        if self.flash is not None and cost.flash > self.flash:
            return "flash"
        if self.part != "flash" and getattr(cost, self.part) > self.part_bytes:
            return self.part
        return None


@dataclass(eq=False)
class Chooser:
    """Forms of a model's layers.

    Attributes:
        model: whose layers these are.
        plans: a requantization for each row of each layer.
        allowed: names of methods.
    """

    model: QuantizedModel
    plans: Sequence[Sequence[Requantize]]
    allowed: frozenset[str]
    _costs: dict[tuple[int, Form], Cost] = field(default_factory=dict)

    def choose(self, options: KernelOptions) -> Program:
        """Write the program that the options ask for.

        Raises:
            BudgetError: not even the smallest fits.
        """
        forms = self._forms()
        small = options.optimize == "flash"
        if small:
            chosen = self._least(forms, lambda cost: (cost.flash, cost.cycles))
        else:
            # Loops and calls only add to the straight line.
            fast = [form for form in forms if form.rows == "straight"] or forms
            chosen = self._least(fast, lambda cost: (cost.cycles, cost.flash))
        program = build(self.model, chosen, self.plans, small=small)
        limits = Limits.of(options, program.buffers)
        if limits.broken(_cost_of(program)) is None:
            return program
        program = build(
            self.model, self._held(program, chosen, forms, limits), self.plans, small=small
        )
        keys: list[Callable[[Cost], tuple[int, int]]] = [lambda cost: (cost.flash, cost.cycles)]
        if limits.part != "flash":
            keys.insert(0, lambda cost: (getattr(cost, limits.part), cost.flash))
        for key in keys:
            if limits.broken(_cost_of(program)) is not None:
                program = build(self.model, self._least(forms, key), self.plans, small=True)
        broken = limits.broken(_cost_of(program))
        if broken is not None:
            allowed = limits.flash if broken == "flash" else limits.part_bytes
            raise BudgetError(
                f"the smallest kernels of {self.model.name} take {program.flash} bytes, "
                f"{program.code_size} of them code; {allowed} bytes of "
                f"{'code and constants' if broken == 'flash' else broken} are allowed: "
                "allow more, or train narrower layers"
            )
        return program

    def _held(
        self, program: Program, chosen: Sequence[Form], forms: Sequence[Form], limits: Limits
    ) -> list[Form]:
        """Forms within the limits if any are, changed where a byte costs the fewest cycles."""
        held, now = list(chosen), _cost_of(program)
        while (broken := limits.broken(now)) is not None:
            change = self._cheapest_saving(held, forms, broken, limits, now)
            if change is None:
                break
            number, form, now = change
            held[number] = form
        return held

    def _least(self, forms: Sequence[Form], key: Callable[[Cost], tuple[int, int]]) -> list[Form]:
        layers = range(len(self.model.layers))
        return [min(forms, key=lambda form: key(self._cost(n, form))) for n in layers]

    def _forms(self) -> list[Form]:
        known: list[Packing] = ["chain", "pair"]
        packings = [name for name in known if name in self.allowed]
        ways: list[tuple[Columns, Rows]] = [("straight", "straight"), ("straight", "call")]
        ways += [("loop", "call"), ("straight", "loop"), ("loop", "loop"), ("short loop", "loop")]
        forms = [Form(packing, *way) for packing in packings or (SINGLE,) for way in ways]
        if Frame.of(self.model).size + max(self.model.widths) > STRAIGHT_REACH:
            forms = [one for one in forms if one.columns != "straight" and one.rows == "loop"]
        return forms

    def _cheapest_saving(
        self,
        chosen: Sequence[Form],
        forms: Sequence[Form],
        what: Part,
        limits: Limits,
        now: Cost,
    ) -> tuple[int, Form, Cost] | None:
        """The change that loses the fewest cycles a byte; a part's never breaks flash again."""
        found: list[tuple[float, int, Form, Cost]] = []
        for number, old in enumerate(chosen):
            before = self._cost(number, old)
            for form in forms:
                after = self._cost(number, form)
                saved = getattr(before, what) - getattr(after, what)
                whole = Cost(
                    now.code - before.code + after.code,
                    now.constants - before.constants + after.constants,
                    now.cycles - before.cycles + after.cycles,
                )
                if saved > 0 and (what == "flash" or limits.broken(whole) != "flash"):
                    found.append(((after.cycles - before.cycles) / saved, number, form, whole))
        if not found:
            return None
        _, number, form, whole = min(found, key=lambda one: one[:2])
        return number, form, whole

    def _cost(self, number: int, form: Form) -> Cost:
        key = (number, form)
        if key not in self._costs:
            frame, layer = Frame.of(self.model), self.model.layers[number]
            last = number + 1 == len(self.model.layers)
            # The columns' order changes constants, not their number.
            source = LayerInput(frame.offsets[number], tuple(range(layer.n_inputs)), 0)
            writer = LayerWriter(
                label=".L",
                layer=layer,
                plans=self.plans[number],
                source=source,
                form=form,
                offset=0 if last else frame.offsets[number + 1],
                output="output" if last else "",
                table=None if layer.table is None else "table",
            )
            written = writer.write(constants=False)
            self._costs[key] = Cost(
                written.code_size, written.flash - written.code_size, written.code.cycles
            )
        return self._costs[key]


def _cost_of(program: Program) -> Cost:
    return Cost(program.code_size, program.constants_size, program.cycles)
