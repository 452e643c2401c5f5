"""Generated Cortex-M0+ kernels: bytes, cycles, sizes against the reference and the simulator."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from campaign_kernels_cortex_m0plus import batch
from kernels_cortex_m0plus import (
    case,
    compile_caller,
    differences,
    global_symbols,
    link,
    registers_lost,
    section_bytes,
)
from random_models import random_model

from miniml import reference
from miniml.cost.sample_models import sample_inputs, sample_models
from miniml.errors import BudgetError
from miniml.kernels.benchmark_nets import benchmark_net
from miniml.kernels.cortex_m0plus import plan
from miniml.kernels.program import KernelOptions, Placement
from miniml.model import QuantizedModel
from miniml.sim.arm.core import Stop
from miniml.sim.arm.machine import Machine

METHODS = {
    "fastest": KernelOptions(),
    "SWAR": KernelOptions(methods=("SWAR",)),
    "exact": KernelOptions(methods=()),
}
every_method = pytest.mark.parametrize("options", METHODS.values(), ids=METHODS)


def random_models(count: int, seed: int) -> list[QuantizedModel]:
    """Any shape, shift and activation; depth 1 to 6."""
    models = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        widths = rng.integers(1, 40, rng.integers(2, 8)).tolist()
        model = random_model(rng, widths=widths)
        model = dataclasses.replace(
            model,
            name=f"random_{number}",
            input=dataclasses.replace(model.input, input_min=int(rng.choice([-127, 0]))),
        )
        models.append(model)
    return models


def test_a_sample_of_the_campaign(tmp_path: Path) -> None:
    assert differences(batch(0, 25), tmp_path) == []


@every_method
def test_random_models(tmp_path: Path, options: KernelOptions) -> None:
    cases = [case(m, sample_inputs(m, 3, 6), options) for m in random_models(20, 1)]
    assert differences(cases, tmp_path) == []


@every_method
def test_models_whose_outputs_fill_their_range(tmp_path: Path, options: KernelOptions) -> None:
    cases = [case(m, sample_inputs(m, 5, 8), options) for m in sample_models(5, 10)]
    assert differences(cases, tmp_path) == []


@pytest.mark.parametrize("placement", ["flash", "sram"])
def test_sizes_are_the_linkers(tmp_path: Path, placement: Placement) -> None:
    net = benchmark_net("N3", 2, signed=True, rows=2)
    item = case(net.model, net.inputs, KernelOptions(placement=placement))
    empty = section_bytes(link([], tmp_path))
    found = section_bytes(link([item], tmp_path))
    grown = {name: size - empty.get(name, 0) for name, size in found.items()}
    code = grown[".text"] + grown.get(".rodata", 0) + grown.get(".data", 0)
    assert abs(code - item.program.flash) <= 2  # the caller's end is padded
    assert grown.get(".data", 0) + grown[".bss"] == item.program.sram
    assert differences([item], tmp_path) == []


@every_method
def test_the_callers_registers_and_any_address(tmp_path: Path, options: KernelOptions) -> None:
    net = benchmark_net("N3", 1, signed=True, rows=1)
    for shift in (0, 1, 2, 3):
        assert registers_lost(case(net.model, net.inputs, options), tmp_path, shift=shift) == 0


@every_method
def test_interrupts_anywhere(tmp_path: Path, options: KernelOptions) -> None:
    net = benchmark_net("N3", 3, signed=True, rows=1)
    item = case(net.model, net.inputs, options)
    for period in (61, 64, 67, 71):
        assert registers_lost(item, tmp_path, interrupts=period) == 0


def test_less_flash_costs_cycles_and_no_byte(tmp_path: Path) -> None:
    net = benchmark_net("N4", 1, signed=True, rows=3)
    cases, slowest = [], 0
    for flash in (None, 11_000, 9_000, 6_000, 4_500):
        model = dataclasses.replace(net.model, name=f"within_{flash}")
        cases.append(case(model, net.inputs, KernelOptions(flash_bytes=flash)))
        program = cases[-1].program
        assert flash is None or program.flash <= flash
        assert program.worst_cycles >= slowest
        slowest = program.worst_cycles
    smallest = plan(net.model, KernelOptions(optimize="flash"))
    assert smallest.flash <= min(one.program.flash for one in cases)
    assert differences(cases, tmp_path) == []


def test_a_word_saved_by_products_on_their_own(tmp_path: Path) -> None:
    net = benchmark_net("N5", 2, signed=True, rows=4)
    item = case(net.model, net.inputs)
    proofs = [row.proof for layer in item.program.layers for row in layer.rows]
    assert any("products on their own" in proof for proof in proofs)
    assert differences([item], tmp_path) == []


def test_every_row_says_what_was_proved() -> None:
    net = benchmark_net("N3", 1, signed=True)
    fastest = plan(net.model, KernelOptions())
    rows = [row for layer in fastest.layers for row in layer.rows]
    assert len(rows) == sum(layer.n_outputs for layer in net.model.layers)
    assert {row.requantize for row in rows} == {"fast, above", "fast, magnitude"}
    assert all("bits; " in row.proof and "< 2^32" in row.proof for row in rows)


def test_a_budget_that_nothing_meets() -> None:
    net = benchmark_net("N3", 1)
    with pytest.raises(BudgetError, match=r"the smallest kernels take \d+ bytes"):
        plan(net.model, KernelOptions(flash_bytes=100))


@pytest.mark.parametrize("language", ["c", "c++"])
@pytest.mark.parametrize("flags", ["-Os", "-O2", "-Os -flto", "-O2 -flto"])
def test_callers_of_any_kind(tmp_path: Path, language: str, flags: str) -> None:
    net = benchmark_net("N3", 4, signed=True, rows=3)
    item = case(net.model, net.inputs)
    elf = compile_caller(item, tmp_path, language, flags.split())
    machine = Machine.bare("cortex-m0plus")
    try:
        machine.load_elf(elf)
        expected = reference.run_layers(net.model, net.inputs)[-1]
        for row, outputs in zip(net.inputs, expected, strict=True):
            machine.write(0x2008_0000, row.tobytes())
            result = machine.call(machine.symbols["call_twice"], 0x2008_0000, 0x2009_0000)
            assert result.stop is Stop.TRAP
            assert machine.read(0x2009_0000, net.model.n_outputs) == outputs.tobytes()
            assert result.value == int(outputs.astype(int).sum()) * 2 & 0xFFFF_FFFF
    finally:
        machine.close()


def test_symbols_are_the_models_own(tmp_path: Path) -> None:
    net = benchmark_net("N3", 4)
    elf = link([case(net.model, net.inputs)], tmp_path)
    found = global_symbols(elf) - {"call_full", "interrupt_often"}
    assert found == {f"{net.model.name}_run_layers", f"{net.model.name}_input_buffer"}
