"""The guide's registry: pipeline, export, gate, save and load, and what they refuse."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from miniml import errors, evaluate, evaluate_quantized, ml_manager, network_file
from miniml.accuracy import check_accuracy_loss
from miniml.adapters import export
from miniml.ml_runtime import MiniNeuralNetwork
from miniml.model import canonical_json
from miniml.network_file import dump_network, parse_network
from miniml.network_options import NetworkOptions
from miniml.table import infer_shape, matrix

ROOT = Path(__file__).parents[1]
XOR = [[0.0, 0.0, 0], [0.0, 1.0, 1], [1.0, 0.0, 1], [1.0, 1.0, 0]]
# Raw units, so that the scaler can be seen in what is generated.
FAR = [[row[0] * 40 + 10, row[1] * 0.5 - 3, row[2]] for row in XOR]
GUIDE = {"n_inputs": 2, "n_hidden": 4, "n_outputs": 1, "epochs": 2000, "learning_rate": 0.1}
QUICK: NetworkOptions = {"epochs": 5, "restarts": 0}


@pytest.fixture(autouse=True)
def _empty_registry() -> Iterator[None]:
    yield
    for name in ml_manager.list_models():
        ml_manager.remove_model(name)


def train(name: str = "far", **arguments: Any) -> MiniNeuralNetwork:
    chosen = {"params": GUIDE, "scaling": "minmax"} | arguments
    return ml_manager.train_pipeline(name, FAR, "neural_network", **chosen).model


@pytest.mark.parametrize("scaling", ["minmax", "standard", None])
def test_the_pipeline_learns_and_the_scaler_is_in_the_code(scaling: Any) -> None:
    rows = copy.deepcopy(FAR)
    result = ml_manager.train_pipeline("far", rows, "neural_network", GUIDE, scaling)
    assert rows == FAR
    assert (result.model_name, result.rows) == ("far", 4)
    header = ml_manager.export_to_c("far", mode="int8")
    network = ml_manager.get_model("far")
    assert network is result.model
    assert network.quantized
    scaler = network.float_model.scaler
    if scaling == "minmax":
        assert scaler.shift.tolist() == [10.0, -3.0]
        assert scaler.factor.tolist() == [1 / 40, 2.0]
        assert result.score == evaluate_quantized(network, FAR) == 1.0
        assert "3.175f, 254.0f" in header
    if scaling is None:
        assert scaler.factor.tolist() == [1.0, 1.0]


def test_export_quantizes_once_and_takes_modes_boards_and_an_alias(tmp_path: Path) -> None:
    network = train()
    automatic = ml_manager.export_to_c("far")
    model = network.quantized_model
    assert automatic == ml_manager.export_to_c("far")
    assert network.quantized_model is model
    plain = ml_manager.export_to_c("far", mode="int8")
    assert ml_manager.export_to_c("far", target="uno", project_dir=ROOT) == plain
    assert ml_manager.export_to_c("far", target="pico", project_dir=ROOT) == plain
    both = ml_manager.export_to_c("far", mode="int8", alias=True)
    assert both != plain
    assert "predict(const float *" in both.removeprefix(plain[:-7])
    with pytest.raises(errors.SettingsError, match="did you mean 'uno'"):
        ml_manager.export_to_c("far", target="unno", project_dir=ROOT)
    with pytest.raises(errors.SettingsError, match=r"boards\.ini is missing"):
        ml_manager.export_to_c("far", target="uno", project_dir=tmp_path)
    with pytest.raises(errors.UnknownModelError, match="did you mean 'far'"):
        ml_manager.export_to_c("fa")
    with pytest.raises(errors.SettingsError, match="takes a MiniNeuralNetwork"):
        ml_manager.register_model("far")  # type: ignore[arg-type]


def test_where_cmsis_nn_fails_the_hybrid_mode_is_next(monkeypatch: pytest.MonkeyPatch) -> None:
    network = train(params={"n_hidden": 4, **QUICK})
    automatic = ml_manager.export_to_c("far")
    assert automatic == network.to_c("cmsis_nn") != network.to_arduino_code()
    assert ml_manager.export_to_c("far", target="stm32f4", project_dir=ROOT) == automatic

    def fails(job: export.ExportJob) -> str:
        raise errors.ModelError(f"{job.model.name}: not in this mode")

    monkeypatch.setattr(export, "BACKENDS", {**export.BACKENDS, "cmsis_nn": fails})
    assert ml_manager.export_to_c("far") == network.to_arduino_code()
    with pytest.raises(errors.ModelError, match="not in this mode"):
        ml_manager.export_to_c("far", mode="cmsis_nn")


def test_an_export_that_fails_quantizes_nothing() -> None:
    network = train(params={"n_hidden": 4, **QUICK})
    before = network.state
    with pytest.raises(errors.ModeError, match="'in8'"):
        ml_manager.export_to_c("far", mode="in8")
    assert network.state is before


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"model_type": "decision_tree"}, errors.SettingsError),
        ({"params": ["epochs", 3]}, errors.SettingsError),
        ({"model_name": "2 fast"}, errors.ModelNameError),
        ({"params": {"n_inputs": 3}}, errors.ShapeError),
        ({"params": {"n_inputs": 5, "n_outputs": 1}}, errors.ShapeError),
        ({"params": {"n_inputs": "2"}}, errors.SettingsError),
        ({"params": {"n_hiden": 2}}, errors.SettingsError),
        ({"params": {"activation": "step"}}, errors.UnknownActivationError),
        ({"dataset": []}, errors.EmptyDataError),
        ({"dataset": [[1.0, 0]]}, errors.OneClassError),
        ({"scaling": "robust"}, errors.SettingsError),
    ],
)
def test_a_pipeline_that_fails_registers_nothing(
    arguments: dict[str, Any], error: type[errors.MiniMLError]
) -> None:
    before = train("net", params={"n_hidden": 2, **QUICK})
    with pytest.raises(error) as caught:
        ml_manager.train_pipeline(**({"model_name": "net", "dataset": FAR} | arguments))
    assert "\n" not in str(caught.value)
    assert ml_manager.list_models() == ("net",)
    assert ml_manager.get_model("net") is before


@pytest.mark.parametrize(
    ("labels", "given", "wanted"),
    [
        ([[0], [1], [1]], (None, None), (2, 1)),
        ([[0], [1], [2], [2], [1], [0]], (None, None), (2, 3)),
        ([[0], [1], [2]], (None, None), (2, 1)),  # three numbers, each once: a regression
        ([[0.5], [1], [2]], (None, None), (2, 1)),
        ([[0], [1], [2]], (None, 3), (2, 3)),
        ([[1, 0, 0], [0, 1, 0]], (None, 3), (2, 3)),
        ([[5, 7], [6, 8]], (None, 2), (2, 2)),
        ([[5, 7], [6, 8]], (2, None), (2, 2)),
        ([[0], [1]], (2, 1), (2, 1)),
    ],
)
def test_shapes_are_seen_in_the_rows(
    labels: list[list[float]], given: tuple[Any, Any], wanted: tuple[int, int]
) -> None:
    rows = matrix([[0.25, 0.75, *label] for label in labels])
    assert infer_shape(rows, *given) == wanted


def test_the_two_percent_rule() -> None:
    network = train()
    before = evaluate(network, FAR)
    network.quantize()
    after = evaluate_quantized(network, FAR)
    assert after >= before - 0.02
    assert check_accuracy_loss(network, FAR) == before - after == 0.0
    with pytest.raises(errors.AccuracyLossError, match=r"from 1\.0000 to 1\.0000, -0\.1 is"):
        check_accuracy_loss(network, FAR, max_loss=-0.1)
    with pytest.raises(errors.AccuracyLossError):
        train("gated", max_accuracy_loss=-0.1)
    assert ml_manager.list_models() == ("far",)
    assert evaluate(network, FAR[:1]) == 1.0  # a test set may hold one class


def test_a_regression_is_scored_by_r2() -> None:
    points = np.linspace(-1, 1, 40)
    rows = np.column_stack([points, 3 * points + 1])
    network = MiniNeuralNetwork(1, 8, 1).fit(rows).quantize()
    assert 0.999 < evaluate(network, rows) <= 1.0
    assert evaluate_quantized(network, rows) == pytest.approx(evaluate(network, rows), abs=1e-3)
    errors_ = network.predict(rows[:, :1]) - rows[:, 1:]
    wanted = 1 - (errors_**2).sum() / ((rows[:, 1] - rows[:, 1].mean()) ** 2).sum()
    assert evaluate(network, rows) == pytest.approx(wanted, rel=1e-12)


def saved(network: MiniNeuralNetwork) -> bytes:
    return dump_network(network.state)


@pytest.mark.parametrize("per_channel", [True, False, None])
def test_a_round_trip_changes_no_byte(tmp_path: Path, per_channel: bool | None) -> None:
    network = train(params=GUIDE | {"n_hidden": [5, 3], "activation": "tanh"})
    if per_channel is not None:
        network.quantize(per_channel=per_channel)
    path = tmp_path / "far.json"
    ml_manager.save_model("far", path)
    first = path.read_bytes()
    header = ml_manager.export_to_c("far", mode="int8")
    loaded = ml_manager.load_model("far", path)
    assert loaded is ml_manager.get_model("far") is not network
    assert loaded.quantized is (per_channel is not None)
    assert loaded.act_scales == network.act_scales
    assert loaded.predict([[50, -3]]).tolist() == [1]
    assert saved(loaded) == first
    assert ml_manager.export_to_c("far", mode="int8") == header
    assert repr(loaded) == repr(network)
    assert loaded.calibrate(FAR) == network.calibrate(FAR)


weights32 = st.floats(-8, 8, width=32) | st.sampled_from([0.0, -0.0, 1e-45, -1.1754944e-38, 0.1])


@settings(max_examples=60, deadline=None)
@given(st.lists(weights32, min_size=13, max_size=13), st.booleans(), st.sampled_from([1, 40.0]))
def test_any_weights_come_back_bit_for_bit(
    values: list[float], per_channel: bool, largest: float
) -> None:
    network = MiniNeuralNetwork(2, 3, 1, **QUICK).fit(FAR)
    network.calibrate([[largest, -largest]])
    fitted = network.state.fitted
    assert fitted is not None
    numbers = np.array(values, np.float32)
    first = dataclasses.replace(
        fitted.float_model.layers[0], weights=numbers[:6].reshape(3, 2), bias=numbers[6:9]
    )
    last = dataclasses.replace(
        fitted.float_model.layers[1], weights=numbers[9:12].reshape(1, 3), bias=numbers[12:]
    )
    model = dataclasses.replace(fitted.float_model, layers=(first, last))
    fitted = dataclasses.replace(fitted, float_model=model)
    network = MiniNeuralNetwork.from_state(dataclasses.replace(network.state, fitted=fitted))
    with contextlib.suppress(errors.ModelError):  # ranges that these weights go far beyond
        network.quantize(per_channel)
    content = saved(network)
    again = parse_network(content, Path("any.json"))
    assert dump_network(again) == content
    assert again.fitted is not None
    for layer, wanted in zip(again.fitted.float_model.layers, (first, last), strict=True):
        assert layer.weights.tobytes() == wanted.weights.tobytes()
        assert layer.bias.tobytes() == wanted.bias.tobytes()
    if network.quantized:
        header = MiniNeuralNetwork.from_state(again).to_c("int8")
        assert header == network.to_c("int8")


@given(
    st.lists(
        st.lists(st.floats() | st.integers() | st.text(max_size=2) | st.none(), max_size=4),
        max_size=4,
    )
)
@example([[True, False], [1, 0]])
@example([[10**400, 1]])
@example([[1, 2], None])
def test_any_rows_are_a_table_or_refused_in_one_line(rows: Any) -> None:
    before = repr(rows)
    with contextlib.suppress(errors.DataError):
        table = matrix(rows)
        assert table.shape == (len(rows), len(rows[0]))
        assert np.isfinite(table.astype(np.float32)).all()
        assert table.tolist() == [[float(value) for value in row] for row in rows]
    assert repr(rows) == before


def test_a_network_loads_under_another_name(tmp_path: Path) -> None:
    network = train().quantize()
    ml_manager.save_model("far", tmp_path / "far.json")
    other = ml_manager.load_model("near", tmp_path / "far.json")
    assert other.name == other.quantized_model.name == "near"
    assert other.quantized_model.model_id == network.quantized_model.model_id
    header = ml_manager.export_to_c("near", mode="int8")
    assert header.replace("near", "far").replace("NEAR", "FAR") == ml_manager.export_to_c(
        "far", mode="int8"
    )


def signed(content: dict[str, Any]) -> bytes:
    content["checksum"] = network_file._checksum(content)
    return canonical_json(content)


def unsigned(network: MiniNeuralNetwork) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(saved(network))
    del content["checksum"]
    return content


def test_another_generators_model_is_quantized_again() -> None:
    network = train().quantize(per_channel=False)
    content = unsigned(network)
    content["generator"] -= 1
    content["model"]["layers"][0]["weights"][0][0] = 0
    loaded = parse_network(signed(content), Path("old.json"))
    assert loaded.quantized is not None
    assert loaded.quantized.model_id == network.quantized_model.model_id


def damaged(content: bytes) -> Iterator[tuple[str, bytes]]:
    """(what the message says, bytes)"""
    for end in (0, 1, len(content) // 2, len(content) - 3):
        yield "damaged", content[:end]
    yield "checksum", content.replace(b'"source":"4 rows"', b'"source":"5 rows"')
    yield "no saved network", b"[]"
    yield "no saved network", b'{"format": 3}'
    yield "newer MiniML", content.replace(b"miniml.network/1", b"miniml.network/2")
    yield "no public release", content.replace(b"miniml.network/1", b"miniml.network/0")
    yield "is no saved network", content.replace(b"miniml.network/1", b"miniml.lock/1")
    yield "damaged", b"\xff" + content
    yield "damaged", b"[" * 100_000


def test_damaged_files_are_refused_in_one_line(tmp_path: Path) -> None:
    network = train(params={"n_hidden": 4, **QUICK}).quantize()
    path = tmp_path / "far.json"
    for words, content in damaged(saved(network)):
        path.write_bytes(content)
        with pytest.raises(errors.ModelFileError, match=words) as caught:
            ml_manager.load_model("far", path)
        assert "\n" not in str(caught.value)
        assert ml_manager.get_model("far") is network
    with pytest.raises(errors.ModelFileError, match="No such file"):
        ml_manager.load_model("far", tmp_path / "none.json")


CHANGES: list[tuple[list[Any], Any, str]] = [
    (["settings", "n_hidden"], [5], "differ in shape"),
    (["settings", "options", "epochs"], -1, "epochs must be"),
    (["settings", "name"], "other", "names differ"),
    (["settings", "name"], "a b", "can't prefix"),
    (["float_model", "layers", 0, "weights", 0, 0], 1e39, "not finite"),
    (["float_model", "layers", 0, "weights", 0], [1.0], "damaged"),
    (["float_model", "scaler", "factor", 0], 0.0, "not above 0"),
    (["float_model", "layers", 0, "activation"], "step", "no activation"),
    (["calibration", "layers"], [1.0], "differ in number"),
    (["calibration", "input"], 5.0, "act_scales"),
    (["model", "layers", 0, "weights", 0, 0], 128, "outside"),
    (["model", "layers", 0, "weights", 0, 0], 0, "ModelId"),
    (["model", "layers", 0, "bias", 0], 2**31 - 1, "past 2"),
    (["model"], {}, "format"),
]


@pytest.mark.parametrize(("place", "value", "words"), CHANGES)
def test_what_a_right_checksum_can_t_hide(place: list[Any], value: Any, words: str) -> None:
    network = train(params={"n_hidden": 4, **QUICK}).quantize()
    content = unsigned(network)
    *way, last = place
    inner = content
    for key in way:
        inner = inner[key]
    inner[last] = value
    with pytest.raises(errors.ModelFileError, match=words):
        parse_network(signed(content), Path("far.json"))


def test_saving_is_whole_or_not_at_all(tmp_path: Path) -> None:
    train(params={"n_hidden": 4, **QUICK})
    with pytest.raises(errors.MiniMLError, match="can't be written"):
        ml_manager.save_model("far", tmp_path / "missing" / "far.json")
    ml_manager.save_model("far", tmp_path / "far.json")
    assert [file.name for file in tmp_path.iterdir()] == ["far.json"]
    with pytest.raises(errors.UnknownModelError):
        ml_manager.save_model("none", tmp_path / "far.json")
    with pytest.raises(errors.NotFittedError, match="saving needs"):
        dump_network(MiniNeuralNetwork(2, 4, 1).state)
