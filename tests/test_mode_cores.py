"""Every mode's header on the three simulated cores: the reference's bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from random_float_models import edge_features, random_features, random_pair
from test_float_modes import canonical

from miniml import reference_float
from miniml.adapters import float_modes
from miniml.cost.benchmark import TARGETS
from miniml.cost.benchmark_modes import Header, measure_mode
from miniml.float_net import FLOAT_MODES, FloatMode, make_float_net

# Depth 1 to 6, every activation; widths that an ATmega328P's SRAM holds.
NETS = {
    1: ((30, 7), ("sigmoid",)),
    2: ((9, 128, 2), ("relu", "linear")),
    6: ((17, 12, 8, 24, 5, 16, 3), ("tanh", "relu", "sigmoid", "linear", "relu", "tanh")),
}


@pytest.mark.parametrize("mode", FLOAT_MODES)
@pytest.mark.parametrize("core", TARGETS)
@pytest.mark.parametrize("depth", NETS)
def test_float_modes(tmp_path: Path, core: str, mode: FloatMode, depth: int) -> None:
    widths, activations = NETS[depth]
    model, real = random_pair(depth, widths=widths, activations=activations)
    net = make_float_net(model, real, mode)
    features = np.concatenate([random_features(real, 3, depth), edge_features(real)[4:]])
    header = Header(
        float_modes.generate(net, "nothing"), net.name, net.widths, np.dtype(np.float32)
    )
    found = measure_mode(TARGETS[core], header, features, tmp_path)
    for layer, expected in zip(
        found.outputs, reference_float.run_layers(net, features), strict=True
    ):
        assert canonical(layer) == canonical(expected)
