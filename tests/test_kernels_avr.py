"""Generated kernels of the ATmega328P: the reference's bytes, in the cycles and bytes foretold."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import campaign_kernels_avr
import numpy as np
import pytest
from kernels_avr_nets import draw
from kernels_avr_program import Case, build, differences, run, sizes
from random_models import random_model

from miniml.cost.elf_symbols import symbols
from miniml.errors import BudgetError, UsageError
from miniml.kernels.avr import plan
from miniml.kernels.benchmark_nets import benchmark_net
from miniml.kernels.program import KernelOptions

FASTEST = KernelOptions()


def net_case(name: str, options: KernelOptions = FASTEST, rows: int = 5) -> Case:
    net = benchmark_net(name.rstrip("s"), 1, signed=name.endswith("s"), rows=rows)
    inputs = net.inputs.copy()
    inputs[0], inputs[1] = 127, -128
    inputs[2, ::2], inputs[2, 1::2] = -127, 127
    return Case(net.model, plan(net.model, options), inputs)


def random_cases(seeds: range, options: KernelOptions = FASTEST) -> list[Case]:
    cases = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        model = random_model(rng)
        quantizer = dataclasses.replace(model.input, input_min=-127 * (seed % 3 > 0))
        model = dataclasses.replace(model, name=f"random_{seed}", input=quantizer)
        inputs = rng.integers(-128, 128, (5, model.n_inputs)).astype(np.int8)
        inputs[0], inputs[1] = 127, -128
        cases.append(Case(model, plan(model, options), inputs))
    return cases


def check(cases: list[Case], folder: Path) -> None:
    program = build(cases, folder)
    runs, placed = run(cases, program), symbols(program)
    for case, found in zip(cases, runs, strict=True):
        assert differences(case, found) == [], case.model.name
        assert sizes(placed, case.model.name) == (case.program.flash, case.program.sram)
    assert max(case.program.stack for case in cases) == runs[0].stack


@pytest.mark.parametrize("name", ["N3", "N5", "N3s", "N5s"])
def test_benchmark_nets(tmp_path: Path, name: str) -> None:
    check([net_case(name, KernelOptions(flash_bytes=28_000))], tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        KernelOptions(flash_bytes=7000),
        KernelOptions(optimize="flash"),
        KernelOptions(flash_bytes=7000, methods=("block", "multiply")),
        KernelOptions(flash_bytes=7000, methods=("tall", "multiply", "table")),
        KernelOptions(flash_bytes=7000, methods=("winograd", "shared", "table")),
    ],
)
def test_random_models(tmp_path: Path, options: KernelOptions) -> None:
    for start in range(0, 12, 4):
        check(random_cases(range(start, start + 4), options), tmp_path / str(start))


@pytest.mark.parametrize("flags", [("-Os",), ("-O2",), ("-Os", "-flto"), ("-O2", "-flto")])
@pytest.mark.parametrize("cplusplus", [False, True])
def test_callers(tmp_path: Path, flags: tuple[str, ...], cplusplus: bool) -> None:
    small = KernelOptions(flash_bytes=12_000)
    cases = [net_case("N3", small, rows=3), *random_cases(range(3, 4), small)]
    found = run(cases, build(cases, tmp_path, flags, cplusplus=cplusplus))
    assert [differences(case, one) for case, one in zip(cases, found, strict=True)] == [[], []]


def test_registers_are_kept_and_interrupts_harm_nothing(tmp_path: Path) -> None:
    small = KernelOptions(flash_bytes=7_500)
    cases = [net_case("N3", small), net_case("N3s", small), *random_cases(range(4, 6), small)]
    found = run(cases, build(cases, tmp_path, harsh=True), harsh=True)
    for case, one in zip(cases, found, strict=True):
        assert differences(case, one, harsh=True) == []


def test_a_sample_of_the_campaign(tmp_path: Path) -> None:
    folder = ["--folder", str(tmp_path)]
    assert campaign_kernels_avr.main(["8", "--start", "2", *folder]) == 0
    assert campaign_kernels_avr.main(["12", "--start", "2", *folder]) == 0  # goes on
    kept = json.loads((tmp_path / "campaign_kernels_avr.json").read_text())
    assert (kept["next"], kept["compared"] + kept["too_large"]) == (14, 12)


def test_a_step_below_zero_is_cut_right(tmp_path: Path) -> None:
    """Found by the campaign: every output but the lowest is cut, and both are negative."""
    model, options, inputs = draw(2554)
    layer = model.layers[0]
    assert layer.activation_max < 0
    check([Case(model, plan(model, options), inputs)], tmp_path)


def test_an_unknown_method_is_one_line() -> None:
    with pytest.raises(UsageError, match=r"^no kernel method magic for AVR: there are loop, "):
        plan(benchmark_net("N3", 1).model, KernelOptions(methods=("magic",)))


def test_a_budget_that_cannot_be_met_is_one_line() -> None:
    model = benchmark_net("N3", 1).model
    with pytest.raises(BudgetError, match=r"^model n3_1: .* \d+ bytes of flash, 1000 are left: "):
        plan(model, KernelOptions(flash_bytes=1000))
