"""miniml generate, cost: from the QuantizedModel to C, and what that takes on a board."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from miniml.adapters.export import BACKENDS, export
from miniml.atomic_file import write_atomically
from miniml.boards import Board, in_mode, load_boards, pick_board
from miniml.cost import Cost, foretell
from miniml.cost.calibration import load_calibrations
from miniml.cost.foretelling import ANY_TOOLCHAIN
from miniml.errors import MiniMLError, UsageError
from miniml.generation import board_files
from miniml.kernels.choice import kernels_for
from miniml.kernels.explanation import explain
from miniml.pipeline import Prepared, prepare

NO_KERNELS = "the portable kernel runs every row: nothing to explain (mode, [code] or core)"
Subparsers = Any  # argparse has no public name for what add_subparsers returns


def register(subparsers: Subparsers) -> None:
    """Add the two commands to the `miniml` parser."""
    generating = _command(
        subparsers,
        "generate",
        "write the model as a C header",
        "Writes <name>_model.h, and with --board miniml_firmware.h and <name>_kernels.S as well, "
        "as the build hook does into PlatformIO's build folder. Trains first if the lock is not "
        "current (unless train is frozen).",
    )
    generating.add_argument(
        "--out", type=Path, default=Path(), help="folder to write to (default: the current one)"
    )
    generating.add_argument("--board", help="section of boards.ini, for miniml_firmware.h")
    generating.add_argument(
        "--mode",
        choices=tuple(BACKENDS),
        help="how it computes (default: what boards.ini says of --board, else int8)",
    )
    generating.add_argument(
        "--alias", metavar="NAME", help="a second name for <name>_predict, such as predict"
    )
    generating.add_argument(
        "--explain",
        action="store_true",
        help="with --board: print how each row is computed, and the proof that its bytes are right",
    )
    generating.set_defaults(run=run_generate)
    costing = _command(
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
    costing.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    costing.set_defaults(run=run_cost)


def _command(
    subparsers: Subparsers, name: str, summary: str, description: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name, help=summary, description=description
    )
    parser.add_argument("model_dir", type=Path, metavar="MODEL_DIR", help="holds model.toml")
    parser.add_argument(
        "--project-dir", type=Path, default=Path(), help="holds boards.ini (default: here)"
    )
    parser.add_argument("--train", choices=("auto", "frozen"), help="over model.toml's setting")
    parser.add_argument("--cache", type=Path, help="where training results are kept")
    return parser


def _prepare(arguments: argparse.Namespace) -> Prepared:
    prepared = prepare(
        arguments.model_dir, train=arguments.train, cache=arguments.cache, progress=True
    )
    for note in prepared.notes:
        print(f"miniml: {note}", file=sys.stderr)
    return prepared


def _boards(arguments: argparse.Namespace) -> list[Board]:
    boards = load_boards(arguments.project_dir)
    return [pick_board(boards, arguments.board)] if arguments.board else list(boards.values())


def run_generate(arguments: argparse.Namespace) -> int:
    """`miniml generate`."""
    if arguments.explain and not arguments.board:
        raise UsageError("--explain needs --board: kernels are made for a core")
    prepared = _prepare(arguments)
    model = prepared.model
    kernels = None
    if arguments.board:
        board = in_mode(_boards(arguments)[0], arguments.mode or "")
        kernels = kernels_for(model, board, prepared.settings.code)
        files = board_files(prepared, board, kernels, alias=arguments.alias)
    else:
        source = prepared.settings.data_path.name
        mode = arguments.mode or "int8"
        header = export(model, prepared.float_model, mode, source, alias=arguments.alias)
        files = {f"{model.name}_model.h": header}
    for name, text in files.items():
        path = arguments.out / name
        try:
            arguments.out.mkdir(parents=True, exist_ok=True)
            write_atomically(path, text.encode())
        except OSError as error:
            raise MiniMLError(
                f"{path}: can't be written ({error.strerror}): check rights and room"
            ) from error
        print(f"wrote {path}")
    if arguments.explain:
        print("\n".join(explain(model, kernels) if kernels else [NO_KERNELS]))
    return 0


def run_cost(arguments: argparse.Namespace) -> int:
    """`miniml cost`."""
    boards = _boards(arguments)
    prepared = _prepare(arguments)
    inputs = prepared.test_vectors().inputs
    entries = []
    for board in boards:
        kernels = kernels_for(prepared.model, board, prepared.settings.code)
        for toolchain in [ANY_TOOLCHAIN] if kernels else _toolchains(arguments.toolchain, board):
            cost = foretell(prepared.model, board, toolchain, inputs, kernels)
            entries.append((board, toolchain, cost))
    if arguments.json:
        model = prepared.model
        content = {
            "model": {"name": model.name, "model_id": model.model_id, "macs": model.macs},
            "boards": [_json(board, toolchain, cost) for board, toolchain, cost in entries],
        }
        print(json.dumps(content, indent=1))
        return 0
    shape = "-".join(map(str, prepared.model.widths))
    print(f"{prepared.model.name} {shape}, {prepared.model.macs:,} MACs, int8")
    for board, toolchain, cost in entries:
        print()
        print("\n".join(_lines(board, toolchain, cost)))
    return 0


def _toolchains(wanted: str | None, board: Board) -> Sequence[str | None]:
    if wanted:
        return [wanted]
    known = [toolchain for core, toolchain in load_calibrations().records if core == board.core]
    return sorted(known) or [None]


def _json(board: Board, toolchain: str | None, cost: Cost) -> dict[str, Any]:
    content = {
        field.name: getattr(cost, field.name)
        for field in dataclasses.fields(cost)
        if field.name not in ("cycles_by_row", "layers")
    }
    layers = [dataclasses.asdict(layer) for layer in cost.layers]
    return {"name": board.name} | content | {"toolchain": toolchain, "layers": layers}


def _lines(board: Board, toolchain: str | None, cost: Cost) -> list[str]:
    lines = [f"{board.name}: {board.title}"]
    for number, layer in enumerate(cost.layers, start=1):
        cycles = "cycles not foretold"
        if layer.cycles is not None:
            cycles = f"{layer.cycles:>9,} cycles  {layer.cycles / layer.macs:5.1f} a MAC"
        lines.append(
            f"  {number}  {layer.name:<20} {layer.macs:>8,} MACs"
            f" {layer.flash:>8,} B flash  {cycles}"
        )
    lines.append(
        f"  flash {cost.flash:,} of {board.flash_bytes:,} B with the kernel, "
        f"SRAM {cost.sram:,} of {board.sram_bytes:,} B"
        + ("" if cost.stack is None else f", stack {cost.stack:,} B")
    )
    if cost.cycles is None:
        return [*lines, f"  cycles not foretold: {toolchain or 'no toolchain'} is not calibrated"]
    time = 1e3 * cost.cycles / board.clock_hz
    least = "at most" if cost.cycles_min is None else f"{cost.cycles_min:,} to"
    lines.append(
        f"  {cost.cycles:,} cycles, {time:,.3f} ms at {board.clock_hz / 1e6:g} MHz "
        f"({least} {cost.cycles_max:,} for any input), {cost.memory}, {toolchain}"
    )
    return lines
