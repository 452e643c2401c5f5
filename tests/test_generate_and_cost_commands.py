"""miniml generate and cost as a user types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hardships import full_disk, without_root_rights

from miniml.boards import load_boards
from miniml.cli import main
from miniml.cost import foretell
from miniml.generation import board_files
from miniml.kernels.choice import kernels_for
from miniml.pipeline import prepare

ROOT = Path(__file__).resolve().parent.parent
TOML = '[model]\nname = "two"\nhidden = [4]\n[training]\nepochs = 3\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(ROOT)
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


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The one line of a command that the user got wrong."""
    code, out, err = run(capsys, *words)
    assert (code, out, err.count("\n")) == (2, "", 1), (out, err)
    return err


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_generate_writes_the_header_and_the_same_one_again(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "folder"
    code, said, _ = run(capsys, "generate", folder, "--out", out)
    assert (code, said) == (0, f"wrote {out / 'two_model.h'}\n")
    first = files_in(out)
    assert list(first) == ["two_model.h"]
    assert b"two_predict" in first["two_model.h"]
    assert run(capsys, "generate", folder, "--out", out)[0] == 0
    assert files_in(out) == first


def test_generate_for_a_board_writes_what_the_hook_writes(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(capsys, "generate", folder, "--out", out, "--board", "pico")[0] == 0
    prepared, board = prepare(folder, train="frozen"), load_boards(ROOT)["pico"]
    kernels = kernels_for(prepared.model, board, prepared.settings.code)
    expected = board_files(prepared, board, kernels)
    assert files_in(out) == {name: text.encode() for name, text in sorted(expected.items())}
    assert b'"pico"' in files_in(out)["miniml_firmware.h"].lower()


def test_generate_says_as_json_what_it_wrote(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ("generate", folder, "--out", out, "--board", "uno", "--json")
    found = json.loads(run(capsys, *words, "--explain")[1])
    assert [Path(file).name for file in found["files"]] == [
        "two_model.h",
        "miniml_firmware.h",
        "two_kernels.S",
    ]
    assert (found["mode"], found["name"]) == ("int8", "two")
    assert found["model_id"][:16] in (out / "two_model.h").read_text()
    assert found["explanation"]
    hybrid = json.loads(run(capsys, *words, "--mode", "avr_hybrid")[1])
    assert (hybrid["mode"], hybrid["explanation"]) == ("avr_hybrid", [])
    assert hybrid["model_id"] != found["model_id"]


def test_boards_ini_is_found_above_the_working_directory(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT / "firmware" / "models")
    assert len(costs(capsys, folder)["boards"]) == len(load_boards(ROOT))


@pytest.mark.parametrize("command", ["generate", "cost", "quantize"])
def test_a_budget_for_a_board_that_is_not_there(
    folder: Path, tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "train", folder)
    settings = folder / "model.toml"
    settings.write_text(settings.read_text() + "\n[code]\nflash_bytes = { uno = 9000, pic = 9 }\n")
    more = {"generate": ("--board", "uno", "--out", tmp_path / "out"), "quantize": ("--advise",)}
    said = refused(capsys, command, folder, *more.get(command, ()))
    assert (
        "model.toml: [code] flash_bytes: no board 'pic' in boards.ini: did you mean 'pico'" in said
    )
    assert not (tmp_path / "out").exists()


def test_generate_refuses_and_writes_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ("generate", folder, "--out", out)
    assert "did you mean 'pico'" in refused(capsys, *words, "--board", "picoo")
    assert "--explain needs --board" in refused(capsys, *words, "--explain")
    frozen = refused(capsys, "generate", folder.parent / "none", "--out", out)
    assert "model.toml: not found" in frozen
    with pytest.raises(SystemExit) as caught:
        main(["generate", str(folder), "--mode", "int4"])
    assert caught.value.code == 2
    assert "int8" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("hardship", ["rights", "room"])
def test_generate_where_nothing_can_be_written(
    folder: Path, tmp_path: Path, hardship: str, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = (folder / "model.toml").read_text().replace("hidden = [4]", "hidden = [2000]")
    (folder / "model.toml").write_text(wide, encoding="utf-8")
    assert run(capsys, "train", folder)[0] == 0
    out = tmp_path / "out"
    out.mkdir()
    wrap = full_disk(out)
    if hardship == "rights":
        out.chmod(0o555)
        wrap = without_root_rights()
    done = subprocess.run(
        [*wrap, sys.executable, "-m", "miniml", "generate", str(folder), "--out", str(out)],
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (4, "", 1), done.stderr
    assert "two_model.h: can't be written" in done.stderr
    assert "check rights and room" in done.stderr
    assert list(out.iterdir()) == []


def costs(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    code, out, _ = run(capsys, "cost", *words, "--json")
    assert code == 0
    content = json.loads(out)
    assert isinstance(content, dict)
    return content


def test_cost_foretells_every_board(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "train", folder)
    content = costs(capsys, folder)
    prepared, boards = prepare(folder, train="frozen"), load_boards(ROOT)
    assert content["model"] == {
        "name": "two",
        "model_id": prepared.model.model_id,
        "macs": prepared.model.macs,
    }
    assert {board["name"] for board in content["boards"]} == set(boards)
    inputs = prepared.test_vectors().inputs
    for entry in content["boards"]:
        board = boards[entry["name"]]
        kernels = kernels_for(prepared.model, board, prepared.settings.code)
        cost = foretell(prepared.model, board, entry["toolchain"], inputs, kernels)
        assert (entry["flash"], entry["sram"]) == (cost.flash, cost.sram)
        assert entry["cycles"] == cost.cycles is not None
        assert entry["cycles"] <= entry["cycles_max"]
        assert sum(layer["macs"] for layer in entry["layers"]) == prepared.model.macs


def test_cost_says_where_nothing_is_foretold(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = folder / "model.toml"
    settings.write_text(settings.read_text() + '\n[code]\nkernels = "portable"\n')
    words = (folder, "--board", "uno", "--toolchain", "avr-gcc-99 -O9")
    (board,) = costs(capsys, *words)["boards"]
    assert (board["cycles"], board["flash"] > 0) == (None, True)
    code, out, _ = run(capsys, "cost", *words)
    assert code == 0
    assert "cycles not foretold: avr-gcc-99 -O9 is not calibrated" in out


@pytest.mark.parametrize("board", ["uno", "stm32f4", "pico"])
def test_cost_of_each_level(folder: Path, capsys: pytest.CaptureFixture[str], board: str) -> None:
    (found,) = costs(capsys, folder, "--board", board)["boards"]
    levels = found["optimize"]
    assert list(levels) == ["cycles", "balanced", "flash"]
    assert levels["balanced"]["cycles"] == found["cycles"]
    assert levels["cycles"]["cycles_max"] <= levels["balanced"]["cycles_max"]
    assert levels["flash"]["flash"] <= levels["balanced"]["flash"]
    for level in levels.values():
        assert len(level["layers"]) == 2
        assert level["cycles_max"] >= level["cycles"] > 0
        assert level["exact"] is True


def test_explanations_and_a_budget_that_cannot_be_met(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = (folder, "--board", "uno", "--out", tmp_path / "out")
    code, out, _ = run(capsys, "generate", *words, "--explain")
    assert code == 0
    assert "layer 1, 2-4 " in out
    assert "requantize" in out
    assert "accumulator" in out
    assert (tmp_path / "out" / "two_kernels.S").is_file()
    settings = folder / "model.toml"
    settings.write_text(settings.read_text() + "\n[code]\nflash_bytes = 100\n")
    code, out, err = run(capsys, "generate", *words)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "100" in err
    assert "flash" in err


def test_cost_in_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "cost", folder, "--board", "uno")
    assert code == 0
    assert "two 2-4-2, 16 MACs" in out
    assert "uno: Arduino Uno (ATmega328P)" in out
    assert "of 32,256 B with the kernel" in out
    assert "of 2,048 B" in out
    assert " ms at 16 MHz" in out
    assert "did you mean 'uno'" in refused(capsys, "cost", folder, "--board", "unoo")


@pytest.mark.parametrize("command", ["generate", "cost"])
def test_help_says_what_it_does(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    out = capsys.readouterr().out
    assert "MODEL_DIR" in out
    assert "boards.ini" in out


def test_cost_as_shipped(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ideal = {board["name"]: board for board in costs(capsys, folder)["boards"]}
    found = {
        board["name"]: board for board in costs(capsys, folder, "--memory", "shipped")["boards"]
    }
    assert set(found) == set(ideal)
    for name, board in found.items():
        assert board["memory"].startswith("as shipped: ")
        # Flash without wait states, all in SRAM, or so short that it stays in the ART's cache.
        # The median is of fewer rows than in ideal memory.
        assert board["cycles"] == pytest.approx(ideal[name]["cycles"], rel=0.02)
        assert (board["cycles_max"] is None) == (load_boards(ROOT)[name].core != "avr")
    code, out, _ = run(capsys, "cost", folder, "--board", "stm32f4", "--memory", "shipped")
    assert code == 0
    assert ", as shipped: 5 wait states" in out
    settings = folder / "model.toml"
    settings.write_text(settings.read_text() + '\n[code]\nkernels = "portable"\n')
    _, out, _ = run(capsys, "cost", folder, "--board", "pico", "--memory", "shipped")
    assert "cycles not foretold: as shipped only generated kernels are" in out
