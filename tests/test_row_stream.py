"""Rows with two requests under way: in order, and right whatever the line loses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import numpy as np
import pytest
from device_stand_in import DeviceStandIn, Fault
from random_models import random_model

from miniml.errors import LinkError, SilentBoardError
from miniml.hil.board_log import BoardLog
from miniml.hil.link.line_port import LinePort
from miniml.hil.link.row_stream import run_rows
from miniml.hil.link.session import Session
from miniml.reference import run_layers

# Three lines a row; the last layer is read in two pieces.
MODEL = random_model(np.random.default_rng(3), widths=(70, 5, 30))
INPUTS = np.random.default_rng(4).integers(-128, 128, (6, 70)).astype(np.int8)
EXPECTED = [row.tobytes() for row in run_layers(MODEL, INPUTS)[-1]]
ROWS = [row.tobytes() for row in INPUTS]


class Wire:
    """A stand-in device with MODEL, and a session with it after HELLO."""

    def __init__(self, stack: ExitStack, fault: Fault, patience: float = 10.0) -> None:
        self.board = stack.enter_context(closing(DeviceStandIn(MODEL, fault=fault)))
        port = stack.enter_context(closing(LinePort(self.board.port, 115200)))
        # Without haste: on a loaded machine HELLO would be sent twice.
        Session(port, BoardLog("bench"), patience=10.0).hello()
        self.session = Session(port, BoardLog("bench"), patience=patience)

    def outputs(self) -> Iterator[bytes]:
        return run_rows(self.session, ROWS, 2, 30, timeout_s=1.0)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_each_row_is_asked_for_once(stack: ExitStack) -> None:
    wire = Wire(stack, lambda number, line: line)
    assert list(wire.outputs()) == EXPECTED
    assert wire.session.retries == 0
    assert wire.board.executed[1:] == ["PUT", "PUT", "ROW", "READ"] * len(ROWS)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda line: b"",
        lambda line: line[:9] + b"\n",
        lambda line: line[:-3],
        lambda line: line.replace(b"OK", b"OJ"),
        lambda line: line + line,
        lambda line: b"!FF ERR CRC*127B\n",
        lambda line: b"21.5 C\n" + line,
    ],
    ids=["lost", "cut", "no end", "spoilt", "doubled", "damaged request", "log text"],
)
@pytest.mark.parametrize("every", [5, 8])
def test_a_bad_answer_costs_no_row(
    stack: ExitStack, spoil: Callable[[bytes], bytes], every: int
) -> None:
    # What is lost is waited for in vain, so not for long.
    wire = Wire(stack, lambda number, line: spoil(line) if number % every == 1 else line, 0.3)
    assert list(wire.outputs()) == EXPECTED


def test_silence_and_a_reset_midway_are_named(stack: ExitStack) -> None:
    wire = Wire(stack, lambda number, line: line if number < 20 else b"", 0.3)
    found: list[bytes] = []
    with pytest.raises(SilentBoardError, match="no answer to PUT"):
        found.extend(wire.outputs())
    wire = Wire(stack, lambda number, line: line)
    outputs = wire.outputs()
    assert next(outputs) == EXPECTED[0]
    wire.board.reset()
    with pytest.raises(LinkError, match="reset midway"):
        list(outputs)
