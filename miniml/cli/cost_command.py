"""miniml cost: flash, SRAM, stack and cycles of a model on each board, without a compiler."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import Any

from miniml.boards import Board
from miniml.cli.model_arguments import (
    Subparsers,
    add_model_command,
    chosen_boards,
    prepare_model,
)
from miniml.cost import Cost, foretell
from miniml.cost.calibration import load_calibrations
from miniml.cost.energy import POWER, nanojoules
from miniml.cost.foretelling import ANY_TOOLCHAIN, Memory
from miniml.kernels.choice import kernels_for
from miniml.model import Int8Array, QuantizedModel
from miniml.settings import CodeSettings


def register(subparsers: Subparsers) -> None:
    """Add the command to the `miniml` parser."""
    costing = add_model_command(
        subparsers,
        "cost",
        "foretell flash, SRAM, stack and cycles on each board",
        "Counts the model's bytes and foretells the cycles of one inference, layer by layer, "
        "for the toolchains that were calibrated; cycles are the median over the test rows. "
        "Trains first if the lock is not current (unless train is frozen).",
    )
    costing.add_argument("--board", help="section of boards.ini (default: all of them)")
    costing.add_argument(
        "--toolchain",
        help='such as "avr-gcc-5.4.0 -Os -flto" (default: all that were calibrated)',
    )
    costing.add_argument(
        "--memory",
        choices=("ideal", "shipped"),
        default="ideal",
        help="cycles without wait states, or with those and the caches of the board's chip "
        "(default: ideal)",
    )
    costing.set_defaults(run=run_cost)


def run_cost(arguments: argparse.Namespace) -> int:
    """`miniml cost`."""
    boards = chosen_boards(arguments)
    prepared = prepare_model(arguments)
    inputs = prepared.test_vectors().inputs
    model, code = prepared.model, prepared.settings.code
    entries = []
    for board in boards:
        kernels = kernels_for(model, board, code)
        for toolchain in [ANY_TOOLCHAIN] if kernels else _toolchains(arguments.toolchain, board):
            cost = foretell(model, board, toolchain, inputs, kernels, arguments.memory)
            others = levels(model, board, code, inputs, arguments.memory)
            entries.append((board, toolchain, cost, others))
    if arguments.json:
        content = {
            "model": {"name": model.name, "model_id": model.model_id, "macs": model.macs},
            "boards": [_json(*entry) for entry in entries],
        }
        print(json.dumps(content, indent=1))
        return 0
    print(f"{model.name} {'-'.join(map(str, model.widths))}, {model.macs:,} MACs")
    for board, toolchain, cost, others in entries:
        print()
        print("\n".join([*_lines(board, toolchain, cost), *_level_lines(others)]))
    return 0


def levels(
    model: QuantizedModel,
    board: Board,
    code: CodeSettings,
    inputs: Int8Array,
    memory: Memory = "ideal",
) -> dict[str, Cost]:
    """What each value of [code] optimize would take; empty without generated kernels."""
    found = {}
    for level in ("cycles", "balanced", "flash"):
        wanted = dataclasses.replace(code, optimize=level, flash_bytes=None)
        if kernels := kernels_for(model, board, wanted):
            found[level] = foretell(model, board, None, inputs, kernels, memory)
    return found


def _toolchains(wanted: str | None, board: Board) -> Sequence[str | None]:
    if wanted:
        return [wanted]
    if board.mode != "int8":
        return [None]
    known = [toolchain for core, toolchain in load_calibrations().records if core == board.core]
    return sorted(known) or [None]


def _json(
    board: Board, toolchain: str | None, cost: Cost, others: dict[str, Cost]
) -> dict[str, Any]:
    optimize = {level: _figures(other) for level, other in others.items()}
    energy = None if cost.cycles is None else round(nanojoules(board.core, cost.cycles), 1)
    more = {
        "toolchain": toolchain,
        "energy_nj": energy,
        "energy_source": POWER[board.core].source,
        "optimize": optimize,
    }
    return {"name": board.name} | _figures(cost) | more


def _figures(cost: Cost) -> dict[str, Any]:
    content = {
        field.name: getattr(cost, field.name)
        for field in dataclasses.fields(cost)
        if field.name not in ("cycles_by_row", "layers")
    }
    return content | {"layers": [dataclasses.asdict(layer) for layer in cost.layers]}


def _level_lines(others: dict[str, Cost]) -> Iterator[str]:
    """A line for each level of [code] optimize, its layers' cycles and flash behind it."""
    for level, cost in others.items():
        layers = ", ".join(f"{layer.cycles:,} in {layer.flash:,} B" for layer in cost.layers)
        yield (
            f"  optimize = {level:<9} {cost.cycles:>9,} cycles, flash {cost.flash:>7,} B, "
            f"SRAM {cost.sram:>6,} B, stack {cost.stack:>4,} B; layers {layers}"
        )


def _why_not(board: Board, toolchain: str | None) -> str:
    known = [name for core, name in load_calibrations().records if core == board.core]
    if toolchain in known:
        return "as shipped only generated kernels are"
    return f"{toolchain or 'no toolchain'} is not calibrated"


def _lines(board: Board, toolchain: str | None, cost: Cost) -> list[str]:
    lines = [f"{board.name}: {board.title}, mode {board.mode}"]
    for number, layer in enumerate(cost.layers, start=1):
        cycles = "cycles not foretold"
        if layer.cycles is not None:
            cycles = f"{layer.cycles:>9,} cycles  {layer.cycles / layer.macs:5.1f} a MAC"
        lines.append(
            f"  {number}  {layer.name:<20} {layer.macs:>8,} MACs"
            f" {layer.flash:>8,} B flash  {cycles}"
        )
    code = "with the kernel" if board.mode == "int8" else "without code"
    lines.append(
        f"  flash {cost.flash:,} of {board.flash_bytes:,} B {code}, "
        f"SRAM {cost.sram:,} of {board.sram_bytes:,} B"
        + ("" if cost.stack is None else f", stack {cost.stack:,} B")
    )
    if board.mode != "int8":
        return [
            *lines,
            f"  cycles not foretold: mode {board.mode} is measured only (docs/MODES.md)",
        ]
    if cost.cycles is None:
        return [*lines, f"  cycles not foretold: {_why_not(board, toolchain)}"]
    time = 1e3 * cost.cycles / board.clock_hz
    bounds = ""
    if cost.cycles_max is not None:
        least = "at most" if cost.cycles_min is None else f"{cost.cycles_min:,} to"
        bounds = f" ({least} {cost.cycles_max:,} for any input)"
    lines.append(
        f"  {cost.cycles:,} cycles, {time:,.3f} ms at {board.clock_hz / 1e6:g} MHz{bounds}, "
        f"{cost.memory}, {toolchain}"
    )
    microjoules = nanojoules(board.core, cost.cycles) / 1000
    lines.append(f"  {microjoules:,.2f} uJ an inference ({POWER[board.core].source})")
    return lines
