"""What miniml.cost foretells against what the simulated cores and the compilers show."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from random_float_models import random_pair
from random_models import random_model

from miniml.adapters.export import export
from miniml.boards import Board, in_mode, load_boards
from miniml.cost import calibrate, foretell
from miniml.cost.benchmark import TARGETS, ModelCode, build, kernel_digest, measure, portable_code
from miniml.cost.benchmark_avr import PROGRAM
from miniml.cost.benchmark_modes import Header, measure_mode
from miniml.cost.calibration import load_calibrations
from miniml.cost.elf_symbols import symbols
from miniml.cost.memory import layer_flash, model_flash, model_sram
from miniml.cost.paths import PATHS, count_paths, path_bounds
from miniml.cost.sample_models import sample_inputs, sample_models
from miniml.float_net import FLOAT_MODES, is_float_mode
from miniml.model import validate

BOARDS = load_boards(Path(__file__).parents[1])
BY_CORE = {"avr": "uno", "cortex-m4": "stm32f4", "cortex-m0plus": "pico"}
# The Cortex-M0+ compiler's branches are not all told apart; the other two are exact.
TOLERANCE = {"avr": 0.0, "cortex-m4": 0.0, "cortex-m0plus": 0.001}


def board_and_toolchain(core: str) -> tuple[Board, str]:
    """The board of a core and a toolchain that was calibrated for it."""
    found = [toolchain for known, toolchain in load_calibrations().records if known == core]
    return BOARDS[BY_CORE[core]], found[0]


def test_calibration_is_of_this_kernel() -> None:
    assert load_calibrations().kernel == kernel_digest(), (
        "the kernel changed: run `python -m miniml.cost.calibrate`"
    )


@pytest.mark.parametrize("core", TARGETS)
@pytest.mark.parametrize("seed", [101, 102])
def test_foretold_cycles_are_measured_ones(tmp_path: Path, core: str, seed: int) -> None:
    target = TARGETS[core]
    board, recorded = board_and_toolchain(core)
    assert target.toolchain() == recorded, "another compiler: calibrate it with --add"
    models = [
        dataclasses.replace(random_model(np.random.default_rng(seed)), name="random"),
        sample_models(seed, 4)[0],
        sample_models(seed, 4)[3],
    ]
    for number, model in enumerate(models):
        validate(model)
        inputs = sample_inputs(model, seed, 12)
        (tmp_path / str(number)).mkdir()
        found = measure(target, model, inputs, tmp_path / str(number))
        cost = foretell(model, board, recorded, inputs)
        assert cost.cycles_by_row is not None
        measured = found.cycles[:, -1]
        np.testing.assert_allclose(cost.cycles_by_row, measured, rtol=TOLERANCE[core])
        assert cost.cycles == pytest.approx(np.median(measured), rel=TOLERANCE[core], abs=1)
        assert cost.cycles_min is not None
        assert cost.cycles_max is not None
        slack = TOLERANCE[core] * measured.max()
        assert cost.cycles_min - slack <= measured.min()
        assert measured.max() <= cost.cycles_max + slack
        assert cost.stack is not None
        assert found.stack <= cost.stack


def test_unknown_toolchain_is_not_foretold() -> None:
    model = sample_models(1, 1)[0]
    for toolchain in (None, "avr-gcc-7.3.0 -Os -flto"):
        cost = foretell(model, BOARDS["uno"], toolchain)
        assert (cost.cycles, cost.cycles_min, cost.cycles_max, cost.stack) == (None,) * 4
        assert cost.memory is None
        assert all(layer.cycles is None for layer in cost.layers)
        assert cost.flash > 2720
        assert cost.sram == 64 + 32 + 64


def test_without_inputs_the_middle_of_the_bounds() -> None:
    board, toolchain = board_and_toolchain("avr")
    cost = foretell(sample_models(1, 1)[0], board, toolchain)
    assert cost.cycles_by_row is None
    assert cost.cycles is not None
    assert cost.cycles_min is not None
    assert cost.cycles_max is not None
    assert cost.cycles == pytest.approx((cost.cycles_min + cost.cycles_max) / 2, abs=1)
    # Layers add up to the whole but for the copy of the inputs.
    layers = [layer.cycles for layer in cost.layers if layer.cycles is not None]
    assert 0 < cost.cycles - sum(layers) < 2000


def test_counts_lie_within_their_bounds() -> None:
    for seed in range(20):
        model = random_model(np.random.default_rng(seed))
        low, high = path_bounds(model)
        counts = count_paths(model, sample_inputs(model, seed, 30))
        assert (low <= counts).all()
        assert (counts <= high).all()
        assert counts.shape == (30, len(model.layers) + 1, len(PATHS))


def test_flash_and_sram_are_those_of_the_program(tmp_path: Path) -> None:
    for number, model in enumerate(sample_models(7, 3)):
        folder = tmp_path / str(number)
        folder.mkdir()
        # The model struct and what the link reads are not in a benchmark: refer to them.
        main = PROGRAM.replace(
            "int main(void) {",
            "const void *volatile kept;\nint main(void) {\n"
            f"kept = &{model.name}_model; kept = &{model.name}_predict;",
        )
        program = build(
            TARGETS["avr"], model, sample_inputs(model, 1, 2), main, folder, portable_code(model)
        )
        sizes = {name: size for name, (_, size) in symbols(program).items()}
        own = {name: size for name, size in sizes.items() if name.startswith(f"{model.name}_")}
        scratch = sum(size for name, size in own.items() if "_scratch_" in name)
        assert model_sram(model) == scratch + model.n_inputs
        functions = ("run", "quantize", "dequantize", "predict")
        code = tuple(f"{model.name}_{function}" for function in functions)
        constants = sum(
            size
            for name, size in own.items()
            if "_scratch_" not in name and not name.startswith(code)
        )
        outputs = 8 * model.n_outputs  # output_scale and output_offset, here through predict
        assert model_flash(model, "avr") == constants - outputs
        for index, layer in enumerate(model.layers, start=1):
            tables = [size for name, size in own.items() if name.endswith(f"_{index}")]
            assert layer_flash(layer, "avr") == sum(tables) + 16


def test_calibrate_finds_what_was_put_in() -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 500, len(PATHS)).astype(float)
    passes = rng.integers(0, 30, (200, len(PATHS))).astype(float)
    np.testing.assert_array_equal(calibrate.fit(passes, passes @ truth), truth)


def test_calibrate_refuses_an_unknown_core(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate.main(["z80", "--file", str(tmp_path / "c.json")]) == 2
    assert "core 'z80' is unknown: use one of avr" in capsys.readouterr().err
    assert not (tmp_path / "c.json").exists()


@pytest.mark.parametrize("mode", [*FLOAT_MODES, "native"])
def test_other_modes_are_told_in_bytes_only(tmp_path: Path, mode: str) -> None:
    model, real = random_pair(5, widths=(20, 12, 6), activations=("tanh", "linear"))
    board = in_mode(BOARDS["uno"], mode)
    cost = foretell(model, board, board_and_toolchain("avr")[1], sample_inputs(model, 1, 3))
    assert (cost.cycles, cost.cycles_by_row, cost.stack, cost.toolchain) == (None,) * 4
    floats = is_float_mode(mode)
    header = Header(
        ModelCode(export(model, real, mode, "a benchmark")),
        model.name,
        model.widths,
        np.dtype(np.float32 if floats else np.int8),
    )
    rows = np.zeros((1, 20), header.dtype)
    found = measure_mode(TARGETS["avr"], header, rows, tmp_path)
    # What the benchmark's program lacks: the sample, the float entry, what the link reads.
    assert cost.sram == found.sram + rows.nbytes - constants_in_sram(mode)
    link = 65 + 14 + 2 * 2
    entry = 8 * model.n_inputs
    least = cost.flash - link - (0 if floats else entry)
    assert least <= found.flash


def constants_in_sram(mode: str) -> int:
    """An AVR copies a function's own constant struct to SRAM: the scaler's two pointers."""
    return 4 if is_float_mode(mode) else 0
