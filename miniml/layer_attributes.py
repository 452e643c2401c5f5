"""The guide's attributes of a quantized layer: q_W1, i32_B1, requant_mult1, s_W1_list, q_W2, ..."""

from __future__ import annotations

import re
from typing import Any

from numpy.typing import NDArray

from miniml.model import QuantizedModel

# The layer's number counts from 1.
_PATTERN = re.compile(r"q_W(\d+)|i32_B(\d+)|requant_mult(\d+)|s_W(\d+)_list")
_FIELDS = ("weights", "bias", "real_multipliers", "weight_scales")


def is_layer_attribute(name: str) -> bool:
    """Whether a name has the form of one."""
    return _PATTERN.fullmatch(name) is not None


def layer_attributes(n_layers: int) -> list[str]:
    """All names of a model."""
    return [
        name
        for i in range(1, n_layers + 1)
        for name in (f"q_W{i}", f"i32_B{i}", f"requant_mult{i}", f"s_W{i}_list")
    ]


def layer_attribute(model: QuantizedModel, name: str) -> NDArray[Any]:
    """The array of that name, as a view that can't be written to.

    Raises:
        AttributeError: the model has no such layer.
    """
    found = _PATTERN.fullmatch(name)
    numbers = found.groups() if found else ()
    for field, number in zip(_FIELDS, numbers, strict=False):
        if number and name in layer_attributes(len(model.layers)):
            view: NDArray[Any] = getattr(model.layers[int(number) - 1], field).view()
            view.flags.writeable = False
            return view
    raise AttributeError(f"{name}: {model.name} has {len(model.layers)} layers")
