"""`miniml_firmware.h`: which model and which board this build is for."""

from __future__ import annotations

from miniml.adapters.c_text import check_name, render
from miniml.boards import Board
from miniml.float_net import is_float_mode
from miniml.model import QuantizedModel


def generate(model: QuantizedModel, board: Board) -> str:
    """The text of `miniml_firmware.h`, the one header that the sketch includes.

    Args:
        model: of which `<name>_model.h` was made.
        board: gives name, stream and rate; its mode, which `<name>_model.h` has too, says what
            the values are.

    Raises:
        ModelError: the model's name can't prefix C symbols.
    """
    name = check_name(model.name)
    return render(
        "firmware.h.j2",
        model=model,
        name=name,
        upper=name.upper(),
        board=board,
        floats=is_float_mode(board.mode),
        native=board.mode == "native",
    )
