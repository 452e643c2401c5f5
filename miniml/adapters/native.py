"""The native backend: one C99 header that needs no library, not even MiniML's own."""

from __future__ import annotations

from miniml import elementary32
from miniml.adapters.c_text import check_name, render
from miniml.model import GENERATOR_VERSION, QuantizedModel
from miniml.reference_float import requantize_factors


def generate(model: QuantizedModel, source: str) -> str:
    """The text of `<name>_model.h`.

    The same functions and bytes as int8's header, and `<name>_reference`: the same integer weights
    and biases with float activations (`miniml.reference_float.float_activations`).

    Args:
        model: any quantized model.
        source: what it was trained from, for the header's first lines.

    Raises:
        ModelError: the model's name can't prefix C symbols.
    """
    name = check_name(model.name)
    return render(
        "model_native.h.j2",
        model=model,
        name=name,
        upper=name.upper(),
        source=source,
        generator_version=GENERATOR_VERSION,
        scratch_a=max(model.widths[0::2]),
        scratch_b=max(model.widths[1::2]),
        factors=[requantize_factors(layer) for layer in model.layers],
        has_table=any(layer.table is not None for layer in model.layers),
        coefficients=elementary32.COEFFICIENTS,
        inverse_ln2=elementary32.INVERSE_LN2,
        ln2_high=elementary32.LN2_HIGH,
        ln2_low=elementary32.LN2_LOW,
    )
