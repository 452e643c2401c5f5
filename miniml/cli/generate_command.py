"""miniml generate: from the QuantizedModel to C and assembly."""

from __future__ import annotations

import argparse
from pathlib import Path

from miniml.adapters.export import BACKENDS, export
from miniml.atomic_file import write_atomically
from miniml.boards import in_mode
from miniml.cli.model_arguments import (
    Subparsers,
    add_model_command,
    chosen_boards,
    prepare_model,
)
from miniml.cli.output import show
from miniml.errors import MiniMLError, UsageError
from miniml.float_net import device_model
from miniml.generation import board_files
from miniml.kernels.choice import kernels_for
from miniml.kernels.explanation import explain

NO_KERNELS = "the portable kernel runs every row: nothing to explain (mode, [code] or core)"


def register(subparsers: Subparsers) -> None:
    """Add the command to the `miniml` parser."""
    generating = add_model_command(
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


def run_generate(arguments: argparse.Namespace) -> int:
    """`miniml generate`."""
    if arguments.explain and not arguments.board:
        raise UsageError("--explain needs --board: kernels are made for a core")
    board = None
    if arguments.board:
        board = in_mode(chosen_boards(arguments)[0], arguments.mode or "")
    prepared = prepare_model(arguments)
    model = prepared.model
    kernels = None
    mode = board.mode if board else arguments.mode or "int8"
    if board:
        kernels = kernels_for(model, board, prepared.settings.code)
        files = board_files(prepared, board, kernels, alias=arguments.alias)
    else:
        source = prepared.settings.data_path.name
        header = export(model, prepared.float_model, mode, source, alias=arguments.alias)
        files = {f"{model.name}_model.h": header}
    paths = {arguments.out / name: text for name, text in files.items()}
    for path, text in paths.items():
        try:
            arguments.out.mkdir(parents=True, exist_ok=True)
            write_atomically(path, text.encode())
        except OSError as error:
            raise MiniMLError(
                f"{path}: can't be written ({error.strerror}): check rights and room"
            ) from error
    explained = []
    if arguments.explain:
        explained = explain(model, kernels) if kernels else [NO_KERNELS]
    made = device_model(model, prepared.float_model, mode)
    content = {
        "name": made.name,
        "model_id": made.model_id,
        "mode": mode,
        "files": [str(path) for path in paths],
        "explanation": explained,
    }
    show(arguments, content, [*(f"wrote {path}" for path in paths), *explained])
    return 0
