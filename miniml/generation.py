"""Every file that a model's firmware needs on one board: headers, and kernels where it has some."""

from __future__ import annotations

from miniml.adapters import firmware
from miniml.adapters.export import export
from miniml.boards import Board
from miniml.kernels.program import KernelProgram
from miniml.pipeline import Prepared


def board_files(
    prepared: Prepared, board: Board, kernels: KernelProgram | None, *, alias: str | None = None
) -> dict[str, str]:
    """Texts by file name: `<name>_model.h`, `miniml_firmware.h`, `<name>_kernels.S`.

    Args:
        prepared: the model and what it was made from.
        board: decides the mode.
        kernels: from `miniml.kernels.choice.kernels_for`.
        alias: see `export`.

    Raises:
        ModelError: the model's name can't prefix C symbols.
    """
    model, source = prepared.model, prepared.settings.data_path.name
    header = export(
        model,
        prepared.float_model,
        board.mode,
        source,
        alias=alias,
        kernels=kernels is not None,
    )
    files = {
        f"{model.name}_model.h": header,
        "miniml_firmware.h": firmware.generate(model, board),
    }
    if kernels is not None:
        files[kernels_file(model.name)] = kernels.assembly
    return files


def kernels_file(name: str) -> str:
    """Of the model of that name."""
    return f"{name}_kernels.S"
