"""miniml train, quantize and evaluate as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from miniml.cli import main

TOML = '[model]\nname = "two"\nhidden = [4]\n[training]\nepochs = 3\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.toml").write_text(TOML, encoding="utf-8")
    rows = "".join(f"{i % 7},{i % 5},{'yes' if i % 7 > 3 else 'no'}\n" for i in range(60))
    (folder / "data.csv").write_text(f"a,b,label\n{rows}", encoding="utf-8")
    return folder


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_train(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "train", folder)
    assert (code, err) == (0, "")
    assert "2-4-2, 16 MACs, trained" in out
    assert "up to date" in run(capsys, "train", folder)[1]
    assert ", trained" in run(capsys, "train", folder, "--force")[1]
    content = json.loads(run(capsys, "train", folder, "--json")[1])
    assert content["trained"] is False
    assert content["widths"] == [2, 4, 2]
    assert len(content["model_id"]) == 64


def test_seeds_write_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "train", folder, "--seeds", 3)
    assert code == 0
    assert out.startswith("seed 1: float ")
    assert "mean of 3: float " in out
    assert not (folder / "model.lock.json").exists()
    content = json.loads(run(capsys, "train", folder, "--seeds", 2, "--json")[1])
    assert [seed["seed"] for seed in content["seeds"]] == [1, 2]
    values = [seed["float_accuracy"] for seed in content["seeds"]]
    assert content["mean"]["float_accuracy"] == pytest.approx(sum(values) / 2)


def test_quantize(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "quantize", folder)
    assert code == 2
    assert "missing: run `miniml train" in err
    run(capsys, "train", folder)
    code, out, _ = run(capsys, "quantize", folder)
    assert code == 0
    assert "lock unchanged" in out
    assert "layer 1: 2 -> 4 relu, input scale" in out
    with (folder / "model.toml").open("a", encoding="utf-8") as file:
        file.write("[quantization]\nper_channel = false\n")
    content = json.loads(run(capsys, "quantize", folder, "--json")[1])
    assert content["written"] is True
    assert len(content["layers"]) == 2
    assert [entry["name"] for entry in content["ranges"]] == ["input", "layer 1", "layer 2"]
    assert all(2 <= row <= 61 for entry in content["ranges"] for row in entry["rows"])
    assert "up to date" in run(capsys, "train", folder, "--train", "frozen")[1]


def test_evaluate(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "evaluate", folder)
    assert code == 0
    assert "12 test rows" in out
    assert "predicted class across" in out
    content = json.loads(run(capsys, "evaluate", folder, "--rows", "train", "--json")[1])
    assert content["part"] == "train"
    assert content["metrics"]["rows"] == 42
    assert sum(map(sum, content["metrics"]["confusion"])) == 42
    assert "layer 2: range " in out
    assert len(content["ranges"]) == 3


def test_errors_are_one_line_with_an_exit_code(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (folder / "data.csv").open("a", encoding="utf-8") as file:
        file.write("1,oops,no\n")
    code, out, err = run(capsys, "train", folder)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "row 62, column 'b': 'oops' is not a number" in err
    code, _, err = run(capsys, "train", folder / "nowhere")
    assert code == 2
    assert "model.toml: not found" in err


@pytest.mark.parametrize("words", [["--seeds", "0"], ["--seeds", "x"], ["--train", "now"]])
def test_usage(folder: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["train", str(folder), *words])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert words[0] in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("command", ["train", "quantize", "evaluate"])
def test_help_says_what_it_does(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    out = capsys.readouterr().out
    assert "MODEL_DIR" in out
    assert "--json" in out
