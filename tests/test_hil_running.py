"""Flaky rows, repeats, soaks, progress and the log, on a stand-in for a board."""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from device_stand_in import DeviceStandIn, Fault
from random_models import random_model

from miniml.boards import load_boards
from miniml.cost import Cost
from miniml.errors import PortError
from miniml.hil import board_log
from miniml.hil.board_log import BoardLog
from miniml.hil.duration import seconds
from miniml.hil.link.codec import crc16
from miniml.hil.link.line_port import LinePort
from miniml.hil.link.session import Session
from miniml.hil.progress import ProgressLines
from miniml.hil.proof.comparison import Comparison
from miniml.hil.proof.endurance import Endurance, endure
from miniml.hil.proof.exercise import Cycles, Exercise
from miniml.hil.proof.verdict import BoardResult, judge
from miniml.hil.report import table, write_reports
from miniml.hil.report.content import content
from miniml.hil.report.junit import junit

BOARD = load_boards(Path(__file__).parent.parent)["uno"]
MODEL = random_model(np.random.default_rng(3), widths=(6, 5, 4))
ROWS = np.random.default_rng(4).integers(-127, 128, (5, 6)).astype(np.int8)


def quiet(suite: str, done: int, total: int) -> None:
    """No progress."""


@contextmanager
def exercise(
    fault: Fault = lambda number, line: line, log: BoardLog | None = None
) -> Iterator[tuple[DeviceStandIn, Exercise]]:
    """A stand-in that computes MODEL, and an exercise of it that has said HELLO."""
    log = log or BoardLog("bench")
    with (
        closing(DeviceStandIn(MODEL, fault=fault)) as board,
        closing(LinePort(board.port, 115200, trace=log.traffic)) as port,
    ):
        session = Session(port, log, patience=10)
        session.hello()
        yield board, Exercise(session, MODEL, 1.0, quiet)


def spoiled(line: bytes) -> bytes:
    """An answer with another last digit and the CRC that belongs to it: no line fault."""
    body = line[1:-6]
    body = body[:-1] + (b"0" if body[-1:] != b"0" else b"1")
    return b"!%s*%04X\n" % (body, crc16(body))


def spoil_runs(*numbers: int) -> Fault:
    """Spoils the answers to some of the RUNs, counted from 0."""
    seen = iter(range(10**6))

    def fault(number: int, line: bytes) -> bytes:
        # Neither HELLO's answer, nor LOAD's, nor the stand-in's 1,000 cycles.
        is_run = number and len(line) > 15 and b" 000003E8*" not in line
        return spoiled(line) if is_run and next(seen) in numbers else line

    return fault


def judged(*comparisons: Comparison) -> BoardResult:
    result = BoardResult("uno", "Uno", simulated=True)
    result.comparisons += comparisons
    judge(result, BOARD)
    return result


def test_a_difference_that_does_not_repeat_is_flaky(tmp_path: Path) -> None:
    # Two layers a row: the fourth RUN is the last layer of row 1.
    with exercise(spoil_runs(3)) as (_, doing):
        comparison = doing.run_rows("test", ROWS)
    assert (comparison.rows, comparison.mismatches, comparison.flaky) == (5, 0, 1)
    assert comparison.first is None
    assert str(comparison.first_flaky).startswith("test row 1, layer 2, value 3: expected")
    result = judged(comparison)
    assert (result.verdict, result.exit_code) == ("FLAKY", 1)
    assert "1 of 5 rows differed once and were right when run again" in result.reasons[0]
    report = content(None, [result])
    assert report["exit_code"] == 1
    assert "FLAKY" in table(report)
    suite = ElementTree.fromstring(junit(report))[0]
    kinds = [failure.get("type") for failure in suite.iter("failure")]
    assert (suite.get("failures"), kinds) == ("2", ["flaky", "flaky"])
    assert "0 of 1 boards pass" in write_reports(tmp_path, report).read_text()


def test_a_difference_that_repeats_is_a_failure_and_kept_whole() -> None:
    with exercise(spoil_runs(3, 5)) as (_, doing):
        comparison = doing.run_rows("test", ROWS)
    assert (comparison.mismatches, comparison.output_mismatches, comparison.flaky) == (1, 1, 0)
    assert judged(comparison).verdict == "FAIL"
    wrong = comparison.wrong
    assert wrong is not None
    assert (wrong.row, wrong.first_layer, len(wrong.expected)) == (1, 1, 2)
    assert np.array_equal(wrong.inputs, ROWS[1])
    assert np.array_equal(wrong.expected[0], wrong.found[0])


def again(
    fault: Fault, passes: int = 1, soak_s: float = 0.0, drift: Callable[[int], int] = lambda n: 1000
) -> BoardResult:
    """Rows run once, then again, on a device whose answers to TIME are `drift` of their number."""
    with exercise(fault) as (board, doing):
        cycles = Cycles()
        first = doing.run_rows("test", ROWS, cycles)
        times = iter(range(10**6))
        board.count = lambda: drift(next(times))
        more, endurance = Comparison("again"), Endurance()
        endure(
            *(more, endurance, doing, MODEL, ROWS, cycles.masked, quiet),
            passes=passes,
            seconds=soak_s,
        )
    foretold = Cost(0, 0, None, 1000, None, None, np.full(5, 1000), (), None, None)
    result = BoardResult("uno", "Uno", simulated=True, cost=foretold, cycles=cycles)
    result.endurance = endurance
    result.comparisons += [first, more]
    result.worst_cycle_error = 0.0
    judge(result, BOARD)
    return result


def test_repeat_runs_the_rows_so_often() -> None:
    result = again(lambda number, line: line, passes=3)
    assert result.verdict == "PASS"
    assert result.endurance is not None
    assert (result.endurance.passes, result.comparisons[1].rows) == (3, 10)
    assert result.endurance.inferences == 3 * 5 * 2
    assert result.endurance.worst_change == 0
    assert result.samples == 5
    assert "ran the rows 3 times, 30 inferences" in table(content(None, [result]))


def test_a_soak_ends_in_time_and_at_a_repeated_difference() -> None:
    begin = time.monotonic()
    result = again(lambda number, line: line, soak_s=0.3)
    assert 0.3 <= time.monotonic() - begin < 60
    assert result.verdict == "PASS"
    assert result.endurance is not None
    assert result.comparisons[1].rows > 0
    assert result.endurance.seconds >= 0.3
    # 10 RUNs in the first round; then one a row, all layers of a row that differs.
    result = again(spoil_runs(22, 24), soak_s=30)
    assert result.verdict == "FAIL"
    assert result.endurance is not None
    assert result.endurance.stopped == "a difference repeated"
    result = again(spoil_runs(22), passes=4)
    assert (result.verdict, result.comparisons[1].flaky) == ("FLAKY", 1)


def test_a_soak_that_the_board_ends_tells_how_far_it_came() -> None:
    more, endurance = Comparison("again"), Endurance()
    with exercise() as (board, doing):

        def tire() -> int:
            board.close()
            return 1000

        times = iter([lambda: 1000] * 12)
        board.count = lambda: next(times, tire)()
        with pytest.raises(PortError):
            endure(more, endurance, doing, MODEL, ROWS, [1000] * 5, quiet, passes=99, seconds=0)
    assert (more.rows, endurance.passes) == (13, 3)
    assert endurance.inferences > 30


def test_cycles_that_change_from_run_to_run() -> None:
    flaky = again(lambda n, line: line, passes=3, drift=lambda n: 1000 + (n == 4))
    assert flaky.verdict == "FLAKY"
    assert "1 cycle counts were off once" in flaky.reasons[0]
    steady = again(lambda n, line: line, passes=3, drift=lambda n: 1000 + 90 * (n >= 6))
    assert steady.verdict == "FAIL"
    assert "test row 1: 1,000 cycles, then 1,090" in steady.reasons[0]


def test_a_cycle_count_that_is_off_once_is_flaky() -> None:
    with exercise() as (board, doing):
        cycles = Cycles(masked=[1000, 1250, 1000, 1300, 1000])
        doing.measure_again(ROWS, cycles, np.full(5, 1000), 0.01)
        assert (cycles.masked, cycles.flaky) == ([1000] * 5, 2)
        board.count = lambda: 1100
        cycles = Cycles(masked=[1000, 1000, 1000, 1100, 1000])
        doing.measure_again(ROWS, cycles, np.full(5, 1000), 0.01)
        assert (cycles.masked[3], cycles.flaky) == (1100, 0)
    result = BoardResult("uno", "Uno", simulated=True, cycles=Cycles(masked=[1000], flaky=1))
    result.comparisons.append(Comparison("test", rows=1))
    judge(result, BOARD)
    assert (result.verdict, result.reasons) == (
        "FLAKY",
        ["1 cycle counts were off once and right when measured again"],
    )


def test_raw_traffic_is_in_the_board_s_log(tmp_path: Path) -> None:
    file = tmp_path / "log" / "bench.log"
    log = BoardLog("bench", file)

    def noisy(number: int, line: bytes) -> bytes:
        return b"\x1b[2Jhello\n" + line if number == 1 else line

    with exercise(noisy, log) as (_, doing):
        doing.run_rows("test", ROWS[:1])
    log.close()
    lines = file.read_text(encoding="utf-8").splitlines()
    assert lines[0].split(maxsplit=1)[1].startswith(r"-> ?01 HELLO ")
    assert r"<- !01 OK " in lines[1]
    assert any(line.endswith(r"<- \x1b[2Jhello\x0a") for line in lines)
    stamps = [float(line.split()[0]) for line in lines]
    assert stamps == sorted(stamps)
    assert 0 <= stamps[0] <= stamps[-1] < 60
    assert any("board: " in line for line in log.tail())


def test_the_log_keeps_its_beginning_and_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("MAX_FILE_BYTES", 20_000), ("KEPT_FIRST_BYTES", 10_000)):
        monkeypatch.setattr(board_log, name, value)
    monkeypatch.setattr(board_log, "KEPT_NEWEST_LINES", 20)
    log = BoardLog("bench", tmp_path / "bench.log")
    for number in range(3000):
        log.traffic("->", f"line {number}")
    log.close()
    content = (tmp_path / "bench.log").read_text()
    assert len(content) <= 22_000
    assert "-> line 0\n" in content
    assert content.endswith("-> line 2999\n")
    assert content.count("lines are left out here") == 1
    assert len(log.tail()) == board_log.TAIL_TRAFFIC_LINES


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_a_line_a_board_on_a_terminal() -> None:
    terminal = Terminal()
    progress = ProgressLines(["uno", "pico"], terminal)
    progress.of("uno")("test", 10, 10)
    progress.of("pico")("test", 2000, 2000)
    assert terminal.getvalue().endswith(
        "\x1b[1A\r\x1b[Kuno test 10/10\n\r\x1b[Kpico test 2,000/2,000\n"
    )
    progress.end()
    assert terminal.getvalue().endswith("\x1b[2A\x1b[J")


def test_progress_in_a_log_is_a_few_plain_lines() -> None:
    log = io.StringIO()
    show = ProgressLines(["uno"], log).of("uno")
    for done in range(1001):
        show("random", done, 1000)
    for done in range(28_801):
        show("soak seconds", done, 28_800)
    lines = log.getvalue().splitlines()
    assert lines[:4] == [f"uno random {n}/1,000" for n in ("250", "500", "750", "1,000")]
    assert len(lines) == 4 + 20
    assert "\x1b" not in log.getvalue()


def test_durations() -> None:
    assert [seconds(text) for text in ("90s", "30m", "8h", "1.5h", "7", "2D")] == [
        *(90, 1800, 28800, 5400, 7, 172800)
    ]
    for text in ("", "8 hours", "-5s", "0s", "1e9", "inf", "999999999d"):
        with pytest.raises(argparse.ArgumentTypeError, match="no duration"):
            seconds(text)
