"""Every mode's header on the three simulated cores: the reference's bits."""

from __future__ import annotations

from decimal import Decimal, localcontext
from pathlib import Path

import numpy as np
import pytest
from random_float_models import edge_features, random_features, random_pair
from test_float_modes import canonical

from miniml import reference, reference_float
from miniml.adapters import float_modes, int8, native
from miniml.cost.benchmark import TARGETS, ModelCode
from miniml.cost.benchmark_modes import Header, measure_mode
from miniml.float_net import FLOAT_MODES, FloatMode, make_float_net
from miniml.model import DenseLayer, InputQuantizer, QuantizedModel
from miniml.quantization import activation_table

# Depth 1 to 6, every activation; widths that an ATmega328P's SRAM holds.
NETS = {
    1: ((30, 7), ("sigmoid",)),
    2: ((9, 128, 2), ("relu", "linear")),
    6: ((17, 12, 8, 24, 5, 16, 3), ("tanh", "relu", "sigmoid", "linear", "relu", "tanh")),
}


@pytest.mark.parametrize("core", TARGETS)
@pytest.mark.parametrize(
    ("mode", "depth"), [*((mode, 6) for mode in FLOAT_MODES), ("avr_hybrid", 1), ("avr_hybrid", 2)]
)
def test_float_modes(tmp_path: Path, core: str, mode: FloatMode, depth: int) -> None:
    widths, activations = NETS[depth]
    model, real = random_pair(depth, widths=widths, activations=activations)
    net = make_float_net(model, real, mode)
    features = np.concatenate([random_features(real, 3, depth), edge_features(real)[4:]])
    code = ModelCode(float_modes.generate(net, "nothing"))
    header = Header(code, net.name, net.widths, np.dtype(np.float32))
    found = measure_mode(TARGETS[core], header, features, tmp_path)
    for layer, expected in zip(
        found.outputs, reference_float.run_layers(net, features), strict=True
    ):
        assert canonical(layer) == canonical(expected)


@pytest.mark.parametrize("core", TARGETS)
def test_native(tmp_path: Path, core: str) -> None:
    depth = 6
    widths, activations = NETS[depth]
    model, real = random_pair(depth, widths=widths, activations=activations)
    inputs = reference.quantize_inputs(model, random_features(real, 10, depth))
    inputs[0] = -128
    code = ModelCode(native.generate(model, "nothing"))
    header = Header(code, model.name, model.widths, np.dtype(np.int8))
    found = measure_mode(TARGETS[core], header, inputs, tmp_path)
    for layer, expected in zip(found.outputs, reference.run_layers(model, inputs), strict=True):
        np.testing.assert_array_equal(layer, expected)


def table_model(activation: str, scale: float) -> QuantizedModel:
    """One weight of 1 and a multiplier of 1: every clamped input reaches the table as it is."""
    layer = DenseLayer(
        weights=np.array([[1]], np.int8),
        bias=np.array([0], np.int32),
        weight_scales=np.array([1.0]),
        multipliers=np.array([2**30], np.int32),
        shifts=np.array([1], np.int8),
        input_scale=scale,
        output_scale=scale,
        activation=activation,  # type: ignore[arg-type]
        activation_min=-127,
        activation_max=127,
        table=activation_table(activation, scale),  # type: ignore[arg-type]
    )
    return QuantizedModel(
        name="table",
        task="regression",
        features=("x",),
        labels=(),
        input=InputQuantizer(np.ones(1, np.float32), np.zeros(1, np.float32)),
        layers=(layer,),
        output_scale=np.array([1 / 127]),
        output_offset=np.zeros(1),
    )


@pytest.mark.parametrize("core", TARGETS)
@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_all_256_inputs_of_a_table(tmp_path: Path, core: str, activation: str) -> None:
    scale = 0.03125
    model = table_model(activation, scale)
    inputs = np.arange(-128, 128).astype(np.int8)[:, np.newaxis]
    code = ModelCode(int8.generate(model, "nothing"))
    header = Header(code, model.name, model.widths, np.dtype(np.int8))
    found = measure_mode(TARGETS[core], header, inputs, tmp_path).outputs[0][:, 0]
    table = model.layers[0].table
    assert table is not None
    np.testing.assert_array_equal(found[1:], table[1:])
    assert found[0] == table[1]  # -128 is clamped to -127
    with localcontext() as context:
        context.prec = 50
        for index, value in enumerate(found.tolist()):
            x = Decimal(max(index - 128, -127)) * Decimal(scale)
            power = (x * (2 if activation == "tanh" else 1)).exp()
            true = power / (1 + power) if activation == "sigmoid" else (power - 1) / (power + 1)
            assert abs(value - 127 * true) <= Decimal("0.5"), index
