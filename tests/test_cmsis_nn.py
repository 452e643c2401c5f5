"""The CMSIS-NN header: the reference's bytes with and without the library, wrong builds refused."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import cmsis_nn_library
import numpy as np
import pytest
from backend_programs import (
    ARM_BACKENDS,
    HOST_BACKENDS,
    Backend,
    differing,
    expected,
    make_net,
    run,
)
from host_program import SANITIZERS, WARNINGS, compile_program, run_program
from random_models import random_model
from test_generated_header import PREDICT, TWO_MODELS, named, rows

from miniml import reference
from miniml.adapters.cmsis_nn import self_test
from miniml.adapters.cmsis_nn.adapter import CMSISAdapter, generate
from miniml.bench.cmsis_nn import SOURCES, includes, version_flags
from miniml.cost import benchmark, benchmark_arm, benchmark_avr
from miniml.cost.benchmark import TARGETS
from miniml.cost.benchmark_run import ROWS_HEADER, rows_header
from miniml.errors import MiniMLError, NotQuantizedError
from miniml.fixed_point import requantize
from miniml.model import QuantizedModel
from pio_extra.miniml_hook import cmsis_nn

SANITIZED = Backend("cmsis_nn, sanitized", generate, flags=("-O1", *SANITIZERS))
SINGLE_ROUNDING = "-DCMSIS_NN_USE_SINGLE_ROUNDING"


# Other modes on the cores, and the float modes, have tests of their own.
SAMPLED = [
    *(backend for backend in HOST_BACKENDS if not backend.mode and "half" not in backend.name),
    *(backend for backend in ARM_BACKENDS if backend.library),
    SANITIZED,
]


@pytest.mark.parametrize("backend", SAMPLED, ids=lambda b: b.name)
def test_sample_of_the_campaign(tmp_path: Path, backend: Backend) -> None:
    nets = [make_net(backend, (7, index), f"m{index}", 34, 3000) for index in range(5)]
    for one, found in zip(nets, run(backend, nets, tmp_path), strict=True):
        assert differing(backend, found, expected(one)) == 0, one.model.widths


def one_multiplier(model: QuantizedModel) -> QuantizedModel:
    """As per_layer quantization has it."""
    layers = (
        dataclasses.replace(
            layer,
            multipliers=np.full_like(layer.multipliers, layer.multipliers[0]),
            shifts=np.full_like(layer.shifts, layer.shifts.min()),
        )
        for layer in model.layers
    )
    return dataclasses.replace(model, layers=tuple(layers))


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("outputs", [1, 4])
def test_float_entry_and_result(tmp_path: Path, task: str, outputs: int) -> None:
    model = named("first", 9, widths=(7, 5, outputs), task=task)
    features = np.random.default_rng(1).normal(0, 3, (40, 7)).astype(np.float32)
    features[0], features[1, 0] = np.nan, np.inf
    classify = "(int)first_class(bytes)" if task == "classification" else "0"
    main, headers = PREDICT.replace("CLASS", classify), {"first_model.h": generate(model, "-")}
    found = run_program(compile_program(tmp_path, main, headers=headers), features.tobytes())
    values = reference.run_layers(model, reference.quantize_inputs(model, features))[-1]
    reals = reference.dequantize(model, values)
    classes = np.zeros(40, np.int64)
    if task == "classification":
        classes = reference.predict_classes(model, values)
    assert found == b"".join(
        values[row].tobytes() + reals[row].tobytes() + bytes([classes[row]])
        for row in range(len(features))
    )


@pytest.mark.parametrize(
    ("compiler", "standard"), [("gcc", "c99"), ("gcc", "c11"), ("g++", "c++11"), ("g++", "c++17")]
)
@pytest.mark.parametrize("enabled", [False, True])
def test_no_compiler_warns(tmp_path: Path, compiler: str, standard: str, enabled: bool) -> None:
    models = (named("first", 3), one_multiplier(named("second", 4)))
    for model in models:
        (tmp_path / f"{model.name}_model.h").write_text(generate(model, "nothing"))
    suffix = "cpp" if standard.startswith("c++") else "c"
    source = tmp_path / f"user.{suffix}"
    source.write_text(
        '#include "first_model.h"\n#include "second_model.h"\n#include "first_model.h"\n'
        "int main(void) {\n  int8_t in[64] = {0};\n"
        "  return first_run_layers(in, 1) == second_scratch_a;\n}\n"
    )
    flags = cmsis_nn_library.host_flags() if enabled else ()
    command = [compiler, f"-std={standard}", *WARNINGS, "-O2", *flags, "-c", str(source)]
    # No library of ours among the include paths: the header needs none.
    subprocess.run([*command, "-o", str(tmp_path / "user.o")], check=True)


def test_two_models_in_one_program_without_our_library_s_code(tmp_path: Path) -> None:
    models = [named("first", 5), one_multiplier(named("second", 6))]
    headers = {f"{model.name}_model.h": generate(model, "nothing") for model in models}
    program = compile_program(
        tmp_path, "#include <miniml.h>\n" + TWO_MODELS, headers=headers, sources=[]
    )
    given, wanted = b"", b""
    for model in models:
        inputs = rows(model, 1)
        given += inputs.tobytes() + bytes([99] * model.n_inputs)
        layers = reference.run_layers(model, inputs)
        wanted += b"".join(layer[row].tobytes() for row in range(len(inputs)) for layer in layers)
    assert run_program(program, given) == wanted


def test_portable_layers_on_the_avr(tmp_path: Path) -> None:
    model = dataclasses.replace(random_model(np.random.default_rng(4), widths=(9, 7, 3)), name="m")
    inputs = np.random.default_rng(0).integers(-128, 128, (10, 9)).astype(np.int8)
    (tmp_path / "model.h").write_text("#include <avr/pgmspace.h>\n" + generate(model, "nothing"))
    (tmp_path / ROWS_HEADER).write_text(rows_header("avr", "m", model.widths[1:], inputs))
    (tmp_path / "main.c").write_text(benchmark_avr.PROGRAM)
    program = tmp_path / "program.elf"
    flags = ["-mmcu=atmega328p", "-std=gnu11", "-Os", "-Wall", "-Wextra", "-Werror"]
    flags += [f"-I{benchmark.KERNEL}", str(tmp_path / "main.c"), "-o", str(program)]
    subprocess.run(["avr-gcc", *flags], check=True)
    outputs = benchmark_avr.run(program, model.widths[1:], inputs).outputs
    for found, wanted in zip(outputs, reference.run_layers(model, inputs), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("per_row", [False, True])
def test_the_self_test_s_outputs_are_others_under_single_rounding(per_row: bool) -> None:
    found = self_test.make(per_row=per_row)
    layer = found.layer
    assert (len({*layer.multipliers.tolist()}) > 1) == per_row
    accumulators = found.inputs.astype(np.int64) @ layer.weights.T.astype(np.int64) + layer.bias
    for row, accumulator in enumerate(accumulators):
        value, m, shift = int(accumulator), int(layer.multipliers[row]), int(layer.shifts[row])
        once = self_test.single_rounding(np.array([value]), m, shift)
        # In halves: what single rounding means, by a whole number.
        assert once[0] == ((value * m >> (30 - shift)) + 1) // 2
        twice = requantize(np.array([value]), layer.multipliers[row], layer.shifts[row])
        assert once != twice
        assert twice == found.outputs[row]


# 1: its status, 2: an output, 3: the class, 4: whether a real value is NaN.
STATUS = r"""
#include "first_model.h"
#include <stdio.h>
int main(void) {
  int8_t in[FIRST_N_INPUTS] = {0}, out[FIRST_N_OUTPUTS];
  float features[FIRST_N_INPUTS] = {0}, reals[FIRST_N_OUTPUTS];
  first_run_int8(in, out);
  const int status = first_self_test();
  first_predict(features, reals);
  printf("%d %d %d %d", status, out[0] == FIRST_REFUSED, first_class(out) == FIRST_NO_CLASS,
         reals[0] != reals[0]);
  return 0;
}
"""
KERNELS = (
    "arm_fully_connected_s8",
    "arm_convolve_1x1_s8_fast",
    "arm_fully_connected_per_channel_s8",
)
WRAPPED = "int __wrap_{0}(void);\nint __wrap_{0}(void) {{ return {1}; }}\n"


def status_of(
    folder: Path, model: QuantizedModel, library: tuple[str, ...] = ("-O2",), wrapped: str = ""
) -> str:
    objects = cmsis_nn_library.host_objects(library)
    names = [line.split("(")[0].removeprefix("int __wrap_") for line in wrapped.splitlines()[::2]]
    flags = ("-O1", *cmsis_nn_library.host_flags(), *(f"-Wl,--wrap={name}" for name in names))
    main, headers = STATUS + wrapped, {"first_model.h": generate(model, "nothing")}
    program = compile_program(folder, main, headers=headers, sources=objects, flags=flags)
    return run_program(program).decode()


@pytest.mark.parametrize("per_row", [False, True])
def test_a_library_that_rounds_once_is_refused_at_start(tmp_path: Path, per_row: bool) -> None:
    model = named("first", 9, widths=(7, 5, 4))
    model = model if per_row else one_multiplier(model)
    assert status_of(tmp_path, model) == "0 0 0 0"
    assert status_of(tmp_path, model, ("-O2", SINGLE_ROUNDING)) == "1 1 1 1"


@pytest.mark.parametrize("per_row", [False, True])
def test_what_the_library_itself_refuses_is_no_output(tmp_path: Path, per_row: bool) -> None:
    model = named("first", 9, widths=(7, 5, 4))
    model = model if per_row else one_multiplier(model)
    failing = "".join(WRAPPED.format(kernel, -1) for kernel in KERNELS)
    assert status_of(tmp_path, model, wrapped=failing) == "3 1 1 1"
    sizes = ("arm_fully_connected_s8_get_buffer_size", "arm_convolve_1x1_s8_fast_get_buffer_size")
    greedy = "".join(WRAPPED.format(size, 4) for size in sizes)
    assert status_of(tmp_path, model, wrapped=greedy) == "2 1 1 1"


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m0plus"])
@pytest.mark.parametrize("per_row", [False, True])
def test_cores_refuse_a_library_that_rounds_once(tmp_path: Path, core: str, per_row: bool) -> None:
    model = named("first", 9, widths=(7, 5, 4))
    model = model if per_row else one_multiplier(model)
    inputs = rows(model, 0)[:2]
    headers = {
        "model.h": generate(model, "nothing"),
        ROWS_HEADER: rows_header(core, "first", model.widths[1:], inputs),
    }
    program = cmsis_nn_library.arm_program(
        core, benchmark_arm.PROGRAM, headers, tmp_path, library_flags=(SINGLE_ROUNDING,)
    )
    outputs = benchmark_arm.run(core, program, "first", model.widths[1:], inputs).outputs
    assert (outputs[-1] == -128).all()


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ((SINGLE_ROUNDING,), "CMSIS_NN_USE_SINGLE_ROUNDING gives other bytes than first has"),
        (("-UCMSISNN_VERSION", "-DCMSISNN_VERSION=3"), "CMSISNN_VERSION is not that of the"),
        (("-DARM_MATH_MVEI",), "Helium kernels have not been compared with first"),
        (("-ffast-math",), "-ffast-math changes the bytes of float inputs"),
    ],
)
def test_builds_that_are_refused(tmp_path: Path, flags: tuple[str, ...], reason: str) -> None:
    (tmp_path / "first_model.h").write_text(generate(named("first", 3), "nothing"))
    (tmp_path / "main.c").write_text('#include "first_model.h"\n')
    command = ["gcc", "-std=c99", *cmsis_nn_library.host_flags(), *flags, "-c", "main.c"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert reason in done.stderr


def test_a_version_that_the_headers_contradict_is_refused(tmp_path: Path) -> None:
    (tmp_path / "first_model.h").write_text(generate(named("first", 3), "nothing"))
    old = "ARM_NNFUNCTIONS_H" not in "".join(
        line
        for line in (includes()[0] / "arm_nnfunctions.h").read_text().split()
        if not line.startswith("_")
    )
    (tmp_path / "main.c").write_text(
        f'#define CMSISNN_VERSION {6 if old else 4}\n#include "first_model.h"\n'
    )
    flags = [flag for flag in cmsis_nn_library.host_flags() if "VERSION" not in flag]
    command = ["gcc", "-std=c99", *flags, "-c", "main.c"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "CMSISNN_VERSION is not that of the arm_nnfunctions.h" in done.stderr


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m0plus"])
def test_which_function_runs_which_layer(tmp_path: Path, core: str) -> None:
    one_pixel = {"cortex-m4": "arm_convolve_s8", "cortex-m0plus": "arm_convolve_1x1_s8_fast"}[core]
    if version_flags():
        one_pixel = "arm_fully_connected_per_channel_s8"
    for model, function in (
        (named("first", 9, widths=(7, 5, 4)), one_pixel),
        (one_multiplier(named("first", 9, widths=(7, 5, 4))), "arm_fully_connected_s8"),
    ):
        headers = {
            "model.h": generate(model, "nothing"),
            ROWS_HEADER: rows_header(core, "first", model.widths[1:], rows(model, 0)[:1]),
        }
        compiled = cmsis_nn_library.arm_object(
            core, benchmark_arm.PROGRAM, headers, tmp_path, ("-DCMSISNN_ENABLED",)
        )
        command = [TARGETS[core].prefix + "nm", "-u", str(compiled)]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        called = {line.split()[-1] for line in found.splitlines()}
        kernels = {name for name in called if name.startswith("arm_") and "buffer" not in name}
        assert kernels == {function}


@pytest.mark.parametrize("columns", [1, 5, 8, 33])
def test_room_for_what_arm_convolve_s8_asks_for(columns: int) -> None:
    # With DSP instructions before 7.0: 2 columns of int16, rounded up to 4 from 5.0 on.
    text = generate(named("first", 1, widths=(columns, 3)), "nothing")
    most = max(columns, self_test.make(per_row=True).inputs.size)
    assert f"#define FIRST_BUFFER_BYTES {2 * 2 * (-(-most // 4) * 4)}\n" in text


def test_the_hook_picks_what_benchmarks_and_tests_compile() -> None:
    assert {Path(name).name for name in SOURCES} == cmsis_nn.FILES


def test_adapter_writes_the_file_and_returns_its_text(tmp_path: Path) -> None:
    model = named("first", 3)

    class Network:
        quantized_model = model

    path = tmp_path / "model_cmsis.h"
    text = CMSISAdapter(Network()).generate_c(path)
    assert path.read_text(encoding="ascii") == text
    assert text == CMSISAdapter(model).generate_c(str(path))
    assert "arm_fully_connected" in text
    assert [file.name for file in tmp_path.iterdir()] == ["model_cmsis.h"]
    with pytest.raises(MiniMLError, match=r"can't be written .*: choose a folder that is there"):
        CMSISAdapter(model).generate_c(tmp_path / "missing" / "model.h")


def test_adapter_wants_a_quantized_model() -> None:
    with pytest.raises(NotQuantizedError, match="got str, which has no quantized model: give it"):
        CMSISAdapter("model")
    from miniml.ml_runtime import MiniNeuralNetwork

    with pytest.raises(NotQuantizedError, match=r"quantize\(\)"):
        CMSISAdapter(MiniNeuralNetwork(n_inputs=2, n_hidden=4, n_outputs=1))
