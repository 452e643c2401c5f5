"""float32, avr_hybrid and avr_hybrid_literal: headers that run on miniml_float.h."""

from __future__ import annotations

from miniml.adapters.c_text import check_name, render
from miniml.float_net import FLOAT_VERSION, FloatMode, FloatNet, scratch_widths

_RUN: dict[FloatMode, str] = {
    "float32": "miniml_run_float32",
    "avr_hybrid": "miniml_run_hybrid",
    "avr_hybrid_literal": "miniml_run_hybrid_literal",
}


def generate(net: FloatNet, source: str) -> str:
    """The text of `<name>_model.h`: constants in flash and the functions over them.

    As int8's header, every symbol begins with the model's name, and all of it is static.

    Args:
        net: of any float mode.
        source: what it was trained from, for the header's first lines.

    Raises:
        ModelError: the model's name can't prefix C symbols.
    """
    name = check_name(net.name)
    return render(
        "model_float.h.j2",
        net=net,
        name=name,
        upper=name.upper(),
        source=source,
        float_version=FLOAT_VERSION,
        run=_RUN[net.mode],
        scratch=scratch_widths(net.widths, net.mode),
    )
