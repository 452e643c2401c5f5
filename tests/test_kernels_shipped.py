"""Kernels as shipped, foretold from their text, against the simulated cores."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from campaign_kernels_cortex_m4 import case
from cortex_m4_nets import random_inputs, random_net
from kernel_models import campaign_model

from miniml import reference
from miniml.boards import load_boards
from miniml.cost import foretell
from miniml.cost.benchmark import TARGETS, kernel_code, measure
from miniml.errors import KernelTextError
from miniml.kernels.benchmark_nets import benchmark_net
from miniml.kernels.choice import kernels_for, plan
from miniml.kernels.program import KernelOptions, KernelProgram, Placement
from miniml.kernels.shipped import run, shipped_cycles, shipped_memory
from miniml.model import Int8Array, QuantizedModel
from miniml.pipeline import prepare
from miniml.settings import CodeSettings

ROOT = Path(__file__).parents[1]
ARM = ("cortex-m4", "cortex-m0plus")
BOARD = {"cortex-m4": "stm32f4", "cortex-m0plus": "pico"}
# Where constants lie within lines of the flash is up to the linker, and what a cache held before
# the warm run differs a little.
NEAR = 0.002


class IdealMemory:
    """No access waits."""

    def __init__(self, wait: int = 0) -> None:
        pass

    def fetch(self, address: int, size: int, now: int) -> int:
        return 0

    def data(self, address: int, now: int) -> int:
        return 0


def m0plus_case(number: int) -> tuple[QuantizedModel, KernelProgram, Int8Array]:
    model, inputs = campaign_model(number)
    options = (KernelOptions(), KernelOptions(methods=("SWAR",)), KernelOptions(methods=()))
    return model, plan("cortex-m0plus", model, options[number % 3]), inputs[:2]


def m4_case(number: int) -> tuple[QuantizedModel, KernelProgram, Int8Array]:
    model, program, rng = case(number)
    return model, program, random_inputs(rng, model, 2)


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("make", [m4_case, m0plus_case])
def test_without_waits_it_gives_the_reference_s_bytes_in_the_foretold_cycles(
    make: object, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, program, inputs = make(number)  # type: ignore[operator]
    monkeypatch.setattr(run, "Stm32f4", IdealMemory)
    monkeypatch.setattr(run, "Rp2040", IdealMemory)
    cycles, outputs = shipped_cycles(model, program, inputs)
    assert np.array_equal(outputs, reference.run_layers(model, inputs)[-1])
    assert np.array_equal(cycles, program.cycles(inputs))


def told_and_measured(
    core: str, model: QuantizedModel, inputs: Int8Array, options: KernelOptions, folder: Path
) -> tuple[float, float]:
    """Foretold, and measured on the simulated core: median cycles."""
    program = plan(core, model, options)
    code = kernel_code(model, program)
    found = measure(TARGETS[core], model, inputs, folder, code=code, shipped=True)
    told, _ = shipped_cycles(model, program, inputs)
    return float(np.median(told.sum(axis=1))), float(np.median(found.cycles[:, -1]))


@pytest.mark.parametrize(
    ("core", "placement", "methods"),
    [
        ("cortex-m4", "flash", None),
        ("cortex-m4", "constants", None),
        ("cortex-m4", "code", None),
        ("cortex-m4", "sram", None),
        ("cortex-m4", "flash", ()),
        ("cortex-m0plus", "flash", None),
        ("cortex-m0plus", "flash", ("SWAR",)),
        ("cortex-m0plus", "sram", None),
    ],
)
def test_benchmark_nets_as_the_simulator_ships_them(
    core: str, placement: Placement, methods: tuple[str, ...] | None, tmp_path: Path
) -> None:
    net = benchmark_net("N5" if placement == "flash" else "N3", 2, signed=True, rows=1)
    options = KernelOptions(placement=placement, methods=methods)
    told, measured = told_and_measured(core, net.model, net.inputs, options, tmp_path)
    assert abs(told - measured) <= NEAR * measured


@pytest.mark.parametrize("name", ["digits", "sine", "xor"])
@pytest.mark.parametrize("core", ARM)
def test_standard_models_as_their_boards_get_them(core: str, name: str, tmp_path: Path) -> None:
    prepared = prepare(ROOT / "firmware" / "models" / name, train="frozen")
    model, inputs = prepared.model, prepared.test_vectors().inputs[:4]
    board = load_boards(ROOT)[BOARD[core]]
    program = kernels_for(model, board, prepared.settings.code)
    assert program is not None
    code = kernel_code(model, program)
    found = measure(TARGETS[core], model, inputs, tmp_path, code=code, shipped=True)
    cost = foretell(model, board, None, inputs, program, memory="shipped")
    assert cost.cycles is not None
    assert cost.memory == shipped_memory(core, board.clock_hz)
    measured = float(np.median(found.cycles[:, -1]))
    assert abs(cost.cycles - measured) <= NEAR * measured + 1
    ideal = foretell(model, board, None, inputs, program).cycles
    assert ideal is not None
    # What docs/KERNELS_CORTEX_M4.md says of the default placement, and a Pico's SRAM never waits.
    assert ideal <= cost.cycles <= (1.25 if core == "cortex-m4" else 1) * ideal
    layers = sum(layer.cycles or 0 for layer in cost.layers)
    assert 0 < layers < cost.cycles


@pytest.mark.parametrize("widths", [(64, 16, 8), (120, 60, 10)])
def test_the_placement_that_a_board_gets_is_the_fastest_as_shipped(widths: tuple[int, ...]) -> None:
    board = load_boards(ROOT)["stm32f4"]
    model = random_net(np.random.default_rng(9), "placed", widths)
    chosen = kernels_for(model, board, CodeSettings())
    assert chosen is not None
    inputs = np.zeros((1, model.n_inputs), np.int8)
    least = shipped_cycles(model, chosen, inputs)[0].sum()
    for placement in ("flash", "code", "sram"):
        other = plan("cortex-m4", model, KernelOptions(placement=placement))
        if other.sram <= board.sram_bytes // 2:
            assert least <= shipped_cycles(model, other, inputs)[0].sum()


@pytest.mark.parametrize("name", ["uno", "stm32f4", "pico"])
def test_what_is_foretold_as_shipped_of_other_code(name: str) -> None:
    board = load_boards(ROOT)[name]
    model = benchmark_net("N3", 1, rows=1).model
    toolchain = "avr-gcc-5.4.0 -Os -flto" if board.core == "avr" else "arm-none-eabi-gcc-12.2.1 -Os"
    ideal = foretell(model, board, toolchain)
    cost = foretell(model, board, toolchain, memory="shipped")
    assert ideal.cycles is not None
    if board.core == "avr":  # its flash has no wait states
        assert (cost.cycles, cost.layers) == (ideal.cycles, ideal.layers)
        assert cost.memory == "as shipped: flash without wait states"
    else:
        assert (cost.cycles, cost.layers[0].cycles, cost.memory) == (None, None, None)
        assert (cost.flash, cost.sram) == (ideal.flash, ideal.sram)


def test_an_unknown_instruction_is_an_error() -> None:
    model = benchmark_net("N3", 1, rows=1).model
    program = plan("cortex-m4", model, KernelOptions())
    changed = dataclasses.replace(program, assembly=program.assembly.replace("smlad", "smladx", 1))
    with pytest.raises(KernelTextError, match=r"^no cycles as shipped are foretold of smladx r"):
        shipped_cycles(model, changed, np.zeros((1, 64), np.int8))


@pytest.mark.parametrize(
    ("megahertz", "waits"), [(16, 0), (30, 0), (84, 2), (100, 3), (168, 5), (180, 5)]
)
def test_wait_states_follow_the_clock(megahertz: int, waits: int) -> None:
    model = benchmark_net("N3", 1, rows=1).model
    program = plan("cortex-m4", model, KernelOptions())
    inputs = np.zeros((1, 64), np.int8)
    assert f": {waits} wait states" in shipped_memory("cortex-m4", megahertz * 1_000_000)
    cycles = shipped_cycles(model, program, inputs, megahertz * 1_000_000)[0].sum()
    assert (cycles == program.worst_cycles) == (waits == 0)
