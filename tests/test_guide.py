"""The quantization guide, run: its examples verbatim, where only the package is installed."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from host_program import compile_program, run_program

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "QUANTIZATION_GUIDE.md").read_text(encoding="utf-8")
# The guide is its author's text: what we do differently stands in docs/GUIDE_NOTES.md.
GUIDE_SHA256 = "f335203f64d651701077c4fbe0f2b0f6bd1693f915464ec7b4caec1765eac390"
EXAMPLES = dict(re.findall(r"### \*\*Example (\d): .*?\*\*\n\n```python\n(.*?)```", GUIDE, re.S))
# Examples 2 and 3 use example 1's dataset, example 4 its model.
RUNS = ["1", "12", "13", "14", "1234"]
XOR_MAIN = r"""
#include "xor_model.h"
#include <stdio.h>
int main(void) {
  static const float rows[4][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}};
  for (int i = 0; i < 4; i++) {
    float out[1];
    xor_nn_predict(rows[i], out);
    printf("%d", out[0] >= 0.5f);
  }
  return 0;
}
"""
PRACTICES = r"""
from miniml import evaluate, evaluate_quantized, ml_manager
from miniml.ml_runtime import MiniNeuralNetwork
dataset = data = training_dataset = test_set = [[0., 0., 0], [0., 1., 1], [1., 0., 1], [1., 1., 0]]
model = MiniNeuralNetwork(n_inputs=2, n_hidden=4, n_outputs=1)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that pip installed the package into, from a copy of its sources."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    # Without bytecode, which another process may be writing just now.
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "miniml", source / "miniml", ignore=ignored)
    options = ["-qq", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(target)]
    command = [sys.executable, "-m", "pip", "install", *options, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def run(site: Path, script: str, folder: Path) -> str:
    """What a script prints in an empty folder; it must end well."""
    # -S and -I would hide numpy; the checkout must not be found instead of the installed one.
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONWARNINGS": "error"}
    checked = (
        "import pathlib, miniml\n"
        f"assert pathlib.Path(miniml.__file__).is_relative_to({str(site)!r})\n" + script
    )
    command = [sys.executable, "-c", checked]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_guide_is_the_authors_text() -> None:
    assert hashlib.sha256(GUIDE.encode("utf-8")).hexdigest() == GUIDE_SHA256
    assert sorted(EXAMPLES) == ["1", "2", "3", "4"]


@pytest.mark.parametrize("numbers", RUNS)
def test_the_examples_run_verbatim(site: Path, tmp_path: Path, numbers: str) -> None:
    printed = run(site, "".join(EXAMPLES[number] for number in numbers), tmp_path)
    wanted = {"xor_model.h"}
    wanted |= {"model_cmsis.h"} if "3" in numbers else set()
    wanted |= {"xor_nn.json"} if "4" in numbers else set()
    assert {file.name for file in tmp_path.iterdir()} == wanted
    if "2" in numbers:
        assert "Quantized: True\nAct scales: {'input': " in printed
        assert printed.endswith("W1 shape: 4x2\n")
    if numbers == "1":
        # What example 1 saved tells the four rows apart, on this machine's C compiler.
        assert run_program(compile_program(tmp_path, XOR_MAIN)) == b"0110"


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_best_practices_run_verbatim(site: Path, tmp_path: Path, number: int) -> None:
    section = GUIDE[GUIDE.index("### **Best Practices**") : GUIDE.index("## **Usage Examples**")]
    snippets = re.findall(r"^   ```python\n(.*?)^   ```", section, re.S | re.M)
    assert len(snippets) == 3
    lines = "\n".join(line.removeprefix("   ") for line in snippets[number - 1].split("\n"))
    fitted = "model.fit(dataset)\n" if number == 2 else ""
    run(site, PRACTICES + fitted + lines, tmp_path)


def test_the_page_of_the_api_runs(site: Path, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "PYTHON_API.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.S)
    assert len(blocks) == 1
    script = blocks[0] + "\nprint(network.predict_quantized([row[:2] for row in rows]))\n"
    assert run(site, script, tmp_path) == "[0 1 1 0]\n"
    assert not list(tmp_path.iterdir())


def test_the_notes_name_what_is_there() -> None:
    notes = (ROOT / "docs" / "GUIDE_NOTES.md").read_text(encoding="utf-8")
    table = notes[notes.index("## Promise by promise") : notes.index("## XOR over")]
    rows = [line for line in table.splitlines() if line.startswith("| ")][2:]
    assert len(rows) > 25
    for row in rows:
        # Behind the first name of a cell the others are shorter.
        for name in re.findall(r"`([\w/]+\.py)`", row):
            places = [ROOT / folder / name for folder in ("", "miniml", "tests")]
            assert any(place.is_file() for place in places), name
