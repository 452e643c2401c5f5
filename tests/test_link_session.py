"""A session against a stand-in device: what goes wrong on a line ends in its own error, in time."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Protocol

import pytest
from device_stand_in import BUILD_ID, MODEL_ID, DeviceStandIn, Fault

from miniml.boards import load_boards
from miniml.errors import LinkError, PortError, SilentBoardError, WrongBoardError
from miniml.hil.board_log import BoardLog
from miniml.hil.link.line_port import LinePort
from miniml.hil.link.session import ATTEMPTS, Session
from miniml.hil.proof.identity import check_board, who_is_there

# What every time-out is stretched by: where all is answered, nobody waits for the end of one, and a
# loaded machine must not reach it; where it is reached, eight seconds for HELLO become less.
PATIENT, HASTY = 10.0, 0.05


class Connect(Protocol):
    def __call__(
        self, fault: Fault = ..., *, patience: float = ..., version: int = ...
    ) -> tuple[DeviceStandIn, Session, BoardLog]: ...


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes a stand-in device and a session with it."""
    with ExitStack() as stack:

        def make(
            fault: Fault = lambda number, line: line,
            *,
            patience: float = PATIENT,
            version: int = 2,
        ) -> tuple[DeviceStandIn, Session, BoardLog]:
            board = stack.enter_context(closing(DeviceStandIn(fault=fault, version=version)))
            port = stack.enter_context(closing(LinePort(board.port, 115200)))
            log = BoardLog("bench")
            return board, Session(port, log, patience=patience), log

        yield make


def once(spoil: Callable[[bytes], bytes]) -> Fault:
    """Spoils the first answer to ECHO, however often HELLO was asked before."""
    spoilt = False

    def fault(number: int, line: bytes) -> bytes:
        nonlocal spoilt
        if spoilt or len(line) > len(b"!02 OK X*0000\n"):
            return line
        spoilt = True
        return spoil(line)

    return fault


def test_hello_tells_who_is_there(connect: Connect) -> None:
    _, link, _ = connect()
    hello = link.hello()
    assert (hello.model_id, hello.build_id) == (MODEL_ID[:16], BUILD_ID[:16])
    assert link.ask("ECHO", "A-B") == ("A-B",)
    assert link.retries == 0


def test_other_requests_before_hello_mean_a_reset(connect: Connect) -> None:
    _, link, _ = connect()
    with pytest.raises(LinkError, match="reset midway"):
        link.ask("ECHO", "A")


def test_a_reset_midway_is_noticed(connect: Connect) -> None:
    board, link, _ = connect()
    link.hello()
    board.reset()
    with pytest.raises(LinkError, match="reset midway"):
        link.ask("ECHO", "A")


def test_a_lost_answer_is_asked_for_again_and_executed_once(connect: Connect) -> None:
    board, link, _ = connect(once(lambda line: b""), patience=1.0)
    link.hello()
    assert link.ask("ECHO", "X") == ("X",)
    assert link.retries == 1
    assert board.executed == ["HELLO", "ECHO"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda line: line[:9] + b"\n",
        lambda line: line[:9],
        lambda line: line.replace(b"X", b"Y"),
        lambda line: b"\x00\xff" + line,
        lambda line: b"!FF ERR CRC*" + line[-5:],
    ],
)
def test_a_damaged_answer_is_asked_for_again(
    connect: Connect, spoil: Callable[[bytes], bytes]
) -> None:
    _, link, _ = connect(once(spoil), patience=1.0)
    link.hello()
    assert link.ask("ECHO", "X") == ("X",)


def test_a_late_answer_is_dropped(connect: Connect) -> None:
    held: list[bytes] = []

    def late(number: int, line: bytes) -> bytes:
        if number == 1:
            held.append(line)
            return b""
        if number == 2:
            return line
        return held.pop() + line if held else line

    _, link, log = connect(late, patience=1.0)
    link.hello()
    assert link.ask("ECHO", "FIRST") == ("FIRST",)
    assert link.ask("ECHO", "SECOND") == ("SECOND",)
    assert any("dropped" in line for line in log.tail())


def test_log_text_is_kept_and_cannot_drive_a_terminal(connect: Connect) -> None:
    _, link, log = connect(lambda n, line: b"temp 21.5\x1b[2J\r\n" + line)
    link.hello()
    assert log.tail() == ["board: temp 21.5\\x1b[2J"]


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (lambda n, line: b"", SilentBoardError, "no answer to HELLO"),
        (lambda n, line: b"\xfe" * 40, LinkError, "no answer to HELLO"),
        (lambda n, line: b"\xfe\n" * 900, LinkError, "no answer to HELLO"),
        (lambda n, line: b"x" * 40000, LinkError, "no answer to HELLO"),
        (lambda n, line: line[:20], LinkError, "no answer to HELLO"),
        (lambda n, line: b"MiniML link 1\r\n", LinkError, "no answer to HELLO"),
    ],
)
def test_no_hello_ends_in_time(
    connect: Connect, fault: Fault, error: type[Exception], words: str
) -> None:
    begin = time.monotonic()
    # Noise is heard within this, and silence ends with it.
    board, link, _ = connect(fault, patience=0.2)
    with pytest.raises(error, match=words) as caught:
        link.hello()
    assert "\n" not in str(caught.value)
    assert board.port in str(caught.value)
    assert time.monotonic() - begin < 60


def test_silence_midway_ends_in_time(connect: Connect) -> None:
    board, link, _ = connect(lambda n, line: b"", patience=HASTY)
    with pytest.raises(SilentBoardError, match="no answer to ECHO"):
        link.ask("ECHO", "A")
    # What was sent is there, but perhaps not yet read.
    deadline = time.monotonic() + 60
    while len(board.requests) < ATTEMPTS:
        assert time.monotonic() < deadline, board.requests
        time.sleep(0.01)
    assert board.requests == board.requests[:1] * ATTEMPTS


def test_another_protocol_version_is_named(connect: Connect) -> None:
    _, link, _ = connect(version=1)
    with pytest.raises(LinkError, match="link protocol 1, this host 2"):
        link.hello()


def test_an_answer_with_another_nonce_is_refused(connect: Connect) -> None:
    from miniml.hil.link.codec import Answer, encode_answer, parse_line

    def replay(number: int, line: bytes) -> bytes:
        parsed = parse_line(line)
        assert isinstance(parsed, Answer)
        words = (parsed.words[0], "00000000", *parsed.words[2:])
        return encode_answer(Answer(parsed.sequence, True, words))

    _, link, _ = connect(replay)
    with pytest.raises(LinkError, match="nonce"):
        link.hello()


@pytest.mark.parametrize(
    "name", ["../../../ETC/PASSWD", "%S%N%P", "<SCRIPT>ALERT(1)</SCRIPT>", "$(REBOOT)", "A" * 32]
)
def test_what_a_board_says_of_itself_is_only_compared(name: str) -> None:
    board = load_boards(Path(__file__).parent.parent)["uno"]
    with (
        closing(DeviceStandIn(name=name)) as device,
        closing(LinePort(device.port, 115200)) as port,
    ):
        identity = who_is_there(Session(port, BoardLog("bench"), patience=PATIENT), 0)
        with pytest.raises(WrongBoardError) as caught:
            check_board(identity, board, device.port)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 200


@pytest.mark.parametrize("model_id", ["1", "11" * 7, "G" * 64, "1_" * 32])
def test_an_id_that_is_none_is_refused(model_id: str) -> None:
    # The harness compares as many digits as it is told: one digit would fit one build in sixteen.
    with (
        closing(DeviceStandIn(model_id=model_id)) as device,
        closing(LinePort(device.port, 115200)) as port,
        pytest.raises(LinkError, match="HELLO"),
    ):
        Session(port, BoardLog("bench"), patience=PATIENT).hello()


def test_a_refusal_names_itself(connect: Connect) -> None:
    _, link, _ = connect()
    link.hello()
    with pytest.raises(LinkError, match="ERR VERB to JUMP"):
        link.ask("JUMP", "01")


def test_a_port_that_vanishes_midway(connect: Connect) -> None:
    boards: list[DeviceStandIn] = []

    def unplug(number: int, line: bytes) -> bytes:
        if number == 1:
            boards[0].unplug()
        return line

    board, link, _ = connect(unplug)
    boards.append(board)
    link.hello()
    with pytest.raises(PortError, match="vanished"):
        link.ask("ECHO", "A")


def test_a_port_in_use_and_a_missing_one(connect: Connect) -> None:
    board, _, _ = connect()
    with pytest.raises(PortError, match=r"in use by another program"):
        LinePort(board.port, 115200)
    with pytest.raises(PortError, match=r"/dev/ttyNONE is missing"):
        LinePort("/dev/ttyNONE", 115200)
    with pytest.raises(PortError, match="can't open"):
        LinePort("nonsense://x", 115200)


def test_a_file_that_is_no_port() -> None:
    with pytest.raises(PortError, match=r"can't open port .*boards\.ini|not a serial"):
        LinePort("boards.ini", 115200)
