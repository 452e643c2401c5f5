"""MiniNeuralNetwork: the guide's attributes, its life from fit to C, and what it refuses."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from miniml import errors, reference
from miniml.adapters.cmsis_nn.adapter import CMSISAdapter
from miniml.ml_runtime import MiniNeuralNetwork
from miniml.network_options import NetworkOptions
from miniml.network_settings import SECTION_OF

XOR = [[0.0, 0.0, 0], [0.0, 1.0, 1], [1.0, 0.0, 1], [1.0, 1.0, 0]]
POINTS = [row[:2] for row in XOR]
QUICK: NetworkOptions = {"epochs": 20, "restarts": 0}


@pytest.fixture(scope="module")
def xor() -> MiniNeuralNetwork:
    return MiniNeuralNetwork(n_inputs=2, n_hidden=4, n_outputs=1).fit(XOR).quantize()


def test_the_guides_attributes_and_their_shapes(xor: MiniNeuralNetwork) -> None:
    assert (len(xor.q_W1), len(xor.q_W1[0])) == (4, 2)
    assert (len(xor.q_W2), len(xor.q_W2[0])) == (1, 4)
    for index, rows in ((1, 4), (2, 1)):
        weights, bias = getattr(xor, f"q_W{index}"), getattr(xor, f"i32_B{index}")
        multipliers = getattr(xor, f"requant_mult{index}")
        scales = getattr(xor, f"s_W{index}_list")
        assert (weights.dtype, bias.dtype) == (np.int8, np.int32)
        assert (multipliers.dtype, scales.dtype) == (np.float64, np.float64)
        assert bias.shape == multipliers.shape == scales.shape == (rows,)
        layer = xor.quantized_model.layers[index - 1]
        # The multipliers are those that M and the shift were made of.
        made = [MiniNeuralNetwork._quantize_multiplier(m) for m in multipliers.tolist()]
        assert made == list(zip(layer.multipliers.tolist(), layer.shifts.tolist(), strict=True))
        assert f"q_W{index}" in dir(xor)
    assert list(xor.act_scales) == ["input", "hidden", "output"]
    assert xor.act_scales["input"] == 1 / 127
    assert xor.act_scales["output"] == 1 / 127  # of a sigmoid's table
    assert xor.act_scales["hidden"] == xor.quantized_model.layers[0].output_scale
    assert xor.quantized is True
    with pytest.raises(AttributeError, match="2 layers"):
        _ = xor.q_W3
    with pytest.raises(AttributeError, match="2 layers"):
        _ = xor.i32_B0
    with pytest.raises(AttributeError, match="no attribute 's_W1'"):
        _ = xor.s_W1
    with pytest.raises(ValueError, match="read-only"):
        xor.q_W1[0, 0] = 1


def test_per_layer_has_one_scale_a_matrix() -> None:
    network = MiniNeuralNetwork(2, 4, 1).fit(XOR)
    assert len(set(network.quantize(per_channel=True).s_W1_list.tolist())) > 1
    assert len(set(network.quantize(per_channel=False).s_W1_list.tolist())) == 1
    assert "per_layer" in repr(network)


@pytest.mark.parametrize(
    ("hidden", "keys"),
    [
        ([], ["input", "output"]),
        ([5, 3, 4], ["input", "hidden", "hidden2", "hidden3", "output"]),
    ],
)
def test_any_depth(hidden: list[int], keys: list[str]) -> None:
    network = MiniNeuralNetwork(2, hidden, 1, **QUICK).fit(XOR).quantize()
    assert list(network.act_scales) == keys
    layers = network.quantized_model.layers
    behind_input = [layer.input_scale for layer in layers]
    assert list(network.act_scales.values())[:-1] == behind_input
    assert getattr(network, f"q_W{len(layers)}").shape[0] == 1
    assert network.n_hidden == tuple(hidden)


def test_what_was_quantized_is_dropped_when_it_is_no_longer_true(xor: MiniNeuralNetwork) -> None:
    network = copy.deepcopy(xor)
    before = network.act_scales
    after = network.calibrate([[0.0, 2.0], [1.0, 0.5]])
    assert after == network.act_scales != before
    assert not network.quantized
    assert not hasattr(network, "q_W1")
    network.quantize().fit(XOR)
    assert not network.quantized
    assert xor.quantized  # the copy's life is its own


def test_numpys_scalars_are_numbers() -> None:
    two, four = np.int64(2), np.int32(4)
    rate = np.float32(0.25)
    network = MiniNeuralNetwork(two, four, np.uint8(1), learning_rate=rate)  # type: ignore[arg-type]
    assert repr(network) == "<MiniNeuralNetwork model 2-4-1: not fitted>"
    assert MiniNeuralNetwork(2, [four, two], 1).n_hidden == (4, 2)  # type: ignore[list-item]
    widths: Any = np.array([4, 2])
    assert MiniNeuralNetwork(2, widths, 1).n_hidden == (4, 2)
    again = pickle.loads(pickle.dumps(network.fit(XOR).quantize()))
    assert again.quantized_model.model_id == network.quantized_model.model_id


def test_editors_are_told_of_every_setting() -> None:
    assert set(NetworkOptions.__annotations__) == {"name", "task", *SECTION_OF}


def test_what_the_ranges_rest_on(xor: MiniNeuralNetwork) -> None:
    reports = xor.report_ranges([*POINTS, [0.5, 2.0]])
    assert [report.name for report in reports] == ["input", "layer 1", "layer 2"]
    assert (reports[0].range, reports[0].rows[0]) == (2.0, 5)


def test_every_setting_of_the_stages_reaches_them() -> None:
    plain = MiniNeuralNetwork(2, 4, 1, **QUICK).fit(XOR).quantize().quantized_model
    for name, value in (
        ("qat_epochs", 20),
        ("weight_limit", 0.25),
        ("percentile", 80.0),
        ("noise", 0.1),
        ("nonnegative_input", True),
    ):
        settings: dict[str, Any] = {**QUICK, name: value}
        other = MiniNeuralNetwork(2, 4, 1, **settings).fit(XOR).quantize()
        assert other.quantized_model.model_id != plain.model_id, name
    limited = MiniNeuralNetwork(2, 4, 1, weight_limit=0.25, epochs=20).fit(XOR).float_model
    assert max(np.abs(layer.weights).max() for layer in limited.layers) <= 0.25


def test_predictions_are_those_of_the_reference(xor: MiniNeuralNetwork) -> None:
    assert xor.predict(POINTS).tolist() == [0, 1, 1, 0]
    assert xor.predict_quantized(np.array(POINTS)).tolist() == [0, 1, 1, 0]
    model = xor.quantized_model
    inputs = reference.quantize_inputs(model, np.array(POINTS, np.float32))
    outputs = reference.run_layers(model, inputs)[-1]
    assert xor.predict_quantized(POINTS).tolist() == reference.predict(model, outputs).tolist()


def test_the_same_seed_gives_the_same_model_and_parameters_stay(xor: MiniNeuralNetwork) -> None:
    again = MiniNeuralNetwork(2, 4, 1)
    settings = again.state.settings
    rows = copy.deepcopy(XOR)
    again.fit(rows).quantize()
    assert rows == XOR
    assert again.state.settings is settings
    assert again.quantized_model.model_id == xor.quantized_model.model_id
    other = MiniNeuralNetwork(2, 4, 1, seed=2).fit(XOR).quantize()
    assert other.quantized_model.model_id != xor.quantized_model.model_id


def rows_of(n: int, labels: Callable[[np.ndarray[Any, Any]], Any]) -> list[list[float]]:
    points = np.random.default_rng(3).uniform(-1, 1, (n, 2))
    return [[*p, *np.atleast_1d(labels(p))] for p in points]


def test_kinds_of_labels() -> None:
    third = [[0, 0, 2], [9, 0, 1], [0, 9, 0], [1, 0, 2], [8, 0, 1], [0, 8, 0]]
    network = MiniNeuralNetwork(2, 6, 3, scaling="minmax").fit(third)
    assert network.predict([row[:2] for row in third]).tolist() == [2, 1, 0, 2, 1, 0]
    hot = [[*row[:2], *np.eye(3)[row[2]]] for row in third]
    same = MiniNeuralNetwork(2, 6, 3, scaling="minmax").fit(hot)
    assert same.quantize().quantized_model.model_id == network.quantize().quantized_model.model_id

    regression = MiniNeuralNetwork(2, 8, 2, epochs=300).fit(
        rows_of(60, lambda p: [10 * p[0], p[1] - p[0]])
    )
    values = regression.quantize().predict_quantized([[0.5, -0.5]])
    assert regression.quantized_model.task == "regression"
    assert values.shape == (1, 2)
    assert values[0] == pytest.approx([5.0, -1.0], abs=0.5)
    one = MiniNeuralNetwork(2, 4, 1, **QUICK).fit(rows_of(20, lambda p: p[0]))
    assert one.float_model.task == "regression"
    forced = MiniNeuralNetwork(2, 4, 1, task="regression", epochs=20).fit(XOR)
    assert forced.float_model.task == "regression"


BAD_ROWS: list[tuple[Any, type[Exception], str]] = [
    ([], errors.EmptyDataError, "no rows"),
    (np.zeros((0, 3)), errors.EmptyDataError, "no rows"),
    ([[0, 1, 0], [1, 1, 0]], errors.OneClassError, "every row has label 0"),
    ([[0, 1], [1, 0]], errors.ShapeError, "2 columns, but n_inputs=2"),
    ([[0, 1, 0], [1, 1]], errors.ShapeError, "row 1: 2 columns"),
    ([0, 1, 0], errors.ShapeError, "two brackets"),
    ([[0, math.nan, 0], [1, 1, 1]], errors.DataError, "row 0, column 1: nan"),
    ([[0, 1, 0], [1e39, 1, 1]], errors.DataError, "row 1, column 0: 1e\\+39"),
    ([[0, "1", 0], [1, 1, 1]], errors.DataError, "row 0, column 1: '1'"),
    (np.zeros((2, 3, 1)), errors.DataError, "row 0, column 0: array"),
    ([[0, 1, 0], [10**5000, 1, 1]], errors.DataError, "column 0: a number of thousands of digits"),
    ([[0, 0, 0], [0, 0, 1]], errors.CalibrationError, "nothing but zeros"),
]


@pytest.mark.parametrize(("rows", "error", "words"), BAD_ROWS)
def test_bad_rows_leave_the_network_as_it_was(
    xor: MiniNeuralNetwork, rows: Any, error: type[Exception], words: str
) -> None:
    before = xor.state
    with pytest.raises(error, match=words) as caught:
        xor.fit(rows)
    assert "\n" not in str(caught.value)
    assert xor.state is before


@pytest.mark.parametrize(
    ("n_outputs", "task", "label", "words"),
    [
        (1, "classification", 2, "label 2 is no whole number from 0 to 1"),
        (3, "auto", 3, "label 3 is no whole number from 0 to 2"),
        (3, "auto", -1, "label -1"),
        (3, "auto", 0.5, "label 0.5"),
    ],
)
def test_labels_out_of_range(n_outputs: int, task: Any, label: float, words: str) -> None:
    network = MiniNeuralNetwork(2, 4, n_outputs, task=task)
    with pytest.raises(errors.LabelError, match=words):
        network.fit([*XOR, [0.5, 0.5, label]])
    assert not network.fitted


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"activation": "rleu"}, errors.UnknownActivationError, "did you mean 'relu'"),
        ({"output_activation": "step"}, errors.UnknownActivationError, "'step'"),
        ({"colour": 3}, errors.SettingsError, "the parameters are activation, "),
        ({"n_hidden": np.ones(2)}, errors.SettingsError, "n_hidden must be"),
        ({"epoch": 3}, errors.SettingsError, "did you mean 'epochs'"),
        ({"epochs": 0}, errors.SettingsError, "epochs must be a whole number from 1"),
        ({"scaling": "min"}, errors.SettingsError, "scaling must be one of 'minmax'"),
        ({"task": "clustering"}, errors.SettingsError, "'clustering'"),
        ({"n_inputs": 0}, errors.SettingsError, "n_inputs must be"),
        ({"n_outputs": True}, errors.SettingsError, "n_outputs must be"),
        ({"n_hidden": "4"}, errors.SettingsError, "n_hidden must be"),
        ({"n_hidden": [4, 0]}, errors.SettingsError, "n_hidden must be"),
        ({"name": "my-model"}, errors.ModelNameError, "such as 'my_model'"),
        ({"name": "1st"}, errors.ModelNameError, "such as 'm_1st'"),
        ({"name": "double"}, errors.ModelNameError, "reserved in C"),
        ({"name": "miniml_x"}, errors.ModelNameError, "own prefix"),
    ],
)
def test_bad_parameters(
    arguments: dict[str, Any], error: type[errors.MiniMLError], words: str
) -> None:
    with pytest.raises(error, match=words):
        MiniNeuralNetwork(**({"n_inputs": 2} | arguments))


def test_outputs_that_the_classes_can_t_have() -> None:
    with pytest.raises(errors.SettingsError, match="set n_outputs=2"):
        MiniNeuralNetwork(2, 4, 1, output_activation="softmax").fit(XOR)
    with pytest.raises(errors.SettingsError, match="set n_outputs=1"):
        MiniNeuralNetwork(2, 4, 2, output_activation="sigmoid").fit(XOR)


def test_the_order_of_calls() -> None:
    network = MiniNeuralNetwork(2, 4, 1, name="early")
    assert network.act_scales == {}
    assert not hasattr(network, "q_W1")
    calls: list[Callable[[], Any]] = [
        network.quantize,
        network.to_arduino_code,
        lambda: network.calibrate(XOR),
        lambda: network.predict(POINTS),
        lambda: network.float_model,
    ]
    for call in calls:
        with pytest.raises(errors.NotFittedError, match=r"early: .*call fit\(\) first"):
            call()
    network = MiniNeuralNetwork(2, 4, 1, **QUICK).fit(XOR)
    for call in (lambda: network.quantized_model, lambda: network.predict_quantized(POINTS)):
        with pytest.raises(errors.NotQuantizedError, match=r"call quantize\(\) first"):
            call()
    # A label is no feature, even where it stands behind them.
    for row in ([1.0], [1.0, 0.0, 1.0]):
        with pytest.raises(errors.ShapeError, match="n_inputs is 2"):
            network.predict([row])
    with pytest.raises(errors.ModeError, match="did you mean 'int8'"):
        network.to_c("int9")
    with pytest.raises(errors.ModeError, match="no export mode None"):
        network.to_c(None)  # type: ignore[arg-type]


def test_a_quantization_that_fails_leaves_the_network_as_it_was() -> None:
    # Inputs of 3e38 behind a sigmoid, whose range ends at 8.
    network = MiniNeuralNetwork(2, 4, 1, **QUICK).fit(XOR)
    network.calibrate([[3e38, 3e38]])
    before = network.state
    with pytest.raises(errors.MultiplierError, match="needs a left shift of"):
        network.quantize()
    assert network.state is before


def changed(network: MiniNeuralNetwork, **values: Any) -> MiniNeuralNetwork:
    """The same network with other weights, biases or ranges behind `fit`."""
    fitted = network.state.fitted
    assert fitted is not None
    first = dataclasses.replace(fitted.float_model.layers[0], **values)
    layers = (first, *fitted.float_model.layers[1:])
    model = dataclasses.replace(fitted.float_model, layers=layers)
    fitted = dataclasses.replace(fitted, float_model=model)
    return MiniNeuralNetwork.from_state(
        dataclasses.replace(network.state, fitted=fitted, quantized=None)
    )


def test_weights_and_sums_that_the_contract_can_t_carry() -> None:
    network = MiniNeuralNetwork(2, 4, 1, name="net", epochs=20).fit(XOR)
    nan = np.full((4, 2), np.nan, np.float32)
    # So large that the layer's range, calibrated before, asks for a left shift past 31 bits.
    large = np.full((4, 2), 1e8, np.float32)
    for weights, error, words in (
        (nan, errors.WeightError, "net, layer 1"),
        (large, errors.AccumulatorError, "net, layer 1, row 0.*left shift"),
        (large * 1e8, errors.MultiplierError, "net, layer 1, row 0: multiplier .*left shift"),
    ):
        broken = changed(network, weights=weights)
        before = broken.state
        with pytest.raises(error, match=words):
            broken.quantize()
        assert broken.state is before


@pytest.mark.parametrize(
    ("real", "wanted"), [(0.0, (2**30, -31)), (0.5, (2**30, 0)), (1 - 2.0**-40, (2**30, 1))]
)
def test_multipliers_as_the_guide_writes_them(real: float, wanted: tuple[int, int]) -> None:
    assert MiniNeuralNetwork._quantize_multiplier(real) == wanted
    assert CMSISAdapter._quantize_multiplier(real) == wanted


@pytest.mark.parametrize("real", [-1.0, math.nan, math.inf, 2.0**31, 10**400])
def test_multipliers_that_the_guide_would_get_wrong(real: float) -> None:
    with pytest.raises(errors.MultiplierError, match="multiplier"):
        MiniNeuralNetwork._quantize_multiplier(real)
