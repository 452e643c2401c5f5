"""How a model's rows are computed, as text: method, requantize, and the proof with its numbers."""

from __future__ import annotations

from collections.abc import Iterator

from miniml.kernels.program import KernelProgram, LayerPlan
from miniml.model import QuantizedModel


def explain(model: QuantizedModel, kernels: KernelProgram) -> list[str]:
    """Lines for `miniml generate --explain`; rows that share everything are one line."""
    lines = [
        f"{model.name} on {kernels.core}: flash {kernels.flash:,} B, SRAM {kernels.sram:,} B, "
        f"stack {kernels.stack:,} B, at most {kernels.worst_cycles:,} cycles "
        f"({kernels.worst_cycles / model.macs:.2f} a MAC)"
    ]
    for number, (layer, plan) in enumerate(zip(model.layers, kernels.layers, strict=True), start=1):
        lines.append(
            f"layer {number}, {layer.n_inputs}-{layer.n_outputs} {layer.activation}: "
            f"flash {plan.flash:,} B, at most {plan.worst_cycles:,} cycles "
            f"({plan.worst_cycles / layer.macs:.2f} a MAC)"
        )
        lines += _rows(plan)
    return lines


def _rows(plan: LayerPlan) -> Iterator[str]:
    first = 0
    for row in range(1, len(plan.rows) + 1):
        if row < len(plan.rows) and plan.rows[row] == plan.rows[first]:
            continue
        found = plan.rows[first]
        rows = f"row {first}" if row == first + 1 else f"rows {first}-{row - 1}"
        yield f"  {rows}: {found.method}; requantize {found.requantize}; {found.proof}"
        first = row
