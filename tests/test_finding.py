"""Which of the attached ports is which board."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import closing, nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from attached_boards import attached, ch340, listed, pico, st_link, uno
from device_stand_in import DeviceStandIn
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from miniml.boards import Board, load_boards
from miniml.errors import PortError, SilentBoardError, WrongBoardError
from miniml.hil import run
from miniml.hil.finding import attached as attached_module
from miniml.hil.finding.candidates import candidates, check_port, doubt, find_port, follow
from miniml.hil.lock.board_lock import port_key
from miniml.hil.place import find, port_place
from miniml.hil.place.port_place import PortPlace
from miniml.hil.run_options import RunOptions

BOARDS = load_boards(Path(__file__).parents[1])
ALL = attached(uno(), ch340(), st_link(), pico())


Flashing = tuple[Callable[[ListPortInfo], None], list[str | None], Callable[..., None]]


@pytest.fixture
def flashing(monkeypatch: pytest.MonkeyPatch) -> Flashing:
    """What is attached, the ports that were flashed, and `miniml flash` for a Nano."""
    flashed: list[str | None] = []
    build = SimpleNamespace(world="official", flash=1, elf_sha256="0" * 64)

    def attach(port: ListPortInfo) -> None:
        for module in (find, port_place):
            monkeypatch.setattr(module, "attached_ports", lambda: attached(port))

    def flash_nano(*, adopt: bool = False, patience: float = 40, **keys: str) -> None:
        boards = BOARDS | {"nanoatmega328": mapped("nanoatmega328", **keys)}
        source = SimpleNamespace(boards=boards, folder=Path(), build=lambda name: build)
        monkeypatch.setattr(run, "open_source", lambda options: nullcontext(source))
        monkeypatch.setattr(run, "flash", lambda job: flashed.append(job.place.port()))
        options = RunOptions(
            Path(), boards=("nanoatmega328",), simulated="never", patience=patience, adopt=adopt
        )
        run.flash_boards(options, lambda line: None)

    return attach, flashed, flash_nano


def mapped(name: str, **keys: str) -> Board:
    return dataclasses.replace(BOARDS[name], **keys)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("uno", "/dev/ttyACM0"),
        ("nanoatmega328", "/dev/ttyUSB0"),
        ("nucleo_f401re", "/dev/ttyACM1"),
        ("pico", "/dev/ttyACM2"),
        ("stm32f4", None),
        ("disco_f407vg", None),
    ],
)
def test_one_of_each_is_found(name: str, device: str | None) -> None:
    assert find_port(BOARDS[name], ALL, BOARDS.values()) == device


def test_two_candidates_are_an_error_that_lists_both() -> None:
    clones = attached(ch340(), ch340("/dev/ttyUSB1", "3-2"))
    with pytest.raises(PortError) as caught:
        find_port(BOARDS["nanoatmega328"], clones)
    message = str(caught.value)
    for port in clones:
        assert f"{port.device} (1a86:7523, USB socket {port.location}, no serial number)" in message
    assert "usb_location" in message
    picos = attached(pico(), pico("/dev/ttyACM3", "1-1.5", "E66164084329A52C"))
    with pytest.raises(PortError, match="usb_serial"):
        find_port(BOARDS["pico"], picos)


@pytest.mark.parametrize("location", ["3-2", "3-2:1.0"])
def test_the_map_tells_equal_boards_apart(location: str) -> None:
    clones = attached(ch340(), ch340("/dev/ttyUSB1", location))
    board = mapped("nanoatmega328", usb_location="3-2")
    assert find_port(board, clones) == "/dev/ttyUSB1"
    board = mapped("nucleo_f446re", usb_serial="066dff485550755187121723")
    assert find_port(board, ALL) == "/dev/ttyACM1"
    assert find_port(mapped("nucleo_f446re", usb_serial="066D"), ALL) is None


def test_a_section_without_ids_is_found_by_the_map_alone() -> None:
    assert find_port(mapped("disco_f407vg", usb_location="1-1.2"), ALL) == "/dev/ttyUSB0"
    assert find_port(mapped("stm32f4", usb_location="1-9"), ALL) is None


@pytest.mark.parametrize("keys", [{"usb_location": "1-1.2"}, {"port": "/dev/ttyUSB0"}])
def test_a_port_that_the_map_gives_to_one_board_is_no_others(keys: dict[str, str]) -> None:
    boards = BOARDS | {"disco_f407vg": mapped("disco_f407vg", **keys)}
    assert candidates(boards["nanoatmega328"], ALL, boards.values()) == []
    assert candidates(boards["uno"], ALL, boards.values()) == ALL[:1]


def test_a_port_that_returns_under_another_name_is_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = pico("/dev/ttyACM7", "1-1.5", "E66164084329A52C")
    scene = [attached(pico(), other)]
    monkeypatch.setattr(port_place, "attached_ports", lambda: scene[0])
    place = PortPlace(BOARDS["pico"], "/dev/ttyACM2", 1.0, world="official")
    assert place.port() == "/dev/ttyACM2"
    scene[0] = attached(other)
    assert place.port() is None
    # Another Pico takes the freed name meanwhile.
    scene[0] = attached(pico("/dev/ttyACM2", "1-1.5"), pico("/dev/ttyACM3", "1-1.4"))
    assert place.port() == "/dev/ttyACM3"


def test_interfaces_of_one_adapter_are_told_apart() -> None:
    first, second = (
        listed(f"/dev/ttyUSB{n}", "0403:6010", f"1-2:1.{n}", "FT1", "FTDI", "Dual") for n in (0, 1)
    )
    before = attached(second)
    assert follow("/dev/ttyUSB1", before, attached(first, second)) == "/dev/ttyUSB1"
    moved = listed("/dev/ttyUSB4", "0403:6010", "1-2:1.1", "FT1", "FTDI", "Dual")
    assert follow("/dev/ttyUSB1", before, attached(first, moved)) == "/dev/ttyUSB4"


def test_a_port_of_no_usb_is_there_or_not(tmp_path: Path) -> None:
    port = tmp_path / "port"
    assert follow(str(port), [], []) is None
    port.touch()
    assert follow(str(port), [], ALL) == str(port)


def test_another_boards_port_is_refused() -> None:
    with pytest.raises(WrongBoardError, match=r"1a86:7523.* belongs to nanoatmega328"):
        check_port(BOARDS["uno"], "/dev/ttyUSB0", BOARDS.values(), ALL)
    check_port(BOARDS["nanoatmega328new"], "/dev/ttyUSB0", BOARDS.values(), ALL)


def test_what_a_device_says_of_itself_can_not_drive_a_terminal() -> None:
    (port,) = attached(
        listed("/dev/ttyACM9", "1:2", "1-1", "\x1b[2J\n" + "S" * 500, "", "a\tb\xe9")
    )
    assert (port.serial, port.title) == ("?[2J?" + "S" * 121, "a?b?")


@pytest.mark.parametrize(
    ("name", "keys", "told"),
    [
        ("uno", {}, True),
        ("pico", {}, True),
        ("nanoatmega328", {}, False),
        ("nucleo_f446re", {}, False),
        ("nucleo_f446re", {"usb_serial": "066DFF485550755187121723"}, True),
    ],
)
def test_shared_ids_alone_are_no_proof(name: str, keys: dict[str, str], told: bool) -> None:
    board = mapped(name, **keys)
    device = find_port(board, ALL)
    assert device is not None
    words = doubt(board, device, ALL, BOARDS.values())
    assert (words == "") == told
    assert told or ("miniml boards scan --write" in words and device in words)


def test_a_silent_port_of_shared_ids_is_not_flashed(flashing: Flashing) -> None:
    with closing(DeviceStandIn(fault=lambda number, line: b"")) as mute:
        attach, flashed, flash_nano = flashing
        attach(ch340(mute.port))
        with pytest.raises(SilentBoardError, match="miniml boards scan --write"):
            flash_nano(patience=0.05)
        assert flashed == []
        flash_nano(patience=0.05, usb_location="1-1.2")
        flash_nano(adopt=True)
        assert flashed == [mute.port, mute.port]


def test_another_boards_firmware_is_not_overwritten(flashing: Flashing) -> None:
    with closing(DeviceStandIn(name="UNO")) as clone:
        attach, flashed, flash_nano = flashing
        attach(ch340(clone.port))
        with pytest.raises(WrongBoardError, match="uno is on port"):
            flash_nano(usb_location="1-1.2")
        clone.name = "NANOATMEGA328"
        flash_nano()
        assert flashed == [clone.port]


def test_a_board_of_another_machine_is_on_no_port_here() -> None:
    far = mapped("uno", resource="labgrid:bench-3")
    assert find_port(far, ALL) is None
    assert candidates(far, ALL) == []


def test_a_board_that_vanishes_while_the_ports_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    # pyserial 3.5 calls int(None, 16) where sysfs has no idVendor any more.
    left = [TypeError("int() can't convert non-string with explicit base")] * 2

    def comports() -> list[ListPortInfo]:
        if left:
            raise left.pop()
        return [uno()]

    monkeypatch.setattr(list_ports, "comports", comports)
    assert [port.device for port in attached_module.attached_ports()] == ["/dev/ttyACM0"]
    left += [TypeError("int()")] * 5
    with pytest.raises(PortError, match="try again"):
        attached_module.attached_ports()


def test_a_lock_is_the_sockets_whatever_the_port_is_called() -> None:
    key = port_key("/dev/ttyACM2", ALL)
    assert key == port_key("/dev/ttyACM9", attached(pico("/dev/ttyACM9")))
    assert key != port_key("/dev/ttyACM2", attached(pico(location="1-1.5")))
    assert port_key("/dev/null", ALL) == "port /dev/null"
