"""QuantizedModel: canonical JSON, ModelId, and what a damaged file says."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from miniml.errors import ModelError
from miniml.model import (
    DenseLayer,
    InputQuantizer,
    QuantizedModel,
    canonical_json,
    from_dict,
    to_dict,
)


def small_model() -> QuantizedModel:
    layer = DenseLayer(
        weights=np.array([[1, -127], [64, 0], [127, 3]], np.int8),
        bias=np.array([5, -5, 0], np.int32),
        weight_scales=np.array([0.1, 0.2, 1 / 3]),
        multipliers=np.array([1 << 30, (1 << 31) - 1, 1 << 30], np.int32),
        shifts=np.array([-8, -7, 0], np.int8),
        input_scale=1 / 127,
        output_scale=0.03,
        activation="linear",
        activation_min=-127,
        activation_max=127,
    )
    return QuantizedModel(
        name="small",
        task="classification",
        features=("a", "b"),
        labels=("x", "y", "z"),
        input=InputQuantizer(np.array([127, 0.1], np.float32), np.array([0, -1], np.float32)),
        layers=(layer,),
        output_scale=np.full(3, 0.03),
        output_offset=np.zeros(3),
    )


def test_round_trip_changes_no_byte() -> None:
    model = small_model()
    text = canonical_json(to_dict(model))
    again = from_dict(json.loads(text))
    assert canonical_json(to_dict(again)) == text
    assert again.model_id == model.model_id
    assert again.input.inv_scale.tobytes() == model.input.inv_scale.tobytes()


def test_model_id_names_what_decides_the_bytes() -> None:
    model = small_model()
    assert replace(model, name="other", features=("c", "d")).model_id == model.model_id
    layer = replace(model.layers[0], bias=np.array([5, -5, 1], np.int32))
    assert replace(model, layers=(layer,)).model_id != model.model_id


def test_shape_properties() -> None:
    model = small_model()
    assert (model.widths, model.macs) == ((2, 3), 6)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("format",), "miniml.model/0"),
        (("layers", 0, "kind"), "tree"),
        (("layers", 0, "weights"), [[1, 2], [3]]),
        (("layers", 0, "bias"), [1 << 40, 0, 0]),
        (("input", "inv_scale"), "fast"),
    ],
)
def test_damaged_files_are_refused(path: tuple[str | int, ...], value: object) -> None:
    content = to_dict(small_model())
    target: object = content
    for key in path[:-1]:
        target = target[key]  # type: ignore[index]
    target[path[-1]] = value  # type: ignore[index]
    with pytest.raises(ModelError):
        from_dict(content)
