"""The device's side of docs/PROTOCOL.md, compiled for this machine."""

from __future__ import annotations

import binascii
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from link_program import BUILD_ID, CLOCK_HZ, answers, link_model, link_program, request

from miniml import reference
from miniml.hil.link.codec import pack

HELLO = request(0, "HELLO 0BADCAFE")
WIDTHS = (30, 25, 3, 10)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return link_program(tmp_path_factory.mktemp("link"))


def ask(program: Path, *texts: str) -> list[str]:
    """The answers to requests after HELLO, without their sequence numbers."""
    lines = [request(number, text) for number, text in enumerate(texts, start=1)]
    found = answers(program, [HELLO, *lines])[1:]
    for number, answer in enumerate(found, start=1):
        assert answer == "reset" or answer.startswith(f"{number:02X} ")
    return [answer[3:] if answer != "reset" else answer for answer in found]


def packed(values: bytes | np.ndarray) -> str:
    return pack(bytes(values))


def hexed(values: bytes | np.ndarray) -> str:
    return bytes(values).hex().upper()


def test_hello_tells_version_nonce_and_ids(program: Path) -> None:
    model_id = link_model().model_id
    expected = f"00 OK 2 0BADCAFE {model_id[:16]} {BUILD_ID[:16]}"
    assert answers(program, [HELLO]) == [expected]


def test_everything_but_hello_needs_hello(program: Path) -> None:
    verbs = ["INFO BOARD", "PUT 0000 @A", "RUN 00", "READ 00 0000 01", "TIME 1", "ECHO X", "RESET"]
    found = answers(program, [request(n, verb) for n, verb in enumerate(verbs)])
    assert found == [f"{n:02X} ERR HELLO" for n in range(len(verbs))]


def test_info(program: Path) -> None:
    found = ask(program, "INFO BOARD", "INFO SHAPE", "INFO LAYER 01", "INFO LAYER 03", "INFO SIZE")
    expected = [f"UNO {CLOCK_HZ:08X}", "001E 000A 03 01", "0019", "000A", "0123 FFFE"]
    assert found == [f"OK {text}" for text in expected]
    (tool,) = ask(program, "INFO TOOL")
    assert re.fullmatch(r"OK \d+\.[\w.() -]+", tool)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_run_and_read_give_the_reference_s_bytes(program: Path, layers: int) -> None:
    model = link_model()
    inputs = np.random.default_rng(6).integers(-128, 128, (1, 30)).astype(np.int8)
    expected = reference.run_layers(model, inputs)[layers - 1][0]
    width = WIDTHS[layers]
    load = [f"PUT 0000 {packed(inputs[0, :13])}", f"PUT 000D {packed(inputs[0, 13:])}"]
    reads = [(offset, min(22, width - offset)) for offset in range(0, width, 22)]
    found = ask(
        program,
        *load,
        f"RUN {layers % 3:02X}",
        *(f"READ {layers:02X} {offset:04X} {n:02X}" for offset, n in reads),
        "READ 00 0008 16",
    )
    assert found[2] == f"OK {hexed(expected[:22])}"
    assert "".join(answer[3:] for answer in found[3:-1]) == hexed(expected)
    # PUT stores -128 as it is; only the run saturates it.
    assert found[-1] == f"OK {hexed(inputs[0, 8:30])}"


def test_floats_are_quantized_by_the_model(program: Path) -> None:
    model = link_model()
    features = np.random.default_rng(7).normal(0, 3, (1, 30)).astype(np.float32)
    features[0, :4] = [np.nan, np.inf, -np.inf, 1e-45]
    lines = [
        f"FLOAT {at:04X} {packed(features[0, at : at + 5].tobytes())}" for at in range(0, 30, 5)
    ]
    found = ask(program, *lines, "READ 00 0000 16", "READ 00 0016 08")
    expected = hexed(reference.quantize_inputs(model, features)[0])
    assert found[:6] == ["OK"] * 6
    assert found[6][3:] + found[7][3:] == expected


def test_time_and_echo(program: Path) -> None:
    text = "A b*c ~!" + "x" * 39
    found = ask(program, "TIME 1", "TIME 0", f"ECHO {text}", "ECHO ", "READ 03 0000 01")
    assert found == ["OK 00010001", "OK 00020002", f"OK {text}", "OK ", "ERR STATE"]


@pytest.mark.parametrize("verb", ["ECHO", "HELLO"])
@pytest.mark.parametrize("end", ["\x1b[2J", "\x7f", "\x9b"])
def test_what_could_drive_a_terminal_is_not_echoed(program: Path, verb: str, end: str) -> None:
    body = f"01 {verb} AB{end}CD".encode("latin-1")
    line = b"?%s*%04X\n" % (body, binascii.crc_hqx(body, 0))
    (found,) = answers(program, [HELLO, line])[1:]
    assert found.startswith({"ECHO": "01 OK AB", "HELLO": "01 OK 2 AB "}[verb])
    assert found.isprintable()


def test_reset_comes_after_its_answer(program: Path) -> None:
    assert ask(program, "RESET") == ["OK", "reset"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("HELLO", "ARGS"),
        ("HELLOX", "VERB"),
        ("hello 0BADCAFE", "VERB"),
        ("", "VERB"),
        (" RUN 00", "VERB"),
        ("INFO", "VERB"),
        ("INFO CLOCK", "VERB"),
        ("INFO BOARD X", "ARGS"),
        ("INFO LAYER", "ARGS"),
        ("INFO LAYER 1", "ARGS"),
        ("INFO LAYER 00", "RANGE"),
        ("INFO LAYER 04", "RANGE"),
        ("PUT 0000", "ARGS"),
        ("PUT 0000 ", "ARGS"),
        ("PUT 0000 @", "ARGS"),
        ("PUT 000 @@", "ARGS"),
        ("PUT 000G @@", "ARGS"),
        ("PUT 000: @@", "ARGS"),
        ("PUT 001E @@", "RANGE"),
        ("PUT 001D @@@", "RANGE"),
        ("PUT FFFF @@", "RANGE"),
        ("ROW 0000", "ARGS"),
        ("ROW 001D @@@", "RANGE"),
        ("FLOAT 0000 @@@@", "ARGS"),
        ("FLOAT 001D @@@@@@@@@@@", "RANGE"),
        ("FLOAT FFFF @@@@@@", "RANGE"),
        ("RUN", "ARGS"),
        ("RUN 0", "ARGS"),
        ("RUN 000", "ARGS"),
        ("RUN 04", "RANGE"),
        ("RUN FF", "RANGE"),
        ("READ 00 0000", "ARGS"),
        ("READ 00 0000 00", "RANGE"),
        ("READ 00 0000 17", "RANGE"),
        ("READ 00 001E 01", "RANGE"),
        ("READ 00 001D 02", "RANGE"),
        ("READ 00 FFFF 01", "RANGE"),
        ("READ 01 0000 01", "STATE"),
        ("READ FF 0000 01", "STATE"),
        ("TIME", "ARGS"),
        ("TIME 2", "ARGS"),
        ("TIME 01", "ARGS"),
        ("ECHO", "ARGS"),
        ("RESET 1", "ARGS"),
    ],
)
def test_malformed_requests_are_named(program: Path, text: str, error: str) -> None:
    assert ask(program, text) == [f"ERR {error}"]


def test_a_refused_put_stores_nothing(program: Path) -> None:
    refused = [f"PUT 001C {packed(b'123')}", f"FLOAT 0000 {packed(b'12345')}"]
    found = ask(program, f"PUT 0000 {packed(b'0000')}", *refused, "READ 00 0000 04")
    assert found == ["OK", "ERR RANGE", "ERR ARGS", "OK 30303030"]


def test_put_ends_what_can_be_read_of_a_run(program: Path) -> None:
    found = ask(program, "RUN 02", "READ 02 0000 03", "READ 01 0000 03", "PUT 0000 @@")
    assert found[1] == found[0]
    assert found[2:] == ["ERR STATE", "OK"]
    assert ask(program, "RUN 02", "PUT 0000 @@", "READ 02 0000 03")[-1] == "ERR STATE"


def test_row_puts_and_runs(program: Path) -> None:
    inputs = np.random.default_rng(8).integers(-128, 128, (1, 30)).astype(np.int8)
    lines = [f"PUT 0000 {packed(inputs[0, :20])}", f"ROW 0014 {packed(inputs[0, 20:])}"]
    expected = hexed(reference.run_layers(link_model(), inputs)[-1][0])
    found = ask(program, *lines, "READ 03 0000 0A", "ROW 001D @@@", "READ 03 0000 0A")
    # A row that is refused doesn't run.
    assert found == ["OK", f"OK {expected}", f"OK {expected}", "ERR RANGE", f"OK {expected}"]


def test_lines_that_are_no_request(program: Path) -> None:
    def one(line: bytes) -> list[str]:
        return answers(program, [HELLO, line])[1:]

    good = request(1, "ECHO X")
    assert one(good[:-3] + b"00\n") == ["FF ERR CRC"]
    assert one(b"?01 ECHO X\n") == ["FF ERR CRC"]
    assert one(b"?\n") == ["FF ERR CRC"]
    assert one(b"?*----\n") == ["FF ERR CRC"]
    assert one(b"?01 ECHO X*----\n") == ["01 OK X"]
    assert one(request(0xFF, "ECHO X")) == ["FF ERR CRC"]
    assert one(b"?1 ECHO X*----\n") == ["FF ERR CRC"]
    assert one(b"?" + b"x" * 60 + b"\n") == ["FF ERR CRC"]
    assert one(b"?" + b"x" * 61 + b"\n") == ["FF ERR LONG"]
    assert one(b"?" + b"x" * 600 + b"\n") == ["FF ERR LONG"]
    assert one(b"garbage\n\n\r\n") == []
    assert one(b"?01 RU" + request(1, "ECHO X")) == ["01 OK X"]
    assert one(b"noise" + good[:-1] + b"\r\n") == ["01 OK X"]
    # What follows an answer is not taken for more of the request.
    assert one(good[:-3] + b"00\nxyz\n*----\n") == ["FF ERR CRC"]


def test_a_retry_gets_the_stored_answer(program: Path) -> None:
    time = request(1, "TIME 1")
    damaged = time[:-2] + b"G\n"
    overlong = b"?" + b"x" * 70 + b"\n"
    found = answers(program, [HELLO, time, time, damaged, overlong, time, request(2, "TIME 1")])
    first = "01 OK 00010001"
    expected = [first, first, "FF ERR CRC", "FF ERR LONG", first, "02 OK 00010002"]
    assert found[1:] == expected
    # A typed line is executed every time, and so is a sequence number that comes round again.
    typed = b"?01 TIME 1*----\n"
    found = answers(program, [HELLO, typed, typed, request(1, "TIME 0"), time])
    assert found[1:] == [first, "01 OK 00010002", "01 OK 00020003", "01 OK 00010004"]


VERBS = st.sampled_from(
    ["HELLO ", "INFO ", "INFO LAYER ", "PUT ", "ROW ", "FLOAT ", "RUN ", "READ ", "TIME ", "ECHO "]
)
FIELDS = st.lists(st.text("0123456789ABCDEFG ", min_size=0, max_size=44), max_size=4)
NEAR_REQUESTS = st.builds(
    lambda number, verb, fields: request(number, verb + " ".join(fields)),
    st.integers(0, 255),
    VERBS,
    FIELDS,
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.binary(max_size=80) | NEAR_REQUESTS, max_size=60))
def test_no_bytes_break_it(program: Path, lines: list[bytes]) -> None:
    # The sanitizers end the program at the first access outside of a buffer.
    found = answers(program, [HELLO, *lines, b"\n", request(0x5A, "ECHO alive")])
    assert found[0].startswith("00 OK 2 ")
    assert found[-1] == "5A OK alive"
