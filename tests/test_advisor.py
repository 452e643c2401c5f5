"""The advisor: what it tries, what it takes and why, its table, and the keys it writes."""

from __future__ import annotations

import dataclasses
import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from test_qat import with_outlier
from test_ranges import using
from test_training import load, silent, with_training

from miniml.advisor import ALIKE, Trial, advise, best_of
from miniml.boards import Board
from miniml.cli import advice as advice_command
from miniml.cli import main
from miniml.errors import BudgetError, ModelError
from miniml.lock import LOCK_FILE
from miniml.pipeline import make_lock, prepare
from miniml.toml_edit import set_keys
from miniml.training import train

REPOSITORY = Path(__file__).parent.parent
MODELS = REPOSITORY / "firmware" / "models"


def test_sixteen_ways_and_never_a_test_row() -> None:
    prepared = prepare(MODELS / "sine", train="frozen")
    dataset, split = prepared.dataset, prepared.split
    advice = advise(prepared.float_model, dataset, split, prepared.settings, silent)
    assert len({trial.choice for trial in advice.trials}) == 16
    assert {trial.metrics.rows for trial in advice.trials} == {len(split.calibration)}
    assert advice.best is best_of(list(advice.trials))
    assert advice.refused == ()
    blind = dataclasses.replace(dataset, targets=dataset.targets.copy())
    blind.targets[split.test] = np.nan
    blind = dataclasses.replace(blind, features=blind.features.copy())
    blind.features[split.test] = np.nan
    again = advise(prepared.float_model, blind, split, prepared.settings, silent)
    assert again.reason == advice.reason
    assert [t.model.model_id for t in again.trials] == [t.model.model_id for t in advice.trials]


def test_a_trial_is_what_the_settings_make() -> None:
    prepared = prepare(MODELS / "sine", train="frozen")
    dataset, split = prepared.dataset, prepared.split
    advice = advise(prepared.float_model, dataset, split, prepared.settings, silent)
    for trial in advice.trials[::5]:
        settings = trial.choice.apply(prepared.settings)
        lock = make_lock(settings, "", dataset, split, prepared.float_model)
        assert lock.model.model_id == trial.model.model_id


def test_of_alike_ways_the_simplest() -> None:
    prepared = prepare(MODELS / "xor", train="frozen")
    args = (prepared.float_model, prepared.dataset, prepared.split, prepared.settings)
    best = advise(*args, silent).best
    assert (best.choice.per_channel, best.choice.range) == (True, "minmax")
    assert not best.choice.bias_correction

    def worse(trial: Trial, **changes: Any) -> Trial:
        return dataclasses.replace(trial, **changes)

    other = dataclasses.replace(best.choice, range="mse")
    far = worse(best, error=best.error * ALIKE * 1.01 + 1.0)
    assert best_of([far, worse(best, choice=other)]).choice == other
    assert best_of([worse(best, proven=1.0), far]) is far


def test_qat_is_tried_where_a_granularity_loses_and_mends_it() -> None:
    settings, dataset, split = load("digits")
    settings = with_training(settings, epochs=20)
    split = dataclasses.replace(split, train=split.train[::2])
    model = with_outlier(train(dataset, split, settings, silent), dataset.features, 100)
    advice = advise(model, dataset, split, settings, silent)
    coarse = [trial for trial in advice.trials if not trial.choice.per_channel]
    plain = [trial for trial in coarse if not trial.choice.qat_epochs]
    aware = [trial for trial in coarse if trial.choice.qat_epochs]
    assert [trial.choice.qat_epochs for trial in aware] == [20]
    assert aware[0].loss < best_of(plain).loss
    assert aware[0].loss < plain[0].loss / 2
    assert advice.best.choice.per_channel


def test_no_way_is_an_error_with_the_reason() -> None:
    prepared = prepare(MODELS / "sine", train="frozen")
    broken = prepared.float_model.layers[0].weights.copy()
    broken[0, 0] = np.inf
    first = dataclasses.replace(prepared.float_model.layers[0], weights=broken)
    model = dataclasses.replace(
        prepared.float_model, layers=(first, *prepared.float_model.layers[1:])
    )
    with pytest.raises(ModelError, match=r"per_layer, minmax: .*layer 1: a weight is inf"):
        advise(model, prepared.dataset, prepared.split, prepared.settings, silent)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MODELS / "sine", tmp_path / "sine"))


def test_the_command_prints_a_table_and_writes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert main(["quantize", "--advise", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "uno, nanoatmega328" in lines[1]
    assert sum(line.startswith("* ") for line in lines) == 1
    assert sum("per_layer, " in line for line in lines[3:19]) == 8
    assert any(line.startswith("take per_") for line in lines)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_board_that_is_too_small_is_said_to_be(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(model: object, board: Board, code: object) -> None:
        if board.core == "avr":
            raise BudgetError("no method fits")

    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setattr(advice_command, "kernels_for", full)
    assert main(["quantize", "--advise", str(folder)]) == 0
    assert capsys.readouterr().out.count("too large") == 2
    assert main(["quantize", "--advise", "--json", str(folder)]) == 0
    costed = [t["boards"] for t in json.loads(capsys.readouterr().out)["trials"] if t["boards"]]
    avr = "uno, nanoatmega328, nanoatmega328new"
    assert [boards[avr] for boards in costed] == [None, None]
    assert all(boards["pico"]["cycles"] > 0 for boards in costed)


def test_take_writes_the_choice_and_leaves_the_comments(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    assert main(["quantize", "--advise", "--take", "--json", str(folder)]) == 0
    advice = json.loads(capsys.readouterr().out)
    text = (folder / "model.toml").read_text(encoding="utf-8")
    original = (MODELS / "sine" / "model.toml").read_text(encoding="utf-8")
    assert text.startswith(original.rstrip("\n"))
    assert tomllib.loads(text)["quantization"] == advice["keys"]["quantization"]
    made = prepare(folder, train="auto")
    assert not made.trained
    chosen = [trial for trial in advice["trials"] if trial["boards"]]
    assert any(trial["choice"]["range"] == made.settings.quantization.range for trial in chosen)


def test_take_needs_advise_and_advise_needs_a_lock(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["quantize", "--take", str(folder)]) == 2
    assert "--take needs --advise" in capsys.readouterr().err
    (folder / LOCK_FILE).unlink()
    assert main(["quantize", "--advise", str(folder)]) == 2
    assert "run `miniml train" in capsys.readouterr().err


def test_a_percentile_of_ones_own_is_the_one_tried() -> None:
    prepared = prepare(MODELS / "sine", train="frozen")
    asked = using(prepared.settings, percentile=98.0)
    advice = advise(prepared.float_model, prepared.dataset, prepared.split, asked, silent)
    assert {t.choice.percentile for t in advice.trials if t.choice.range == "percentile"} == {98.0}


values = st.dictionaries(
    st.sampled_from(["per_channel", "range", "percentile", "qat_epochs"]),
    st.booleans() | st.integers(0, 99) | st.sampled_from(["mse", "kl"]) | st.floats(0, 99),
    min_size=1,
)
TEXTS = (
    "",
    "# only a comment",
    "[model]\nname = 'a' # mine\n",
    "[quantization]\n",
    "[ quantization ] # here\nper_channel = true # why\n\n# end\n[gates]\nmin_accuracy = 3\n",
    "[quantization]\r\nrange = 'mse' # so\r\n[training]\r\nrange_is_no_key = 1\r\n",
    "[model]\nlabel = 'quantization'\n[quantization]\nrange='kl'#x\npercentile= 99.5",
)


@budget(deadline=None)
@given(st.sampled_from(TEXTS), values)
def test_keys_are_set_and_all_else_stays(text: str, wanted: dict[str, Any]) -> None:
    before = tomllib.loads(text)
    edited = set_keys(text, "quantization", wanted)
    expected = before | {"quantization": before.get("quantization", {}) | wanted}
    assert tomllib.loads(edited) == expected
    assert set_keys(edited, "quantization", wanted) == edited
    for comment in ("# mine", "# here", "# why", "# end", "# so", "#x", "# only a comment"):
        assert (comment in text) == (comment in edited)
