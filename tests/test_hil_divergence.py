"""A wrong byte is traced to layer, neuron and accumulators, and its row runs again elsewhere."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from device_stand_in import DeviceStandIn
from hil_bench import ROOT, Bench, make_bench, spoil_weights
from random_models import ACTIVATIONS, random_model

from miniml import reference
from miniml.cli import main
from miniml.errors import UsageError
from miniml.fixed_point import accumulator_bound, quantize_multipliers, requantize
from miniml.hil.board_log import BoardLog
from miniml.hil.link.line_port import LinePort
from miniml.hil.link.session import Session
from miniml.hil.proof.comparison import Comparison, RanRow
from miniml.hil.proof.divergence import accumulators_of, first_divergence
from miniml.hil.proof.exercise import Exercise
from miniml.hil.proof.replay_file import MAX_FILE_BYTES, Replay, load_replay, save_replay
from miniml.hil.replay import replay_row
from miniml.hil.run_options import RunOptions
from miniml.model import QuantizedModel

SEED = 11


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_intervals_are_those_of_every_accumulator(activation: str) -> None:
    rng = np.random.default_rng(SEED)
    for _ in range(4):
        layer = random_model(rng, widths=(2, 3), activations=(activation,)).layers[0]
        for neuron in range(3):
            bound = int(accumulator_bound(layer.weights, layer.bias)[neuron])
            if bound > 300_000:
                continue
            every = np.arange(-bound, bound + 1)[:, None]
            one = slice(neuron, neuron + 1)
            scaled = requantize(every, layer.multipliers[one], layer.shifts[one])
            values = np.clip(scaled, layer.activation_min, layer.activation_max)[:, 0]
            given = values if layer.table is None else layer.table[values + 128]
            for value in (-128, -127, -3, 0, 1, 50, 127, int(given[bound])):
                claimed = np.zeros(len(every), bool)
                for low, high in accumulators_of(layer, neuron, value):
                    assert not claimed[low + bound : high + bound + 1].any()
                    claimed[low + bound : high + bound + 1] = True
                assert np.array_equal(claimed, given == value)


def unsaturated(activations: tuple[str, str]) -> QuantizedModel:
    """6-5-4, every accumulator within the clamp."""
    model = random_model(np.random.default_rng(5), widths=(6, 5, 4), activations=activations)
    layers = []
    for layer in model.layers:
        multipliers, shifts = quantize_multipliers(
            120.0 / accumulator_bound(layer.weights, layer.bias)
        )
        layers.append(dataclasses.replace(layer, multipliers=multipliers, shifts=shifts))
    return dataclasses.replace(model, layers=tuple(layers))


def with_other_weight(model: QuantizedModel, layer: int, neuron: int) -> QuantizedModel:
    """One weight changed by 90, in a model whose ids are as before."""
    changed = model.layers[layer].weights.copy()
    changed[neuron, 2] += 90 if changed[neuron, 2] < 0 else -90
    layers = list(model.layers)
    layers[layer] = dataclasses.replace(layers[layer], weights=changed)
    return dataclasses.replace(model, layers=tuple(layers))


@pytest.mark.parametrize(("layer", "neuron"), [(0, 3), (1, 1)])
def test_a_changed_weight_is_named(layer: int, neuron: int) -> None:
    model = unsaturated(("tanh", "linear"))
    other = with_other_weight(model, layer, neuron)
    rows = np.random.default_rng(SEED).integers(-127, 128, (8, 6)).astype(np.int8)
    with closing(DeviceStandIn(other)) as board, closing(LinePort(board.port, 115200)) as port:
        session = Session(port, BoardLog("bench"), patience=10)
        session.hello()
        exercise = Exercise(session, model, 1.0, lambda suite, done, total: None)
        comparison = exercise.run_rows("test", rows)
    assert isinstance(comparison, Comparison)
    assert comparison.wrong is not None
    found = first_divergence(model, comparison.wrong)
    assert (found.difference.layer, found.difference.index, found.byte) == (layer + 1, neuron, 0)
    inputs = [reference.clamp_inputs(model, rows), *reference.run_layers(model, rows)][layer]
    row = found.difference.row
    right, wrong = (
        int(reference.accumulate(m.layers[layer], inputs)[row, neuron]) for m in (model, other)
    )
    assert found.accumulator == right
    assert found.expected_from is not None
    assert found.found_from is not None
    assert any(low <= right <= high for low, high in found.expected_from)
    assert any(low <= wrong <= high for low, high in found.found_from)
    assert f"layer {layer + 1}, neuron {neuron}, byte 0: expected " in str(found)
    assert f"the reference has {right:,})" in str(found)


@pytest.fixture
def bench(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Bench:
    return make_bench(tmp_path, tmp_path_factory, monkeypatch)


def test_one_weight_in_a_board_s_flash_and_its_replay(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    layer = spoil_weights(bench, count=1)
    result = bench.start(bench.options(samples=20, random=0, floats=0))
    assert result.verdict == "FAIL"
    found = result.divergence
    assert found is not None
    assert found.difference.layer == layer
    assert str(found) in result.reasons[1]
    file = bench.workspace / "miniml" / "replay" / "uno.json"
    assert result.reasons[1].endswith(f"; run it again: miniml replay {file}")
    # A weight that is 64 more or less moves one accumulator by 64 times one of its inputs.
    ran = load_replay(file).ran
    place = layer - 1
    assert np.flatnonzero(ran.expected[place] != ran.found[place]).tolist() == [
        found.difference.index
    ]
    inputs = ran.expected[place - 1] if place else ran.inputs
    assert found.accumulator is not None
    assert found.found_from is not None
    moved = found.accumulator + np.concatenate([inputs, -inputs.astype(int)]).astype(int) * 64
    assert any(((low <= moved) & (moved <= high)).any() for low, high in found.found_from)
    # On a simulated board with the build as it was made.
    assert main(["replay", "--project-dir", str(ROOT), str(file)]) == 0
    said = capsys.readouterr().out
    assert f"recorded on a simulated uno: {found}" in said
    assert "the simulated uno gives the reference's bytes" in said


def a_replay() -> Replay:
    """A row whose second layer is wrong, of no model that is built."""
    model = random_model(np.random.default_rng(5), widths=(6, 5, 4))
    rows = np.full((1, 6), 9, np.int8)
    expected = tuple(layer[0] for layer in reference.run_layers(model, rows))
    found = (expected[0], expected[1] ^ np.int8(1))
    comparison = Comparison("test")
    comparison.take(RanRow("test", 0, 1, rows[0], expected, found))
    assert comparison.wrong is not None
    return Replay("uno", False, "int8", "ab" * 32, "cd" * 32, comparison.wrong)


def test_a_replay_file_keeps_its_row(tmp_path: Path) -> None:
    replay = a_replay()
    save_replay(tmp_path / "deep" / "uno.json", replay)
    again = load_replay(tmp_path / "deep" / "uno.json")
    assert vars(again) | {"ran": None} == vars(replay) | {"ran": None}
    assert (again.ran.suite, again.ran.row, again.ran.first_layer) == ("test", 0, 1)
    assert np.array_equal(again.ran.inputs, replay.ran.inputs)
    for one, two in zip(again.ran.found, replay.ran.found, strict=True):
        assert np.array_equal(one, two)


Damage = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda c: c.update(schema="miniml.replay/2"), "schema"),
        (lambda c: c.update(board="../../etc"), "board"),
        (lambda c: c.update(model_id="AB" * 32), "model_id"),
        (lambda c: c.update(row=-1), "row"),
        (lambda c: c.update(row=True), "row"),
        (lambda c: c.update(suite="else"), "suite"),
        (lambda c: c.update(expected=[]), "expected"),
        (lambda c: c["found"].pop(), "other shapes"),
        (lambda c: c["inputs"].update(bytes="0G"), "hex"),
        (lambda c: c["inputs"].update(type="float32"), "within a value"),
        (lambda c: c["inputs"].update(type="float64"), "type"),
        (lambda c: c.update(simulated=1), "simulated"),
        (lambda c: c.update(first_layer=0), "first_layer"),
    ],
)
def test_a_bad_replay_file_is_refused_in_one_line(
    tmp_path: Path, damage: Damage, words: str
) -> None:
    file = tmp_path / "uno.json"
    save_replay(file, a_replay())
    content = json.loads(file.read_text())
    damage(content)
    file.write_text(json.dumps(content))
    with pytest.raises(UsageError, match=words) as caught:
        load_replay(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b" " * (MAX_FILE_BYTES + 1)]
)
def test_what_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "uno.json"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=r"is no replay file|can't read"):
        load_replay(file)
    with pytest.raises(UsageError, match="can't read"):
        load_replay(tmp_path / "nowhere.json")


def test_a_replay_of_another_build_or_row_is_refused(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "uno.json"
    build = json.loads(bench.build_file("uno", "miniml/build.json").read_text())
    save_replay(file, a_replay())
    assert main(["replay", "--project-dir", str(ROOT), str(file)]) == 4
    assert "is of model abababababababab, built is" in capsys.readouterr().err
    ids = {key: build[key] for key in ("model_id", "build_id")}
    save_replay(file, dataclasses.replace(a_replay(), **ids))
    with pytest.raises(UsageError, match="has a row that model digits can't take"):
        replay_row(RunOptions(ROOT), file)
