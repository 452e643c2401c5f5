"""`miniml bench guide`: the quantization guide's performance table, measured."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from miniml.bench.guide_contestants import GuideContestant, contestants, header_of
from miniml.boards import Board
from miniml.cost.benchmark import TARGETS
from miniml.cost.benchmark_modes import ModeMeasurement, measure_mode
from miniml.errors import BudgetError, UsageError
from miniml.float_net import DeviceModel, FloatNet
from miniml.hil.proof.device_rows import Values, differing, expected_layers, score
from miniml.pipeline import Prepared
from miniml.reference import quantize_inputs

BOARDS = ("uno", "stm32f4", "pico")
# The guide's table: lowest and highest value that a promise allows; None: no bound.
SPEED: Mapping[str, tuple[float, float]] = {
    "Per-Layer (int8)": (2.0, 3.0),
    "CMSIS-NN": (5.0, 10.0),
    "AVR Hybrid": (1.5, 2.0),
}
# "~25%", read as: nearer to a quarter than to a third.
SIZE_PERCENT = 29.2
# The upper end of "0.5-2%".
LOSS_POINTS = 2.0


@dataclass(frozen=True)
class GuideRow:
    """One mode of one model on one board.

    Attributes:
        model, board, mode, quantization, kernels: what ran where.
        column: of the guide's table; empty where the guide has none.
        size: bytes of weights, biases, scales and tables (generated kernels: of all their code).
        size_percent: of float32's.
        cycles: of one inference, the median over the rows that ran.
        speed: float32's cycles / cycles.
        accuracy: over the test rows, in percent (regression: None).
        loss: accuracy lost against float32, in points; below 0 it gained. Regression: RMSE above
            float32's, in percent of the target's standard deviation.
        ram: bytes of static SRAM and of stack.
        flash: bytes of code and constants, the compiler's float routines among them.
        exact: every byte of every layer is the reference's.
        promises: "met" or "not met" by promise of the guide: size, speed, loss, ram, flash.
        note: why there are no figures.
    """

    model: str
    board: str
    mode: str
    quantization: str
    kernels: str
    column: str
    size: int | None = None
    size_percent: float | None = None
    cycles: int | None = None
    speed: float | None = None
    accuracy: float | None = None
    loss: float | None = None
    ram: int | None = None
    flash: int | None = None
    exact: bool | None = None
    promises: Mapping[str, str] = dataclasses.field(default_factory=dict)
    note: str = ""


def bench_guide(
    prepared: Prepared,
    boards: Sequence[Board],
    rows: int = 5,
    say: Callable[[str], None] = lambda line: None,
) -> Iterator[GuideRow]:
    """Every mode on every board.

    Args:
        prepared: a trained model.
        boards: of boards.ini; the simulated core of each runs.
        rows: test rows to run; accuracy is the reference's over all of them.
        say: gets a line before each row.
    """
    for board in boards:
        baseline: GuideRow | None = None
        for contestant in contestants(board.core):
            say(f"{board.name} {contestant.mode} {contestant.quantization}")
            row = bench_one(prepared, contestant, board, rows)
            baseline = baseline or row
            yield compared(row, baseline)


def bench_one(
    prepared: Prepared, contestant: GuideContestant, board: Board, count: int
) -> GuideRow:
    """One way on one board, not compared yet; a row where it can't run says why."""
    name = prepared.model.name
    row = GuideRow(model=name, board=board.name, **dataclasses.asdict(contestant))
    try:
        header, net, size = header_of(prepared, contestant, board)
        inputs = _rows(prepared, net)
        with tempfile.TemporaryDirectory() as folder:
            # The first run of CMSIS-NN tests the library: it is none of the figures.
            again = np.concatenate([inputs[:1], inputs[:count]])
            found = measure_mode(TARGETS[board.core], header, again, Path(folder))
    except (BudgetError, UsageError) as error:
        return dataclasses.replace(row, note=str(error))
    accuracy, loss = _quality(prepared, net, inputs)
    return dataclasses.replace(
        row,
        size=size,
        cycles=round(float(np.median(found.cycles[1:]))),
        accuracy=accuracy,
        loss=loss,
        ram=found.sram + found.stack,
        flash=found.flash,
        exact=_exact(found, net, again),
    )


def _rows(prepared: Prepared, net: DeviceModel) -> Values:
    """The test rows as this net takes them; it may have scales of its own."""
    features = prepared.test_vectors().features
    return features if isinstance(net, FloatNet) else quantize_inputs(net, features)


def _quality(
    prepared: Prepared, net: DeviceModel, inputs: Values
) -> tuple[float | None, float | None]:
    """Accuracy in percent, and RMSE in percent of the target's deviation; one is None."""
    labels = prepared.test_vectors().labels
    accuracy, rmse = score(net, expected_layers(net, inputs)[-1], labels)
    if accuracy is not None:
        return 100 * accuracy, None
    assert rmse is not None
    return None, 100 * rmse / float(np.std(labels))


def _exact(found: ModeMeasurement, net: DeviceModel, inputs: Values) -> bool:
    layers = zip(expected_layers(net, inputs), found.outputs, strict=True)
    return all(not differing(a.ravel(), b.ravel()).size for a, b in layers)


def compared(row: GuideRow, base: GuideRow) -> GuideRow:
    """The row with what it is against float32, and which promises that meets."""
    if row.cycles is None or base.cycles is None:
        return row
    assert row.size is not None
    assert base.size is not None
    assert row.ram is not None
    assert base.ram is not None
    assert row.flash is not None
    assert base.flash is not None
    percent, speed = 100 * row.size / base.size, base.cycles / row.cycles
    loss = None
    if row.accuracy is not None and base.accuracy is not None:
        loss = base.accuracy - row.accuracy
    elif row.loss is not None and base.loss is not None:
        loss = row.loss - base.loss
    promises = {}
    if row.column in SPEED:
        promises = {
            "size": percent <= SIZE_PERCENT,
            "speed": speed >= SPEED[row.column][0],
            "loss": loss is not None and loss <= LOSS_POINTS,
            "ram": row.ram <= base.ram,
            "flash": row.flash <= base.flash,
        }
    return dataclasses.replace(
        row,
        size_percent=round(percent, 1),
        speed=round(speed, 2),
        accuracy=None if row.accuracy is None else round(row.accuracy, 2),
        loss=None if loss is None else round(loss, 2),
        promises={name: "met" if met else "not met" for name, met in promises.items()},
    )
