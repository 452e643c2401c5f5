"""`miniml bench kernels`: cycles of whole inferences, ours and others', on the simulated cores."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from miniml import reference
from miniml.bench.contestants import CONTESTANTS, Contestant
from miniml.bench.peers import wrapper
from miniml.cost.benchmark import TARGETS, Measurement, ModelCode, measure
from miniml.errors import BudgetError, UsageError
from miniml.kernels.benchmark_nets import BenchmarkNet, benchmark_net
from miniml.kernels.program import Int64Array, KernelProgram
from miniml.kernels.shipped import shipped_cycles
from miniml.model import Int8Array, QuantizedModel

BOARDS = {"uno": "avr", "stm32f4": "cortex-m4", "pico": "cortex-m0plus"}
SEEDS = (1, 2, 3, 4, 5)
NETS = ("N3", "N3s", "N5", "N5s", "N6")
# Inputs lie in flash beside the kernel: 196 bytes each are few enough for the Uno.
ROWS = {"N5": 3, "N5s": 3, "N6": 2}
MOST_ROWS = 12
MOST_SHIPPED_MACS = 100_000


@dataclass(frozen=True)
class SeedFigures:
    """What one seed of a row gave: mean and worst cycles of an inference, bytes of flash."""

    seed: int
    cycles: float
    worst_cycles: int
    flash: int


@dataclass(frozen=True)
class KernelRow:
    """One kernel on one net and board, over the seeds.

    Attributes:
        net, board, kernel: what ran where.
        method: how our rows are computed, the most frequent first; "compiled" for C.
        input: "signed" or "nonnegative".
        memory: "ideal" (0 wait states) or "shipped".
        compiler: such as "avr-gcc-5.4.0 -Os -flto"; assembly doesn't depend on it.
        flash_cap: bytes that the kernel was held to; None: none.
        cycles: of one inference, mean over seeds and inputs.
        macs: of one inference.
        cycles_per_mac: cycles / macs.
        worst_cycles_per_mac: the largest of any seed: proved for our assembly in ideal memory, else
            seen.
        flash, sram, stack: bytes, the largest of any seed.
        exact: every output byte is the reference's.
        foretold: largest |measured - foretold| / foretold of any input; None for C, and as shipped
            for nets of more than MOST_SHIPPED_MACS, where foretelling takes minutes.
        note: why there are no figures.
        seeds: the same of each seed.
    """

    net: str
    board: str
    kernel: str
    input: str
    memory: str
    compiler: str
    flash_cap: int | None
    macs: int
    method: str = ""
    cycles: int | None = None
    cycles_per_mac: float | None = None
    worst_cycles_per_mac: float | None = None
    flash: int | None = None
    sram: int | None = None
    stack: int | None = None
    exact: bool | None = None
    foretold: float | None = None
    note: str = ""
    seeds: tuple[SeedFigures, ...] = ()


@dataclass(frozen=True, eq=False)
class _Run:
    """One seed."""

    measured: Measurement
    empty: Measurement
    worst: int
    exact: bool
    program: KernelProgram | None
    foretold: float | None


def random_nets(name: str, seeds: Sequence[int]) -> list[BenchmarkNet]:
    """The seeds of one of NETS."""
    signed = name.endswith("s")
    rows = ROWS.get(name, MOST_ROWS)
    return [benchmark_net(name.rstrip("s"), seed, signed=signed, rows=rows) for seed in seeds]


def trained_net(model: QuantizedModel, inputs: Int8Array) -> list[BenchmarkNet]:
    """A trained model among the nets, on the first of its test rows, int8 (n, n_inputs)."""
    signed = model.input.input_min < 0
    return [BenchmarkNet(model.name, 0, signed, model, inputs[:MOST_ROWS])]


def bench_kernels(
    nets: Mapping[str, Sequence[BenchmarkNet]],
    boards: Sequence[str] = tuple(BOARDS),
    say: Callable[[str], None] = lambda line: None,
) -> list[KernelRow]:
    """Every contestant on every net and board; a row where it can't run says why.

    As many at a time as the machine has processors: cycles are counted, not timed.

    Args:
        nets: by name, the seeds of each.
        boards: keys of BOARDS.
        say: gets a line for each row.
    """
    jobs = [
        (net, list(made), board, index)
        for net, made in nets.items()
        for board in boards
        for index, contestant in enumerate(CONTESTANTS)
        if contestant.runs(net, BOARDS[board])
    ]
    rows = []
    # Fresh processes: what compiled cores and unicorn keep is not to be shared by a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        for row in pool.map(_job, *zip(*jobs, strict=True)) if jobs else ():
            say(f"{row.net} {row.board} {row.kernel}")
            rows.append(row)
    return rows


def _job(net: str, made: Sequence[BenchmarkNet], board: str, contestant: int) -> KernelRow:
    return bench_one(net, made, board, CONTESTANTS[contestant])


def bench_one(
    net: str, made: Sequence[BenchmarkNet], board: str, contestant: Contestant
) -> KernelRow:
    """One contestant on the seeds of one net."""
    core = BOARDS[board]
    model = made[0].model
    row = KernelRow(
        net=net,
        board=board,
        kernel=contestant.name,
        input="signed" if made[0].signed else "nonnegative",
        memory="shipped" if contestant.shipped else "ideal",
        compiler=TARGETS[core].toolchain(),
        flash_cap=contestant.flash_cap,
        macs=model.macs,
    )
    try:
        runs = [_run(core, one, contestant) for one in made]
    except (BudgetError, UsageError) as error:
        return dataclasses.replace(row, note=str(error))
    cycles = float(np.mean([run.measured.cycles[:, -1].mean() for run in runs]))
    errors = [run.foretold for run in runs if run.foretold is not None]
    seeds = [
        SeedFigures(
            seed=one.seed,
            cycles=round(float(run.measured.cycles[:, -1].mean()), 1),
            worst_cycles=run.worst,
            flash=run.measured.flash - run.empty.flash,
        )
        for one, run in zip(made, runs, strict=True)
    ]
    return dataclasses.replace(
        row,
        method=_methods(runs[0].program),
        cycles=round(cycles),
        cycles_per_mac=round(cycles / model.macs, 3),
        worst_cycles_per_mac=round(max(run.worst for run in runs) / model.macs, 3),
        flash=max(run.measured.flash - run.empty.flash for run in runs),
        sram=max(run.measured.sram - run.empty.sram for run in runs),
        stack=max(run.measured.stack for run in runs),
        exact=all(run.exact for run in runs),
        foretold=max(errors) if errors else None,
        seeds=tuple(seeds),
    )


def _run(core: str, net: BenchmarkNet, contestant: Contestant) -> _Run:
    model, inputs = net.model, net.inputs
    with tempfile.TemporaryDirectory() as folder:
        files, program_folder, empty_folder = (Path(folder) / name for name in "abc")
        for path in (files, program_folder, empty_folder):
            path.mkdir()
        nothing = ModelCode(wrapper(model, "", "  (void)in;"))
        empty = measure(TARGETS[core], model, inputs, empty_folder, code=nothing)
        entry = contestant.make(model, core, files)
        measured = measure(
            TARGETS[core],
            model,
            inputs,
            program_folder,
            code=entry.code,
            shipped=contestant.shipped,
        )
    program = entry.program
    by_row = measured.cycles[:, -1]
    worst, foretold = int(by_row.max()), None
    if program is not None and not contestant.shipped:
        worst = program.worst_cycles
        foretold = _gap(by_row, program.cycles(inputs))
    elif program is not None and model.macs <= MOST_SHIPPED_MACS:
        foretold = _gap(by_row, shipped_cycles(model, program, inputs)[0])
    return _Run(
        measured=measured,
        empty=empty,
        worst=worst,
        exact=np.array_equal(measured.outputs, reference.run_layers(model, inputs)[-1]),
        program=program,
        foretold=foretold,
    )


def _gap(measured: Int64Array, told: Int64Array) -> float:
    total = told.sum(axis=1)
    return float(np.max(np.abs(measured - total) / total))


def _methods(program: KernelProgram | None) -> str:
    if program is None:
        return "compiled"
    names = [row.method for layer in program.layers for row in layer.rows]
    return ", ".join(sorted(dict.fromkeys(names), key=lambda name: -names.count(name)))
