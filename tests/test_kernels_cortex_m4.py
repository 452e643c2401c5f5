"""Generated Cortex-M4 kernels: the reference's bytes, the foretold cycles, the linker's sizes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from campaign_kernels_cortex_m4 import BATCH, case, run_batch
from cortex_m4_nets import check, link, machine_with, named, random_inputs, random_net
from elftools.elf.elffile import ELFFile

from miniml.boards import load_boards
from miniml.errors import BudgetError
from miniml.kernels.benchmark_nets import benchmark_net
from miniml.kernels.choice import SRAM_SHARE, kernels_for
from miniml.kernels.cortex_m4 import plan
from miniml.kernels.cortex_m4.requantize import _contract, prove
from miniml.kernels.program import KernelOptions
from miniml.model import QuantizedModel
from miniml.settings import CodeSettings

ALL = frozenset({"halfword", "high word"})
OPTIONS = {
    "fastest": KernelOptions(),
    "smallest": KernelOptions(optimize="flash"),
    "SRAM": KernelOptions(placement="sram"),
    "code in SRAM": KernelOptions(placement="code"),
    "constants in SRAM": KernelOptions(placement="constants"),
    "exact": KernelOptions(methods=()),
    "pairs": KernelOptions(methods=("pair", "high word")),
}


def sections(program: Path) -> dict[str, int]:
    with program.open("rb") as file:
        return {one.name: one["sh_size"] for one in ELFFile(file).iter_sections()}


def test_random_nets_with_all_sorts_of_options() -> None:
    count = run_batch(range(10**6, 10**6 + BATCH))
    assert count["different"] == 0
    assert count["nets"] == BATCH
    # The sample is of use only if it reaches every method.
    methods = {key.split(" of ")[0].split(",")[0] for key in count}
    assert {"chain", "pair", "single"} <= methods
    assert {key.split(", ")[1] for key in count if ", " in key} == {
        "halfword",
        "high word",
        "exact",
    }


@pytest.mark.parametrize("choice", OPTIONS)
@pytest.mark.parametrize("net", ["N3", "N3s"])
def test_bytes_cycles_and_sizes(tmp_path: Path, net: str, choice: str) -> None:
    one = benchmark_net(net.rstrip("s"), 1, signed=net.endswith("s"), rows=6)
    program = plan(one.model, OPTIONS[choice])
    elf = link([program], tmp_path)
    machine = machine_with(elf)
    try:
        assert check(machine, one.model, program, one.inputs) == 0
        assert (
            check(
                machine, one.model, program, random_inputs(np.random.default_rng(1), one.model, 6)
            )
            == 0
        )
    finally:
        machine.close()
    found = sections(elf)
    loaded = found.get(".text", 0) + found.get(".rodata", 0) + found.get(".data", 0)
    assert program.flash == loaded
    in_ram = found.get(".data", 0) + found[".bss"]
    assert program.sram == in_ram
    layers = sum(layer.flash for layer in program.layers)
    assert layers <= program.flash <= layers + 700


def test_sizes_are_the_linker_s_for_any_net(tmp_path: Path) -> None:
    for seed in range(50_000, 50_006):
        program = case(seed)[1]
        found = sections(link([program], tmp_path))
        loaded = found.get(".text", 0) + found.get(".rodata", 0) + found.get(".data", 0)
        assert (program.flash, program.sram) == (loaded, found.get(".data", 0) + found[".bss"])


# Worst of five seeds, cycles a MAC at 0 wait states (docs/KERNELS_CORTEX_M4.md).
FIGURES = {"N3": 1.1757, "N4": 1.0860, "N5": 0.9772, "N3s": 1.1757, "N5s": 0.9769}


@pytest.mark.parametrize("net", FIGURES)
def test_recorded_cycles_are_kept(net: str) -> None:
    """What the plan foretells, which other tests hold to the simulator."""
    found = []
    for seed in range(1, 6):
        name, signed = net.rstrip("s"), net.endswith("s")
        model = benchmark_net(name, seed, signed=signed, rows=1).model
        found.append(plan(model, KernelOptions()).worst_cycles / model.macs)
    assert FIGURES[net] * 0.99 <= max(found) <= FIGURES[net] * 1.01


def one_layer(rng: np.random.Generator, n: int, m: int, **changes: object) -> QuantizedModel:
    """A net of one ReLU layer, changed as told."""
    model = random_net(rng, "one", (n, m))
    weights = np.clip(np.rint(rng.normal(0, 45, (m, n))), -127, 127).astype(np.int8)
    layer = dataclasses.replace(
        model.layers[0],
        weights=weights,
        bias=rng.integers(-2000, 2000, m).astype(np.int32),
        multipliers=rng.integers(2**30, 2**31, m).astype(np.int32),
        shifts=np.full(m, -9, np.int8),
        activation="relu",
        activation_min=0,
        activation_max=127,
        table=None,
    )
    layer = dataclasses.replace(layer, **changes)  # type: ignore[arg-type]
    return dataclasses.replace(model, layers=(layer,))


BREAKS: dict[str, dict[str, object]] = {
    "no shift": {"shifts": np.zeros(9, np.int8)},
    "left shift": {"shifts": np.full(9, 3, np.int8)},
    "largest shift": {"shifts": np.full(9, -31, np.int8)},
    "wide row": {"bias": np.array([0, 1 << 23, 5, -(1 << 23), 7, 0, 0, 1 << 28, 1], np.int32)},
    "an odd clamp": {"activation_min": -3, "activation_max": 77},
    "clamped to one value": {"activation_min": -127, "activation_max": -127},
}


@pytest.mark.parametrize("what", BREAKS)
def test_a_row_that_breaks_a_precondition_is_exact(tmp_path: Path, what: str) -> None:
    rng = np.random.default_rng(7)
    model = one_layer(rng, 12, 9, **BREAKS[what])
    program = plan(model, KernelOptions())
    kinds = [row.requantize for row in program.layers[0].rows]
    expected = [True] * 9
    if what == "wide row":
        expected = [row in (1, 3, 7) for row in range(9)]
        assert program.layers[0].rows[1].method == "single"
    assert all(kind == "exact" for kind, exact in zip(kinds, expected, strict=True) if exact)
    machine = machine_with(link([program], tmp_path))
    try:
        assert check(machine, model, program, random_inputs(rng, model, 30)) == 0
    finally:
        machine.close()


@pytest.mark.parametrize(("least", "activation"), [(0, "relu"), (-127, "linear")])
def test_ties_and_saturation(tmp_path: Path, least: int, activation: str) -> None:
    """A multiplier of 2^30 puts every second accumulator on a tie of the first rounding, and each
    step of the output on one of the second."""
    rng = np.random.default_rng(3)
    weights = np.zeros((8, 4), np.int8)
    weights[:, 0] = [1, 127, -1, -127, 3, 5, 7, 64]
    weights[:, 1] = [127, 127, 127, 127, 1, -1, 2, -2]
    model = one_layer(
        rng,
        4,
        8,
        weights=weights,
        bias=np.array([0, 1, -1, 2, -2, 16, -16, 3], np.int32),
        multipliers=np.full(8, 2**30, np.int32),
        shifts=np.array([-1, -2, -3, -4, -5, -6, -7, -8], np.int8),
        activation=activation,
        activation_min=least,
    )
    program = plan(model, KernelOptions())
    assert {row.requantize for row in program.layers[0].rows} == {"high word"}
    inputs = np.zeros((511, 4), np.int8)
    inputs[:255, 0] = np.arange(-127, 128)
    inputs[255:510, 1] = np.arange(-127, 128)
    machine = machine_with(link([program], tmp_path))
    try:
        assert check(machine, model, program, inputs) == 0
    finally:
        machine.close()


def test_a_proof_refuses_what_differs() -> None:
    """The exact function steps where the proof looks: move M by a little and it must see that."""
    rng = np.random.default_rng(5)
    layer = one_layer(rng, 64, 20).layers[0]
    proved = [prove(layer, row, 0, 127, ALL) for row in range(20)]
    assert all(one.kind == "halfword" for one in proved)
    acc = np.arange(-200_000, 200_000, dtype=np.int64)
    for one in proved:
        r = ((256 * acc + one.fraction) * one.scaled + (1 << 47)) >> 48
        expected = np.clip(_contract(acc, one.multiplier, one.n), 0, 127)
        np.testing.assert_array_equal(np.clip(r, 0, 127), expected)


def test_high_words_are_exact_at_every_accumulator() -> None:
    rng = np.random.default_rng(6)
    for n in (1, 5, 9, 12, 15):
        layer = one_layer(
            rng, 64, 4, activation="linear", activation_min=-127, shifts=np.full(4, -n, np.int8)
        ).layers[0]
        acc = np.arange(-150_000, 150_000, dtype=np.int64)
        for row in range(4):
            one = prove(layer, row, -127, 127, ALL)
            assert one.kind == "high word"
            r = ((256 * acc * one.multiplier + (one.high_word_c << 32)) >> 32) - 128 * (acc < 0)
            expected = np.clip(_contract(acc, one.multiplier, n), -127, 127)
            np.testing.assert_array_equal(np.clip(r >> (7 + n), -127, 127), expected)


def test_large_frames_and_layers(tmp_path: Path) -> None:
    """Lanes beyond the reach of offsets, and outputs beyond it: loops through pointers."""
    rng = np.random.default_rng(13)
    models = [random_net(rng, "wide", (2600, 3)), random_net(rng, "tall", (3, 4200))]
    models.append(random_net(rng, "both", (2100, 5, 3)))
    programs = [plan(model, KernelOptions()) for model in models]
    machine = machine_with(link(programs, tmp_path))
    try:
        for model, program in zip(models, programs, strict=True):
            assert check(machine, model, program, random_inputs(rng, model, 3)) == 0
    finally:
        machine.close()


def test_a_flash_limit_is_kept_and_costs_cycles() -> None:
    model = benchmark_net("N4", 1, rows=1).model
    fastest = plan(model, KernelOptions())
    smallest = plan(model, KernelOptions(optimize="flash"))
    assert smallest.flash < fastest.flash
    last = fastest
    for limit in range(fastest.flash - 1, smallest.flash, -1500):
        program = plan(model, KernelOptions(flash_bytes=limit))
        assert program.flash <= limit
        assert program.worst_cycles >= last.worst_cycles
        last = program
    with pytest.raises(
        BudgetError, match=f"take {smallest.flash} bytes.* 1000 bytes of code and const"
    ):
        plan(model, KernelOptions(flash_bytes=1000))


def test_a_limit_of_sram_is_kept(tmp_path: Path) -> None:
    model = benchmark_net("N4", 1, rows=1).model
    fastest = plan(model, KernelOptions())
    held = {}
    for placement, limit in (("code", 5000), ("constants", 4400), ("sram", 9000)):
        options = KernelOptions(placement=placement, sram_bytes=limit)  # type: ignore[arg-type]
        held[placement] = plan(model, options)
        assert 0.8 * limit < held[placement].sram <= limit
        assert held[placement].worst_cycles > fastest.worst_cycles
    inputs = random_inputs(np.random.default_rng(8), model, 6)
    for placement, program in held.items():
        elf = link([program], tmp_path)
        found = sections(elf)
        assert program.sram == found[".data"] + found[".bss"]
        assert (".rodata" in found) == (placement == "code")
        assert (".text" in found) == (placement == "constants")
        machine = machine_with(elf)
        try:
            assert check(machine, model, program, inputs) == 0
        finally:
            machine.close()
    with pytest.raises(BudgetError, match=r"of them code; 404 bytes of code are allowed"):
        plan(model, KernelOptions(placement="code", sram_bytes=500))


@pytest.mark.parametrize(
    ("widths", "placement"), [((64, 16, 8), "constants"), ((300, 300, 8), "code")]
)
def test_what_a_board_puts_into_its_sram(widths: tuple[int, ...], placement: str) -> None:
    board = load_boards(Path(__file__).parents[1])["stm32f4"]
    model = random_net(np.random.default_rng(9), "placed", widths)
    program = kernels_for(model, board, CodeSettings())
    assert program is not None
    assert f"placement {placement})" in program.assembly
    assert program.sram <= SRAM_SHARE * board.sram_bytes


def test_the_same_model_gives_the_same_text() -> None:
    model = named(benchmark_net("N3", 2, rows=1).model, "again")
    assert plan(model, KernelOptions()).assembly == plan(model, KernelOptions()).assembly
