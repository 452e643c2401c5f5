"""The generated header as a C and a C++ compiler see it, and as its golden file has it."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import golden_headers
import numpy as np
import pytest
from host_program import KERNEL, WARNINGS, compile_program, run_program
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import random_model

from miniml import reference
from miniml.adapters import firmware, int8
from miniml.adapters.c_text import comment
from miniml.boards import load_boards
from miniml.errors import ModelError
from miniml.model import Int8Array, QuantizedModel

REPOSITORY = Path(__file__).parents[1]

# Runs both models, layer by layer, on rows that come in on standard input.
TWO_MODELS = r"""
#include "first_model.h"
#include "second_model.h"
#include <stdio.h>

static void run(const miniml_model *model, int8_t *in) {
  while (fread(in, 1, model->n_inputs, stdin) == model->n_inputs && in[0] != 99) {
    for (uint8_t n = 1; n <= model->n_layers; n++) {
      fwrite(model->run_layers(in, n), 1, model->widths[n - 1], stdout);
    }
  }
}

int main(void) {
  static int8_t in[64];
  run(&first_model, in);
  run(&second_model, in);
  return 0;
}
"""


def named(name: str, seed: int, **changes: object) -> QuantizedModel:
    model = random_model(np.random.default_rng(seed), **changes)  # type: ignore[arg-type]
    return dataclasses.replace(model, name=name)


def rows(model: QuantizedModel, seed: int) -> Int8Array:
    values = np.random.default_rng(seed).integers(-128, 128, (50, model.n_inputs)).astype(np.int8)
    values[values[:, 0] == 99, 0] = 98  # 99 ends the rows of a model
    return values


@pytest.mark.parametrize("seed", range(6))
def test_every_layer_of_two_models_in_one_program(tmp_path: Path, seed: int) -> None:
    models = [named("first", 2 * seed), named("second", 2 * seed + 1)]
    headers = {f"{model.name}_model.h": int8.generate(model, "nothing") for model in models}
    program = compile_program(tmp_path, TWO_MODELS, headers=headers)
    given_bytes, expected = b"", b""
    for model in models:
        inputs = rows(model, seed)
        given_bytes += inputs.tobytes() + bytes([99] * model.n_inputs)
        layers = reference.run_layers(model, inputs)
        expected += b"".join(layer[row].tobytes() for row in range(len(inputs)) for layer in layers)
    assert run_program(program, given_bytes) == expected


PREDICT = r"""
#include "first_model.h"
#include <stdio.h>

int main(void) {
  float in[FIRST_N_INPUTS], out[FIRST_N_OUTPUTS];
  int8_t quantized[FIRST_N_INPUTS], bytes[FIRST_N_OUTPUTS];
  while (fread(in, sizeof in, 1, stdin) == 1) {
    for (uint16_t i = 0; i < FIRST_N_INPUTS; i++) {
      quantized[i] = first_quantize(i, in[i]);
    }
    first_run_int8(quantized, bytes);
    first_predict(in, out);
    fwrite(bytes, 1, sizeof bytes, stdout);
    fwrite(out, 1, sizeof out, stdout);
    putchar(CLASS);
  }
  return 0;
}
"""


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("outputs", [1, 4])
def test_float_entry_and_result(tmp_path: Path, task: str, outputs: int) -> None:
    model = named("first", 9, widths=(7, 5, outputs), task=task)
    features = np.random.default_rng(1).normal(0, 3, (40, 7)).astype(np.float32)
    classify = "first_class(bytes)" if task == "classification" else "0"
    program = compile_program(
        tmp_path,
        PREDICT.replace("CLASS", classify),
        headers={"first_model.h": int8.generate(model, "nothing")},
    )
    found = run_program(program, features.tobytes())
    outputs_ = reference.run_layers(model, reference.quantize_inputs(model, features))[-1]
    reals = reference.dequantize(model, outputs_)
    classes = (
        reference.predict_classes(model, outputs_)
        if task == "classification"
        else np.zeros(40, np.int64)
    )
    expected = b"".join(
        outputs_[row].tobytes() + reals[row].tobytes() + bytes([classes[row]])
        for row in range(len(features))
    )
    assert found == expected


@pytest.mark.parametrize(
    ("compiler", "standard"), [("gcc", "c99"), ("gcc", "c11"), ("g++", "c++11"), ("g++", "c++17")]
)
def test_two_translation_units_without_a_warning(
    tmp_path: Path, compiler: str, standard: str
) -> None:
    # One unit uses the model, the other only includes its header, as often as it likes.
    (tmp_path / "first_model.h").write_text(int8.generate(named("first", 3), "nothing"))
    (tmp_path / "second_model.h").write_text(int8.generate(named("second", 4), "nothing"))
    suffix = "cpp" if standard.startswith("c++") else "c"
    (tmp_path / f"user.{suffix}").write_text(
        '#include "first_model.h"\n#include "second_model.h"\n#include "first_model.h"\n'
        "int main(void) {\n  int8_t in[64] = {0};\n"
        "  return first_run_layers(in, 1) == second_scratch_a;\n}\n"
    )
    (tmp_path / f"includer.{suffix}").write_text(
        '#include "second_model.h"\n#include "first_model.h"\nextern int nothing;\nint nothing;\n'
    )
    objects = []
    for source in (tmp_path / f"user.{suffix}", tmp_path / f"includer.{suffix}"):
        objects.append(str(source.with_suffix(".o")))
        command = [compiler, f"-std={standard}", *WARNINGS, "-O2", f"-I{KERNEL}", "-c"]
        subprocess.run([*command, str(source), "-o", objects[-1]], check=True)
    for source in sorted(KERNEL.glob("*.c")):
        objects.append(str(tmp_path / f"{source.stem}.o"))
        command = ["gcc", "-std=c99", *WARNINGS, f"-I{KERNEL}", "-c", str(source)]
        subprocess.run([*command, "-o", objects[-1]], check=True)
    subprocess.run([compiler, *objects, "-o", str(tmp_path / "program")], check=True)


@pytest.mark.parametrize("name", golden_headers.NAMES)
def test_golden_file(name: str) -> None:
    # `python tests/golden_headers.py` writes them anew: look at the difference, then commit it.
    assert golden_headers.text(name) == (golden_headers.FOLDER / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("xor", "reserved in C or C"),
        ("int", "reserved in C or C"),
        ("miniml", "reserved in C or C"),
        ("Digits", "use a lower-case letter, then"),
        ("1st", "use a lower-case letter, then"),
        ("two words", "use a lower-case letter, then"),
        ("_hidden", "use a lower-case letter, then"),
        ("größe", "use a lower-case letter, then"),
        ("a" * 33, "use a lower-case letter, then"),
        ("", "use a lower-case letter, then"),
        ("a\n", "use a lower-case letter, then"),
    ],
)
def test_names_that_are_refused(name: str, rule: str) -> None:
    model = named(name, 1)
    board = load_boards(REPOSITORY)["uno"]
    with pytest.raises(ModelError, match=rule):
        int8.generate(model, "nothing")
    with pytest.raises(ModelError, match=rule):
        firmware.generate(model, board)


def test_firmware_header_names_model_board_and_stream() -> None:
    board = dataclasses.replace(
        load_boards(REPOSITORY)["pico"], link_stream="Serial1", link_baud=500_000
    )
    text = firmware.generate(named("first", 1), board)
    assert '#include "first_model.h"' in text
    assert '#define MINIML_BOARD_NAME "PICO"' in text
    assert "#define MINIML_LINK_STREAM Serial1" in text
    assert "#define MINIML_LINK_BAUD 500000ul" in text


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("*/?\\\n\"'é ab"), max_size=30) | st.text(max_size=30))
def test_no_text_ends_a_comment(text: str) -> None:
    shown = comment(text)
    assert shown.isascii()
    assert shown.isprintable() or not shown
    for dangerous in ("*/", "/*", "??"):
        assert dangerous not in shown


def test_hostile_feature_names_stay_in_their_comment(tmp_path: Path) -> None:
    model = named("first", 2, widths=(2, 2))
    model = dataclasses.replace(
        model, features=("*/ #error", "??/\n#error"), labels=("\\", "/*" + "x" * 200)
    )
    compile_program(
        tmp_path,
        '#include "first_model.h"\nint main(void) { return FIRST_N_INPUTS - 2; }\n',
        headers={"first_model.h": int8.generate(model, "*/ #error")},
    )
