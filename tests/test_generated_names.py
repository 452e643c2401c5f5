"""No generated symbol without the model's name; no macro of a platform is met."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from host_program import KERNEL, WARNINGS
from random_float_models import random_pair

from miniml.adapters.export import export
from miniml.board_keys import MODES
from miniml.cost.benchmark import TARGETS

# Macros of Arduino, of C libraries and of the guide's snippets: here a use of one breaks.
HOSTILE = (
    *("B0", "B1", "B2", "F", "PI", "E", "W1", "W2", "N", "M", "T", "round", "abs", "min", "max"),
    *("sq", "bit", "word", "INPUT", "OUTPUT", "HIGH", "LOW", "DEFAULT", "CHANGE", "DEC", "HEX"),
    *("radians", "degrees", "constrain", "lowByte", "highByte", "predict", "ALIGNED", "LAYERS"),
    *("interrupts", "noInterrupts", "EULER", "SERIAL", "DISPLAY", "bitRead", "yield", "boolean"),
)
ACTIVATIONS = ("sigmoid", "tanh", "relu")
COMPILERS = {
    "gcc": ("gcc", "-std=c99", *WARNINGS),
    "g++": ("g++", "-std=c++11", *WARNINGS),
    "avr": (
        *("avr-gcc", *TARGETS["avr"].machine),
        *("-std=c99", "-Wall", "-Wextra", "-Werror"),
    ),
}


def header(name: str, mode: str) -> str:
    """Of a model of three layers with both tables."""
    model, real = random_pair(4, widths=(5, 4, 3, 2), activations=ACTIVATIONS, name=name)
    return export(model, real, mode, "nothing")


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("mode", MODES)
def test_two_models_under_hostile_macros(tmp_path: Path, compiler: str, mode: str) -> None:
    command = COMPILERS[compiler]
    value = "float" if "float" in mode or "hybrid" in mode else "int8_t"
    texts = {
        "first_model.h": header("first", mode),
        # Another mode beside it: two models of one firmware need not compute alike.
        "second_model.h": header("second", MODES[(MODES.index(mode) + 1) % len(MODES)]),
        # The system's headers come first, as in a sketch: what they define is theirs.
        "hostile.h": "#include <miniml_float.h>\n#include <float.h>\n#include <math.h>\n"
        + "".join(f"#undef {name}\n#define {name} )broken(\n" for name in HOSTILE),
        "main.c": '#include "hostile.h"\n#include "first_model.h"\n#include "second_model.h"\n'
        f"const void *used(const {value} *in, float *out);\n"
        f"const void *used(const {value} *in, float *out) {{\n"
        "  second_predict(out, out);\n  return first_run_layers(in, 1);\n}\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    language = "c++" if compiler == "g++" else "c"
    done = subprocess.run(
        [*command, f"-I{KERNEL}", "-x", language, "-c", "main.c", "-o", "main.o"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    nm = command[0].replace("g++", "gcc").replace("gcc", "nm")
    listing = subprocess.run(
        [nm, "main.o"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    own = [
        line.split()[-1] for line in listing.stdout.splitlines() if line.split()[-2] in "tTdDbBrR"
    ]
    assert len(own) > 3
    # What has a number is a function's own variable.
    strangers = [
        name for name in own if not re.search(r"(first|second)_|used|miniml_|^\$|^\.|\.\d+$", name)
    ]
    assert not strangers


@pytest.mark.parametrize("mode", MODES)
def test_every_macro_has_the_model_s_name(mode: str) -> None:
    text = header("first", mode)
    macros = set(re.findall(r"#\s*define\s+(\w+)", text))
    assert {"FIRST_N_INPUTS", "FIRST_MODEL_ID"} <= macros
    own = ("FIRST_", "MINIML_MODEL_FIRST_")
    # The one that a user may set for CMSIS-NN, under its name.
    strangers = {name for name in macros - {"CMSISNN_VERSION"} if not name.startswith(own)}
    assert not strangers
