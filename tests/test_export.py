"""The table of modes, and the alias that a header may have."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from host_program import compile_program, run_program
from random_models import random_model

from miniml.adapters.export import BACKENDS, export
from miniml.board_keys import MODES
from miniml.errors import ModeError, ModelError
from miniml.float_model import FloatLayer, FloatModel
from miniml.scaling import Scaler


def float_model() -> FloatModel:
    """2-1: enough for a signature."""
    layer = FloatLayer(np.ones((1, 2), np.float32), np.zeros(1, np.float32), "linear")
    scaler = Scaler(np.zeros(2), np.ones(2))
    return FloatModel("classification", ("a", "b"), ("0", "1"), scaler, None, (layer,), False)


def test_boards_ini_takes_just_the_modes_that_have_a_backend() -> None:
    assert tuple(BACKENDS) == MODES


@pytest.mark.parametrize(("mode", "hint"), [("in8", "did you mean 'int8'"), ("x", "use one of")])
def test_an_unknown_mode_is_named(mode: str, hint: str) -> None:
    model = random_model(np.random.default_rng(0), widths=(2, 1))
    with pytest.raises(ModeError, match=f"no export mode '{mode}': {hint}"):
        export(model, float_model(), mode, "nothing")


@pytest.mark.parametrize("mode", MODES)
def test_alias_is_a_second_name_for_predict(tmp_path: Path, mode: str) -> None:
    model = random_model(np.random.default_rng(0), widths=(2, 1))
    model = dataclasses.replace(model, name="first")
    plain = export(model, float_model(), mode, "nothing")
    text = export(model, float_model(), mode, "nothing", alias="predict")
    assert " predict(" not in plain
    main = (
        '#include "first_model.h"\n#include "first_model.h"\n'
        "int main(void) {\n  float in[2] = {1, 2}, a[1], b[1];\n  first_predict(in, a);\n"
        "  predict(in, b);\n  return a[0] != b[0];\n}\n"
    )
    program = compile_program(tmp_path, main, headers={"first_model.h": text})
    assert run_program(program) == b""
    with pytest.raises(ModelError, match="reserved in C"):
        export(model, float_model(), mode, "nothing", alias="return")
