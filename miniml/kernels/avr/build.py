"""A program from the choice of a method for each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from miniml.kernels.avr import block, exact, loop, prepare, straight, tall, winograd
from miniml.kernels.avr.code import Code
from miniml.kernels.avr.cycles import LayerCycles, cycles_of_rows
from miniml.kernels.avr.finish import SCRATCH_BYTES, Constants, Layer
from miniml.kernels.avr.frame import leave_after, write
from miniml.kernels.avr.group import Affines, Builder, Context, Group, Signs
from miniml.kernels.avr.rows import LayerRows
from miniml.kernels.avr.tiles import tiles
from miniml.kernels.avr.title import title
from miniml.kernels.program import KernelProgram, LayerPlan, RowPlan
from miniml.model import QuantizedModel

_BUILDERS: dict[str, Builder] = {
    "loop": loop.build,
    "block": block.build,
    "straight": straight.build,
    "tall": tall.build,
    "winograd": winograd.build,
}

_MOST_SHIFTED = 400  # inputs of which a second copy is no burden on 2 KB of SRAM


@dataclass(frozen=True)
class LayerChoice:
    """How a layer is computed.

    Attributes:
        groups: method and rows; each row in one group.
        affine: whether rows may multiply; else the exact routine.
        tables: rows that may have a table of cells.
        takes_in: whether the first group, not of "loop", takes in the layer's inputs as it goes:
            faster than a loop before all groups, but larger.
        short: whether rows share the multiplication of their requantization.
    """

    groups: tuple[tuple[str, tuple[int, ...]], ...]
    affine: bool = True
    tables: frozenset[int] = frozenset()
    takes_in: bool = False
    short: bool = False

    def count(self, *methods: str) -> int:
        """Groups of these methods."""
        return sum(method in methods for method, _ in self.groups)


@dataclass
class Parts:
    """What grows from layer to layer."""

    name: str
    patterns: frozenset[Signs]
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
    patterns: frozenset[Signs] = frozenset(),
) -> KernelProgram:
    """Write a model's program.

    Args:
        model: whose layers `layers` are.
        layers: `model_rows`.
        affines: of each layer, by row.
        choices: of each layer.
        patterns: what `winograd` shares.
    """
    parts = Parts(model.name, patterns)
    widths = model.widths[1:]
    parts.variables[parts.buffer(0)] = model.n_inputs
    for number in range(1, min(2, len(layers)) + 1):
        parts.variables[parts.buffer(number)] = max(widths[number - 1 :: 2])
    if len(layers) > 1:
        parts.variables[f"{model.name}_layers_wanted"] = 1
    for rows, found, choice in zip(layers, affines, choices, strict=True):
        add_layer(parts, rows, found, choice, last=rows.number == len(layers))
    if parts.waiting:
        parts.variables[f"{model.name}_waiting"] = SCRATCH_BYTES * parts.waiting
    program = write(
        model.name,
        title(model, parts.plans),
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


def make_context(parts: Parts, rows: LayerRows, affines: Affines, choice: LayerChoice) -> Context:
    """What the methods of a layer share."""
    name, number = parts.name, rows.number
    table = f"{name}_table_{number}" if rows.layer.table is not None else None
    tiled = choice.count("winograd")
    # Only the first layer's inputs are copied in any case.
    shifted = number == 1 and rows.x_low < 0 and not choice.takes_in
    shifted = shifted and choice.count("loop", "tall") == len(choice.groups)
    shifted = shifted and rows.layer.n_inputs <= _MOST_SHIFTED
    return Context(
        rows=rows,
        affines=affines if choice.affine else dict.fromkeys(affines),
        tables=choice.tables,
        names=Layer(
            parts.buffer(number), table, f"{name}_waiting", f"{name}_exact", f"{name}_exact_wide"
        ),
        name=name,
        prefix=f"{name}_layer_{number}",
        buffer=f"{name}_shifted" if shifted else parts.buffer(number - 1),
        shifted=shifted,
        offset=f"{name}_offset",
        products=f"{name}_products" if tiled > choice.takes_in else "",
        takes_in=f"{name}_layer_{number}_0" if choice.takes_in else "",
        short=choice.short,
        patterns=parts.patterns,
        constants=parts.constants,
        routines=parts.routines,
    )


def build_group(context: Context, method: str, indices: tuple[int, ...], position: int) -> Group:
    """One group's code."""
    return _BUILDERS[method](context, indices, f"{context.prefix}_{position}")


def preparation(context: Context, choice: LayerChoice) -> Code:
    """What comes before a layer's groups."""
    code = Code()
    looped, tiled = choice.count("loop", "tall"), choice.count("winograd")
    n_inputs, x_low = context.rows.layer.n_inputs, context.rows.x_low
    first = context.rows.number == 1
    offset = context.offset if looped else None
    if choice.takes_in:
        assert not choice.count("loop"), "no register is left for the sum of the inputs"
    elif tiled:
        code.extend(prepare.tiled(n_inputs, context.buffer, context.products, offset, first=first))
    elif first or looped:
        shifted = context.shifted
        code.extend(
            prepare.inputs(n_inputs, x_low, context.buffer, offset, first=first, shifted=shifted)
        )
    return code


def add_layer(
    parts: Parts, rows: LayerRows, affines: Affines, choice: LayerChoice, *, last: bool
) -> None:
    """Write a layer."""
    name, number, layer = parts.name, rows.number, rows.layer
    shared_before = parts.shared_bytes
    context = make_context(parts, rows, affines, choice)
    if layer.table is not None:
        assert context.names.table is not None
        parts.constants.content[context.names.table] = [int(v) & 255 for v in layer.table]
    if context.products and choice.count("winograd"):
        size = parts.variables.get(context.products, 0)
        needed = 2 * len(tiles(layer.n_inputs)) + (layer.n_inputs if number == 1 else 0)
        parts.variables[context.products] = max(size, needed)
    if context.shifted:
        parts.variables[context.buffer] = layer.n_inputs
    if choice.count("loop", "tall"):
        parts.variables[context.offset] = 4
    sums = 3 * max((len(some) for method, some in choice.groups if method == "tall"), default=0)
    if sums and choice.takes_in:
        parts.variables[f"{name}_next_input"] = 2
    if sums:
        known = parts.variables.get(f"{name}_sums", 0)
        parts.variables[f"{name}_sums"] = max(known, sums)
    code = Code()
    code.comment(f"---- layer {number}: {layer.n_inputs} inputs, {layer.n_outputs} outputs")
    code.extend(preparation(context, choice))
    groups = []
    for position, (method, indices) in enumerate(choice.groups):
        code.comment(f"rows {', '.join(map(str, indices))}: {method}")
        group = build_group(context, method, indices, position)
        code.repeat(group.code, 0)
        code.cycles += group.cycles
        groups.append(group)
        parts.waiting = max(parts.waiting, group.finished.waiting)
        if group.finished.waiting:
            wide = group.finished.wide
            label = context.names.exact_wide if wide else context.names.exact
            parts.routines.setdefault(label, exact.routine(label, wide))
    if not last:
        out = context.names.out
        code.extend(leave_after(number, f"{name}_layers_wanted", out, f"{name}_done"))
    parts.codes.append(code)
    paths = {index: path for group in groups for index, path in group.finished.paths.items()}
    parts.cycles.append(LayerCycles(code.cycles, paths))
    flash = code.bytes + parts.shared_bytes - shared_before
    worst = parts.cycles[-1].worst(rows)
    parts.plans.append(LayerPlan(_row_plans(context, groups), flash, worst))


def _row_plans(context: Context, groups: Sequence[Group]) -> tuple[RowPlan, ...]:
    plans = {}
    for group in groups:
        for index, proof in zip(group.indices, group.proofs, strict=True):
            affine, how = context.affines[index], group.finished.how[index]
            if how == "multiply" and affine is not None:
                proof += f"; {affine.proof}"
            plans[index] = RowPlan(group.method, how, proof)
    return tuple(plans[index] for index in sorted(plans))
