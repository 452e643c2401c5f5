"""The form of each layer: the fastest, the smallest, or the fastest within a given flash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

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
    """Bytes of flash and cycles of one layer."""

    flash: int
    cycles: int


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
        layers = range(len(self.model.layers))
        if options.optimize == "flash":
            chosen = self._smallest(forms)
        else:
            # Loops and calls only add to the straight line.
            fast = [form for form in forms if form.rows == "straight"] or forms
            chosen = [min(fast, key=lambda form: self._time(n, form)) for n in layers]
        limit = options.flash_bytes
        small = options.optimize == "flash"
        program = build(self.model, chosen, self.plans, small=small)
        if limit is None or program.flash <= limit:
            return program
        around = program.flash - self._flash(chosen)
        while around + self._flash(chosen) > limit:
            change = self._cheapest_saving(chosen, forms)
            if change is None:
                break
            number, form = change
            chosen[number] = form
        program = build(self.model, chosen, self.plans, small=small)
        if program.flash > limit:
            program = build(self.model, self._smallest(forms), self.plans, small=True)
        if program.flash > limit:
            raise BudgetError(
                f"the smallest kernels of {self.model.name} take {program.flash} bytes of "
                f"flash, {limit} are allowed: allow more, or train narrower layers"
            )
        return program

    def _smallest(self, forms: Sequence[Form]) -> list[Form]:
        layers = range(len(self.model.layers))
        return [min(forms, key=lambda form: self._size(n, form)) for n in layers]

    def _flash(self, chosen: Sequence[Form]) -> int:
        return sum(self._cost(number, form).flash for number, form in enumerate(chosen))

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
        self, chosen: Sequence[Form], forms: Sequence[Form]
    ) -> tuple[int, Form] | None:
        """The change that loses the fewest cycles a byte."""
        found: list[tuple[float, int, Form]] = []
        for number, now in enumerate(chosen):
            before = self._cost(number, now)
            for form in forms:
                after = self._cost(number, form)
                if after.flash < before.flash:
                    loss = (after.cycles - before.cycles) / (before.flash - after.flash)
                    found.append((loss, number, form))
        if not found:
            return None
        _, number, form = min(found, key=lambda one: one[:2])
        return number, form

    def _size(self, number: int, form: Form) -> tuple[int, int]:
        cost = self._cost(number, form)
        return cost.flash, cost.cycles

    def _time(self, number: int, form: Form) -> tuple[int, int]:
        cost = self._cost(number, form)
        return cost.cycles, cost.flash

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
            self._costs[key] = Cost(written.flash, written.code.cycles)
        return self._costs[key]
