"""The int8 backend: a header over the portable kernel of firmware/lib/MiniML, or over assembly."""

from __future__ import annotations

from miniml.adapters.c_text import check_name, render
from miniml.model import GENERATOR_VERSION, QuantizedModel


def generate(model: QuantizedModel, source: str, *, kernels: bool = False) -> str:
    """The text of `<name>_model.h`: constants in flash and the functions over them.

    Every symbol begins with the model's name, so that two models fit in one firmware; data
    and functions are static, so that several files may include the header.

    Args:
        model: any quantized model.
        source: what it was trained from, for the header's first lines.
        kernels: the layers are in `<name>_kernels.S` (miniml.kernels), not in the header.

    Raises:
        ModelError: the model's name can't prefix C symbols.
    """
    name = check_name(model.name)
    return render(
        "model_int8.h.j2",
        model=model,
        name=name,
        upper=name.upper(),
        source=source,
        generator_version=GENERATOR_VERSION,
        kernels=kernels,
        buffer=f"{name}_input_buffer" if kernels else f"{name}_scratch_a",
        scratch_a=max(model.widths[0::2]),
        scratch_b=max(model.widths[1::2]),
    )
