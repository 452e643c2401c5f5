"""A program from the choice of a method for each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from miniml.kernels.avr import exact, loop, prepare
from miniml.kernels.avr.code import Code
from miniml.kernels.avr.cycles import LayerCycles, cycles_of_rows
from miniml.kernels.avr.finish import SCRATCH_BYTES, Constants, Layer
from miniml.kernels.avr.frame import leave_after, write
from miniml.kernels.avr.group import Affines, Builder, Context, Group
from miniml.kernels.avr.rows import LayerRows
from miniml.kernels.program import KernelProgram, LayerPlan, RowPlan
from miniml.model import QuantizedModel

_BUILDERS: dict[str, Builder] = {"loop": loop.build}


@dataclass(frozen=True)
class LayerChoice:
    """How a layer is computed: (method, rows) by group, and which rows multiply by `affine`."""

    groups: tuple[tuple[str, tuple[int, ...]], ...]
    affine: bool


@dataclass
class _Parts:
    """What grows from layer to layer."""

    name: str
    constants: Constants = field(default_factory=Constants)
    routines: dict[str, Code] = field(default_factory=dict)
    variables: dict[str, int] = field(default_factory=dict)
    codes: list[Code] = field(default_factory=list)
    cycles: list[LayerCycles] = field(default_factory=list)
    plans: list[LayerPlan] = field(default_factory=list)
    waiting: int = 0

    @property
    def shared_bytes(self) -> int:
        """Flash of all but the layers' own code."""
        return self.constants.bytes + sum(code.bytes for code in self.routines.values())

    def buffer(self, layers: int) -> str:
        """Where the outputs of the first `layers` layers end up."""
        if layers == 0:
            return f"{self.name}_input_buffer"
        return f"{self.name}_outputs_{(layers - 1) % 2}"


def build(
    model: QuantizedModel,
    layers: Sequence[LayerRows],
    affines: Sequence[Affines],
    choices: Sequence[LayerChoice],
) -> KernelProgram:
    """Write a model's program.

    Args:
        model: whose layers `layers` are.
        layers: `model_rows`.
        affines: of each layer, by row.
        choices: of each layer; each row in one group.
    """
    parts = _Parts(model.name)
    widths = model.widths[1:]
    parts.variables[parts.buffer(0)] = model.n_inputs
    for number in range(1, min(2, len(layers)) + 1):
        parts.variables[parts.buffer(number)] = max(widths[number - 1 :: 2])
    if len(layers) > 1:
        parts.variables[f"{model.name}_layers_wanted"] = 1
    for rows, found, choice in zip(layers, affines, choices, strict=True):
        _add_layer(parts, rows, found, choice, last=rows.number == len(layers))
    if parts.waiting:
        parts.variables[f"{model.name}_waiting"] = SCRATCH_BYTES * parts.waiting
    program = write(
        model.name,
        _title(model, parts.plans),
        parts.codes,
        parts.routines,
        parts.constants,
        parts.variables,
        parts.buffer(len(layers)),
    )
    return KernelProgram(
        core="avr",
        assembly=program.text,
        flash=program.flash,
        sram=program.sram,
        stack=program.stack,
        layers=tuple(parts.plans),
        cycles=cycles_of_rows(model, program.run, parts.cycles),
        worst_cycles=program.run + sum(part.worst_cycles for part in parts.plans),
    )


def _add_layer(
    parts: _Parts, rows: LayerRows, affines: Affines, choice: LayerChoice, *, last: bool
) -> None:
    name, number, layer = parts.name, rows.number, rows.layer
    shared_before = parts.shared_bytes
    table = None
    if layer.table is not None:
        table = f"{name}_table_{number}"
        parts.constants.content[table] = [int(value) & 255 for value in layer.table]
    out = parts.buffer(number)
    context = Context(
        rows=rows,
        affines=affines if choice.affine else dict.fromkeys(affines),
        names=Layer(out, table, f"{name}_waiting", f"{name}_exact", f"{name}_exact_wide"),
        prefix=f"{name}_layer_{number}",
        buffer=parts.buffer(number - 1),
        offset=f"{name}_offset",
        constants=parts.constants,
        routines=parts.routines,
    )
    code = Code()
    code.comment(f"---- layer {number}: {layer.n_inputs} inputs, {layer.n_outputs} outputs")
    _prepare(parts, code, context, choice, first=number == 1)
    groups = []
    for position, (method, indices) in enumerate(choice.groups):
        code.comment(f"rows {', '.join(map(str, indices))}: {method}")
        group = _BUILDERS[method](context, indices, f"{context.prefix}_{position}")
        code.repeat(group.code, 0)
        code.cycles += group.cycles
        groups.append(group)
        parts.waiting = max(parts.waiting, group.finished.waiting)
        if group.finished.waiting:
            wide = group.finished.wide
            label = context.names.exact_wide if wide else context.names.exact
            parts.routines.setdefault(label, exact.routine(label, wide))
    if not last:
        code.extend(leave_after(number, f"{name}_layers_wanted", out, f"{name}_done"))
    parts.codes.append(code)
    paths = {index: path for group in groups for index, path in group.finished.paths.items()}
    parts.cycles.append(LayerCycles(code.cycles, paths))
    flash = code.bytes + parts.shared_bytes - shared_before
    worst = parts.cycles[-1].worst(rows)
    parts.plans.append(LayerPlan(_row_plans(context, groups), flash, worst))


def _prepare(
    parts: _Parts, code: Code, context: Context, choice: LayerChoice, *, first: bool
) -> None:
    looped = any(method == "loop" for method, _ in choice.groups)
    if looped:
        parts.variables[context.offset] = 4
    if first or looped:
        n_inputs, x_low = context.rows.layer.n_inputs, context.rows.x_low
        offset = context.offset if looped else None
        code.extend(prepare.inputs(n_inputs, x_low, context.buffer, offset, first=first))


def _row_plans(context: Context, groups: Sequence[Group]) -> tuple[RowPlan, ...]:
    plans = {}
    for group in groups:
        for index, proof in zip(group.indices, group.proofs, strict=True):
            affine = context.affines[index]
            if context.rows.rows[index].is_constant:
                how = "constant"
            elif affine is None or group.finished.wide:
                how = "exact"
            else:
                how = "multiply"
                proof += f"; {affine.proof}"
            plans[index] = RowPlan(group.method, how, proof)
    return tuple(plans[index] for index in sorted(plans))


def _title(model: QuantizedModel, plans: Sequence[LayerPlan]) -> list[str]:
    title = [
        f"{model.name}: exact int8 kernels for the ATmega328P, generated by MiniML",
        f"(miniml.kernels.avr); do not edit. Model {model.model_id[:12]}, layers "
        + "-".join(map(str, model.widths))
        + ".",
        "All registers are free between the pushes and the pops of the function; no interrupt",
        "needs to be off. x stands for inputs, w for weights, sum + constant for accumulators.",
    ]
    for number, layer in enumerate(plans, start=1):
        counts: dict[str, int] = {}
        for row in layer.rows:
            key = f"{row.method}, {row.requantize}"
            counts[key] = counts.get(key, 0) + 1
        methods = "; ".join(f"{count} rows {key}" for key, count in counts.items())
        title.append(f"layer {number}: {methods}")
    return title
