"""model.toml: defaults, every complaint, and that docs/MODEL_TOML.md lists every key."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from miniml.errors import SettingsError
from miniml.settings import SECTIONS, load_settings

DOCUMENT = Path(__file__).parent.parent / "docs" / "MODEL_TOML.md"


def write(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "model.toml").write_text(text, encoding="utf-8")
    return folder


def test_everything_has_a_default(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path / "Wine-Quality 2", ""))
    assert settings.model.name == "wine_quality_2"
    assert settings.data_path == tmp_path / "Wine-Quality 2" / "data.csv"
    assert settings.output_activation == "softmax"
    assert settings.data.split == (0.7, 0.1, 0.2)


@pytest.mark.parametrize(
    ("folder", "name"),
    [("3d", "model_3d"), ("miniml_x", "model_miniml_x"), ("ü", "model"), ("float", "model_float")],
)
def test_a_folder_that_is_no_c_name(tmp_path: Path, folder: str, name: str) -> None:
    assert load_settings(write(tmp_path / folder, "")).model.name == name


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[trainin]", r"no section or key 'trainin': did you mean \[training\]\?"),
        ("epochs = 5", r"no section or key 'epochs': it belongs into section \[training\]"),
        ("model = 5", r"'model' must be a section: write \[model\]"),
        ("[training]\nepoch = 5", r"\[training\] has no key 'epoch': did you mean 'epochs'\?"),
        ("[model]\nscaling = 'minmax'", r"has no key 'scaling': it belongs into section \[data\]"),
        ("[gates]\nxyzzy = 1", r"\[gates\] has no key 'xyzzy': its keys are min_accuracy"),
        ("[training]\nepochs = 'ten'", r"\[training\] epochs must be a whole number.*is 'ten'"),
        ("[training]\nepochs = 0", "epochs must be a whole number from 1 to"),
        ("[training]\nepochs = true", "epochs must be a whole number from 1 to"),
        ("[training]\nepochs = 1.5", "epochs must be a whole number from 1 to"),
        ("[training]\nlearning_rate = 0", "learning_rate must be a number above 0 to 10"),
        ("[training]\nlearning_rate = nan", "learning_rate must be a number above 0 to 10"),
        ("[model]\nhidden = 16", "hidden must be a list of at most 64 whole numbers"),
        ("[model]\nhidden = [16, 0]", "hidden must be a list of at most 64 whole numbers"),
        ("[model]\nactivation = 'rellu'", r"one of 'relu', .* \(did you mean 'relu'\?\)"),
        ("[model]\nname = 'My Model'", "name must be a lower-case C identifier"),
        ("[model]\nname = 'miniml_x'", "must not begin with 'miniml'"),
        ("[model]\nname = 'int'", "must be no keyword of C or C\\+\\+"),
        ("[data]\nsplit = [0.7, 0.2]", "split must be"),
        ("[data]\nsplit = [0.7, 0.2, 0.2]", "split must be"),
        ("[data]\nsplit = [1.0, 0.0, 0.0]", "split must be"),
        ("[data]\nfile = ''", "file must be a text in quotes, not empty"),
        ("[data]\nlabel = ['a', 'a']", "label must not name a column twice"),
        ("[data]\nlabel = ['a', 'b']", "label names 2 columns, but classification takes one"),
        ("[data]\nignore = ['label']", "ignore names the label 'label'"),
        ("[quantization]\nper_channel = 1", "per_channel must be true or false"),
        ("[quantization]\npercentile = 20", "percentile must be a number from 50 to 100"),
        (
            "[model]\ntask = 'regression'\noutput_activation = 'softmax'",
            "'softmax' is for classification",
        ),
        ("[model]\ntask = 'regression'\n[gates]\nmin_accuracy = 5", "doesn't apply to regression"),
        ("[gates]\nmax_rmse = 5", "max_rmse doesn't apply to classification"),
        ("[model\nname = 'x'", r"no valid TOML: .*line 1"),
        ("[model]\nname = 'x'\nname = 'y'", r"no valid TOML: .*line 3"),
    ],
)
def test_complaints_name_file_and_key(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint) as caught:
        load_settings(write(tmp_path, text))
    assert str(caught.value).startswith(str(tmp_path / "model.toml"))
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_wrong_encoding(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"model\.toml: not found: create it"):
        load_settings(tmp_path / "nowhere")
    (tmp_path / "model.toml").write_bytes("[model]\nname = 'ü'".encode("latin-1"))
    with pytest.raises(SettingsError, match="not UTF-8"):
        load_settings(tmp_path)


def test_a_byte_order_mark_and_crlf_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "model.toml").write_bytes(b"\xef\xbb\xbf[model]\r\nname = 'abc'\r\n")
    assert load_settings(tmp_path).model.name == "abc"


def test_what_decides_the_weights(tmp_path: Path) -> None:
    base = load_settings(write(tmp_path, "[model]\nname = 'a'"))
    gated = load_settings(
        write(tmp_path, "[model]\nname = 'a'\ntrain = 'frozen'\n[gates]\nmin_accuracy = 3")
    )
    assert gated.training_content() == base.training_content()
    assert gated.quantization_content() == base.quantization_content()
    longer = load_settings(write(tmp_path, "[model]\nname = 'a'\n[training]\nepochs = 7"))
    assert longer.training_content() != base.training_content()
    coarse = load_settings(
        write(tmp_path, "[model]\nname = 'a'\n[quantization]\nper_channel = false")
    )
    assert coarse.training_content() == base.training_content()
    assert coarse.quantization_content() != base.quantization_content()
    assert json.loads(json.dumps(base.training_content())) == base.training_content()


@pytest.mark.parametrize(
    ("ci", "toml", "argument", "expected"),
    [
        (None, "", None, "auto"),
        ("true", "", None, "frozen"),
        ("1", "", None, "frozen"),
        ("", "", None, "auto"),
        ("false", "", None, "auto"),
        ("true", "train = 'auto'", None, "auto"),
        (None, "train = 'frozen'", None, "frozen"),
        (None, "train = 'frozen'", "auto", "auto"),
        ("true", "train = 'auto'", "frozen", "frozen"),
    ],
)
def test_who_decides_whether_to_train(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ci: str | None,
    toml: str,
    argument: str | None,
    expected: str,
) -> None:
    monkeypatch.delenv("CI", raising=False)
    if ci is not None:
        monkeypatch.setenv("CI", ci)
    settings = load_settings(write(tmp_path, f"[model]\n{toml}"))
    assert settings.resolve_train(argument) == expected  # type: ignore[arg-type]


def test_the_document_lists_every_key_with_its_default() -> None:
    rows: dict[str, dict[str, str]] = {}
    section = ""
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"## \[(\w+)\]", line):
            section = heading[1]
            rows[section] = {}
        elif section and (row := re.match(r"\| `(\w+)` \| (.*?) \|", line)):
            rows[section][row[1]] = row[2]
    assert list(rows) == list(SECTIONS)
    for name, kind in SECTIONS.items():
        fields: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(kind)}
        assert list(rows[name]) == list(fields)
        for key, default in fields.items():
            value = list(default) if isinstance(default, tuple) else default
            if key == "label":
                value = default[0]
            if value not in (None, "") or isinstance(value, list):
                assert rows[name][key] == f"`{json.dumps(value)}`", f"[{name}] {key}"
            else:
                assert "`" not in rows[name][key] or key == "train", f"[{name}] {key}"
