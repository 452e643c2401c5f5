"""A simulated board behind a bad line, and boards with other programs: named errors, no pass."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from faulty_line import Fault, FaultyLine
from hil_bench import Bench, make_bench, powered, spoil_weights
from sim_avr_program import compile_avr

from miniml.hil.link.codec import crc16
from miniml.hil.proof.verdict import BoardResult

# Of the time-outs: four seconds for HELLO, one for each of four attempts.
HASTY = 0.5
FOREIGN = """
#include <avr/io.h>
#include <util/delay.h>
int main(void) {
  UBRR0 = 16;
  UCSR0A = _BV(U2X0);
  UCSR0B = _BV(TXEN0);
  for (;;) {
    for (const char *c = "temperature 21.5\\r\\n"; *c; ++c) {
      while (!(UCSR0A & _BV(UDRE0))) {
      }
      UDR0 = *c;
    }
    _delay_ms(20);
  }
}
"""


@pytest.fixture
def bench(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Bench:
    return make_bench(tmp_path, tmp_path_factory, monkeypatch)


@pytest.fixture
def line(bench: Bench) -> Iterator[FaultyLine]:
    """A line without faults so far, to the powered Uno, whose bootloader is done."""
    with running_line(bench) as line:
        yield line


@contextmanager
def running_line(bench: Bench) -> Iterator[FaultyLine]:
    with powered(bench, "uno") as uno:
        port = uno.port()
        assert port is not None
        with closing(FaultyLine(port)) as line:
            deadline = time.monotonic() + 60
            while (state := uno.control("status"))["resets"] == 0 or state["bootloader"]:
                assert time.monotonic() < deadline, state
                time.sleep(0.02)
            yield line


def assert_error(result: BoardResult, name: str, words: str) -> None:
    assert (result.error, result.verdict, result.exit_code) == (name, "ERROR", 4), result.reasons
    assert words in result.reasons[0]
    assert "\n" not in result.reasons[0]


def test_a_line_that_loses_and_spoils_answers_changes_no_result(
    bench: Bench, line: FaultyLine
) -> None:
    def rough(number: int, text: bytes) -> bytes:
        spoiled = {
            0: b"",
            2: text[:9] + b"\n",
            4: b"\x00\xff\x1b[2J" + text,
            6: text[:-7] + bytes([text[-7] ^ 1]) + text[-6:],
        }
        return spoiled.get(number % 9, text)

    line.fault = rough
    result = bench.start(bench.options(port=line.port, patience=0.5))
    assert (result.verdict, result.reasons) == ("PASS", [])
    assert result.retries > 3
    assert result.samples == 4


def test_a_wrong_byte_with_the_right_crc_is_flaky_once(bench: Bench, line: FaultyLine) -> None:
    long_answers = 0

    def wrong_once(number: int, text: bytes) -> bytes:
        nonlocal long_answers
        if len(text) < 50 or number < 6:  # RUN and READ of whole lines
            return text
        long_answers += 1
        if long_answers != 3:
            return text
        body = text[1:-7] + (b"0" if text[-7:-6] != b"0" else b"1")
        return b"!%s*%04X\n" % (body, crc16(body))

    line.fault = wrong_once
    result = bench.start(bench.options(port=line.port))
    assert (result.verdict, result.exit_code, result.mismatches) == ("FLAKY", 1, 0)
    assert (
        "1 of 4 rows differed once and were right when run again; first: test row"
        in (result.reasons[0])
    )


@pytest.mark.parametrize(
    ("fault", "name", "words"),
    [
        (lambda number, text: b"", "SilentBoardError", "no answer to HELLO"),
        (lambda number, text: b"\xfe" * 30, "LinkError", "no answer to HELLO"),
        (lambda number, text: b"\xfe\n" * 200, "LinkError", "no answer to HELLO"),
        (lambda number, text: text[:15], "LinkError", "a cut line"),
        (lambda number, text: text if number < 9 else b"", "SilentBoardError", "no answer to"),
        (lambda number, text: text if number < 9 else text[:7] + b"\n", "LinkError", "a cut line"),
        (lambda number, text: text if number < 9 else b"#\xa5?!" * 40, "LinkError", "no answer to"),
    ],
    ids=["silent", "noise", "lines", "cut", "silent midway", "cut midway", "noise midway"],
)
def test_a_bad_line_is_named(
    bench: Bench, line: FaultyLine, fault: Fault, name: str, words: str
) -> None:
    line.fault = fault
    result = bench.start(bench.options(port=line.port, patience=HASTY))
    assert_error(result, name, words)


def test_a_port_that_vanishes_midway(bench: Bench) -> None:
    with running_line(bench) as line:

        def unplug(number: int, text: bytes) -> bytes:
            if number == 30:
                line.unplug()
            return text

        line.fault = unplug
        result = bench.start(bench.options(port=line.port))
    assert_error(result, "PortError", "vanished: check the cable and run again")
    assert bench.start(bench.options()).verdict == "PASS"


def test_a_foreign_program_is_named_and_no_pass(bench: Bench, tmp_path: Path) -> None:
    elf = compile_avr(FOREIGN, tmp_path / "foreign.elf", ["-DF_CPU=16000000UL"])
    program = tmp_path / "foreign.bin"
    subprocess.run(["avr-objcopy", "-O", "binary", str(elf), str(program)], check=True)
    image = bench.state("uno") / "flash.bin"
    image.write_bytes(program.read_bytes() + image.read_bytes()[program.stat().st_size :])
    with running_line(bench) as line:
        result = bench.start(bench.options(port=line.port, patience=HASTY))
    assert_error(result, "LinkError", "a foreign program")


def test_wrong_weights_on_the_board_is_a_failure(bench: Bench) -> None:
    layer = spoil_weights(bench)
    result = bench.start(bench.options())
    assert (result.verdict, result.exit_code, result.error) == ("FAIL", 1, "")
    assert result.mismatches > 0
    assert f"layer {layer}, value " in result.reasons[0]
