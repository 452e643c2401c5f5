"""`miniml boards scan`: what is shown, asked, and written into the map of a bench."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attached_boards import attached, ch340, listed, pico, st_link, uno
from device_stand_in import MODEL_ID, DeviceStandIn
from hypothesis import given, settings
from hypothesis import strategies as st

from miniml.boards import load_boards
from miniml.cli import main
from miniml.errors import SettingsError
from miniml.hil import source
from miniml.hil.finding import attached as attached_module
from miniml.hil.finding import probe, usb_devices
from miniml.hil.finding.attached import AttachedPort
from miniml.hil.finding.twister_map import export_map, import_map
from miniml.hil.finding.usb_devices import UsbDevice

ROOT = Path(__file__).parents[1]
BOARDS = load_boards(ROOT)
Plug = Callable[..., None]


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """A project of nothing but its boards."""
    for name in ("boards.ini", "platformio.ini"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Plug:
    """What is attached from now on."""

    def plug(*ports: Any) -> None:
        monkeypatch.setattr(attached_module, "attached_ports", lambda: attached(*ports))

    # Who answers isn't missed, however loaded the machine is.
    monkeypatch.setattr(probe, "PATIENCE", 10)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    plug(uno(), ch340(), st_link(), pico())
    return plug


@pytest.fixture
def scan(
    bench: Path, plug: Plug, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs the command; exit code, stdout, stderr."""

    def run(*words: str) -> tuple[int, str, str]:
        code = main(["boards", "scan", "--project-dir", str(bench), *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


Scan = Callable[..., tuple[int, str, str]]


def local(bench: Path) -> str:
    return (bench / "boards.local.ini").read_text(encoding="utf-8")


def answer(monkeypatch: pytest.MonkeyPatch, *replies: str) -> list[str]:
    """A person at a terminal who says this; returns the questions as they come."""
    left, questions = list(replies), []

    def say(question: str) -> str:
        questions.append(question)
        return left.pop(0)

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", say)
    return questions


def test_a_scan_shows_each_port_and_opens_none(scan: Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "LinePort", None)
    code, out, _ = scan()
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == (
        "/dev/ttyACM0 (2341:0043, USB socket 1-1.1:1.0, serial number 5573932373735161A0A1) Uno: "
        "uno (by its ids)"
    )
    assert "may be nanoatmega328 or nanoatmega328new (by its ids)" in lines[1]
    assert "may be nucleo_f446re or nucleo_f401re (by its ids)" in lines[2]
    assert "pico (by its ids)" in lines[3]
    assert lines[4].startswith("--write would set [uno] usb_serial = 5573932373735161A0A1")


def test_write_maps_what_the_ids_tell(scan: Scan, bench: Path) -> None:
    assert scan("--write", "--yes")[0] == 0
    assert local(bench) == (
        "# This bench: what hangs where (docs/BOARDS.md); not committed.\n\n"
        "[uno]\nusb_serial = 5573932373735161A0A1\n\n[pico]\nusb_serial = E6616407E3646B29\n"
    )
    assert load_boards(bench)["uno"].usb_serial == "5573932373735161A0A1"
    assert scan("--write", "--yes")[1].endswith("boards.local.ini: nothing to write\n")


def test_without_a_terminal_and_yes_it_is_refused_in_a_line(scan: Scan, bench: Path) -> None:
    code, out, err = scan("--write")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "--yes" in err
    assert not (bench / "boards.local.ini").exists()


def test_it_asks_before_it_replaces_and_keeps_the_rest(
    scan: Scan, bench: Path, plug: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = bench / "boards.local.ini"
    file.write_text("# mine\n[uno]  ; red tape\nport = /dev/ttyACM0\nlink_baud = 500000\n# end\n")
    file.chmod(0o600)
    plug(uno(device="/dev/ttyACM4"))
    assert "uno (by its ids; the map has uno elsewhere)" in scan("--write", "--yes")[1]
    questions = answer(monkeypatch, "uno", "n")
    assert scan("--write")[0] == 0
    assert "[uno] usb_serial = 5573932373735161A0A1" in questions[1]
    assert "instead of port = /dev/ttyACM0" in questions[1]
    assert "/dev/ttyACM0" in local(bench)
    answer(monkeypatch, "uno", "y")
    assert scan("--write")[0] == 0
    assert local(bench) == (
        "# mine\n[uno]  ; red tape\nlink_baud = 500000\nusb_serial = 5573932373735161A0A1\n# end\n"
    )
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(p.name for p in bench.iterdir()) == [
        "boards.ini",
        "boards.local.ini",
        "platformio.ini",
    ]


def test_where_the_ids_do_not_tell_a_person_does(
    scan: Scan, bench: Path, plug: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    plug(ch340(), ch340("/dev/ttyUSB1", "3-2"))
    questions = answer(monkeypatch, "nanoatmega328new", "", "y")
    assert scan("--write")[0] == 0
    assert questions[0].startswith("which board is /dev/ttyUSB0 (1a86:7523, USB socket 1-1.2")
    assert local(bench).endswith("[nanoatmega328new]\nusb_location = 1-1.2\n")


def test_a_board_can_be_put_on_a_port(scan: Scan, bench: Path) -> None:
    words = ("--write", "--yes", "--port", "/dev/ttyUSB0", "--board")
    assert scan(*words, "disco_f407vg")[0] == 0
    assert local(bench).endswith("[disco_f407vg]\nusb_location = 1-1.2\n")
    # Its adapter has an id that the section doesn't know yet.
    assert scan(*words, "uno")[0] == 0
    board = load_boards(bench)["uno"]
    assert (0x1A86, 0x7523) in board.usb_ids
    assert (0x2341, 0x0043) in board.usb_ids
    assert board.usb_location == "1-1.2"
    code, _, err = scan("--write", "--yes", "--board", "uno")
    assert (code, "--port" in err) == (2, True)
    code, _, err = scan("--port", "/dev/ttyUSB9")
    assert (code, "not attached" in err) == (4, True)


def test_two_of_one_board_are_an_error_that_lists_both(scan: Scan, plug: Plug) -> None:
    plug(uno(), uno("/dev/ttyACM5", "3-1", "75735353038351F0A1B2"))
    code, _, err = scan("--write", "--yes")
    assert code == 4
    for word in ("/dev/ttyACM0", "1-1.1", "5573932373735161A0A1", "/dev/ttyACM5", "3-1", "7573535"):
        assert word in err
    assert scan()[0] == 0


def test_what_waits_without_a_port_is_shown(
    scan: Scan, bench: Path, plug: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = [
        UsbDevice((0x2E8A, 0x0003), "E0C9125B0D9B", "1-1.4", 1, 9),
        UsbDevice((0x0483, 0x374B), "066D", "1-1.3", 1, 8),  # its port is shown already
        UsbDevice((0x1D6B, 0x0002), "", "1-9", 1, 2),
    ]
    monkeypatch.setattr(usb_devices, "usb_devices", lambda: devices)
    (bench / "boards.local.ini").write_text("[pico]\nusb_location = 1-1.4\n")
    assert "no serial port" not in scan()[1]
    plug(uno(), st_link())
    (line,) = [line for line in scan()[1].splitlines() if "no serial port" in line]
    assert line == (
        "RP2040 in BOOTSEL (2e8a:0003, USB socket 1-1.4, serial number E0C9125B0D9B): "
        "no serial port; the map has pico there"
    )


def test_an_interface_is_named_only_where_it_tells(scan: Scan, bench: Path, plug: Plug) -> None:
    plug(
        listed("/dev/ttyUSB0", "0403:6010", "1-2:1.0", "FT1", "FTDI", "Dual"),
        listed("/dev/ttyUSB1", "0403:6010", "1-2:1.1", "FT1", "FTDI", "Dual"),
        listed("/dev/ttyACM0", "0483:5740", "1-3:1.0", None, "ST", "CDC"),
    )
    for port, name in (("/dev/ttyUSB1", "stm32f4"), ("/dev/ttyACM0", "blackpill_f411ce")):
        assert scan("--write", "--yes", "--port", port, "--board", name)[0] == 0
    assert load_boards(bench)["stm32f4"].usb_location == "1-2:1.1"
    assert load_boards(bench)["blackpill_f411ce"].usb_location == "1-3"


def test_a_probe_asks_the_firmware(scan: Scan, bench: Path, plug: Plug) -> None:
    with closing(DeviceStandIn(name="NANOATMEGA328NEW")) as nano, closing(DeviceStandIn()) as other:
        plug(
            listed(nano.port, "1a86:7523", "1-1.2", None, "", "USB2.0-Serial"),
            listed(other.port, "0483:374b", "1-1.3:1.2", "066D", "ST", "STM32 STLink"),
        )
        code, out, _ = scan("--probe", "--write", "--yes")
        assert code == 0
        assert f"nanoatmega328new answers (model {MODEL_ID[:16]}, " in out
        assert "'BENCH' answers, a board that boards.ini doesn't know; may be nucleo" in out
        assert local(bench).endswith("[nanoatmega328new]\nusb_location = 1-1.2\n")
        # What answers differs from the map.
        (bench / "boards.local.ini").write_text("[nanoatmega328]\nusb_location = 1-1.2\n")
        assert "the map says nanoatmega328: correct it" in scan("--probe")[1]
        content = json.loads(scan("--probe", "--json", "--port", nano.port)[1])
        assert content["ports"][0]["answer"]["board"] == "nanoatmega328new"


def test_a_probe_of_silence_and_of_nothing(
    scan: Scan, plug: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "PATIENCE", 0.05)
    with closing(DeviceStandIn(fault=lambda number, line: b"")) as mute:
        plug(
            listed(mute.port, "2341:0043", "1-1.1:1.0", "55", "Arduino", "Uno"),
            ch340("/dev/ttyUSB77"),
        )
        _, out, _ = scan("--probe")
    lines = out.splitlines()
    assert "silent: empty, or no MiniML; uno (by its ids)" in lines[0]
    assert "port /dev/ttyUSB77 is missing" in lines[1]


def test_a_bench_with_a_bundle_has_no_project(
    tmp_path: Path, plug: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = contextlib.nullcontext(SimpleNamespace(boards=BOARDS))
    monkeypatch.setattr(source, "open_source", lambda options: opened)
    words = ["boards", "scan", "--project-dir", str(tmp_path), "--write", "--yes"]
    assert main([*words, "--bundle", "b.zip"]) == 0
    assert "[pico]\nusb_serial = E6616407E3646B29\n" in local(tmp_path)
    assert main([*words, "--bundle", "b.zip", "--file", "boards.ini"]) == 2
    assert main(words) == 2


def test_a_damaged_file_is_left_as_it_is(scan: Scan, bench: Path) -> None:
    (bench / "boards.local.ini").write_bytes(b"[uno]\nport = \xff\n")
    code, _, err = scan("--write", "--yes")
    assert (code, err.count("\n")) == (2, 1)
    assert (bench / "boards.local.ini").read_bytes() == b"[uno]\nport = \xff\n"


# A map as Twister writes and people complete it.
TWISTER = """\
- connected: true
  id: 066DFF485550755187121723
  platform: nucleo_f446re/stm32f446xx
  product: STM32 STLink
  runner: openocd
  serial: /dev/ttyACM1
- connected: true
  id: '001050076605'
  platform: rpi_pico rpi_pico/rp2040/w
  product: Pico
  runner: uf2
  baud: 9600
- connected: true
  id: 0668FF303435554157095528
  platform: stm32f4_disco
  product: STM32 STLink
  runner: openocd
  serial: /dev/ttyUSB0
- connected: false
  id: unknown
  platform: nucleo_f401re
  product: unknown
  runner: unknown
- connected: true
  id: '1'
  platform: nrf52840dk/nrf52840
  product: J-Link
  runner: nrfjprog
  serial: /dev/ttyACM9
  fixtures:
    - gpio_loopback
"""


def test_a_hardware_map_of_twister_is_imported(scan: Scan, bench: Path) -> None:
    (bench / "map.yml").write_text(TWISTER)
    code, out, _ = scan("--import", str(bench / "map.yml"), "--write", "--yes")
    assert code == 0
    boards = load_boards(bench)
    assert boards["nucleo_f446re"].usb_serial == "066DFF485550755187121723"
    disco = boards["disco_f407vg"]
    assert (disco.usb_location, disco.flash_serial) == ("1-1.2", "0668FF303435554157095528")
    assert (boards["pico"].usb_serial, boards["pico"].link_baud) == ("001050076605", 9600)
    assert out.splitlines()[:2] == [
        "left out: entry 4 (nucleo_f401re): not connected",
        "left out: entry 5 (nrf52840dk/nrf52840): no such board",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- connected: true\n  id: '1'\n", "entry 1: the field 'platform' is missing"),
        ("connected: true\n", "a list of boards"),
        ("- 5\n", "entry 1: must have fields"),
        ("- &a [*a]\n", "not YAML"),
        ("- !!python/object/apply:os.system [ls]\n", "entry 1"),
        ("- {a: 'b\n", "not YAML"),
        (TWISTER.replace("9600", "fast"), "link_baud"),
        (TWISTER.replace("0668FF303435554157095528", '"\\e[2J"'), "entry 3: the field 'id'"),
    ],
)
def test_what_is_no_hardware_map_is_said_in_a_line(
    scan: Scan, bench: Path, text: str, words: str
) -> None:
    (bench / "map.yml").write_text(text)
    code, _, err = scan("--import", str(bench / "map.yml"), "--write", "--yes")
    assert (code, err.count("\n")) == (2, 1)
    assert words in err
    assert not (bench / "boards.local.ini").exists()


def test_export_and_import_agree(scan: Scan, bench: Path, plug: Plug) -> None:
    (bench / "boards.local.ini").write_text(
        "[disco_f407vg]\nusb_location = 1-1.2\nflash_serial = 0668FF\n\n"
        "[nucleo_f401re]\nusb_serial = 066DFF485550755187121723\n\n[stm32f4]\nport = /dev/null\n"
    )
    file = bench / "map.yml"
    assert scan("--export", str(file))[0] == 0
    assert file.read_text().startswith("- baud: 115200\n  connected: true\n  id: 55739323737351")
    before = load_boards(bench)
    (bench / "boards.local.ini").unlink()
    assert scan("--import", str(file), "--write", "--yes")[0] == 0
    after = load_boards(bench)
    for name in ("disco_f407vg", "nucleo_f401re", "stm32f4"):
        assert after[name] == before[name], name
    assert after["uno"].usb_serial == "5573932373735161A0A1"


SERIALS = st.text("0123456789ABCDEF", min_size=4, max_size=24)


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([name for name in BOARDS if BOARDS[name].usb_ids]),
        st.tuples(SERIALS, st.booleans()),
        min_size=1,
    )
)
def test_every_map_survives_twister(places: dict[str, tuple[str, bool]]) -> None:
    ports, boards = [], dict(BOARDS)
    for number, (name, (serial, by_socket)) in enumerate(places.items()):
        ids = BOARDS[name].usb_ids[0]
        port = AttachedPort(f"/dev/ttyX{number}", ids, serial, f"1-{number + 1}", "Title: #1 'x'")
        ports.append(port)
        where = {"usb_location": port.location} if by_socket else {"usb_serial": serial}
        boards[name] = dataclasses.replace(BOARDS[name], **where)  # type: ignore[arg-type]
    if len({serial for serial, _ in places.values()}) < len(places):
        return
    proposals, remarks = import_map(export_map(boards, ports), BOARDS, ports)
    assert remarks == []
    for proposal in proposals:
        serial, by_socket = places[proposal.board]
        key = "usb_location" if by_socket else "usb_serial"
        assert proposal.keys == {key: getattr(boards[proposal.board], key)}
    assert {proposal.board for proposal in proposals} == set(places)


FRAGMENTS = st.sampled_from(
    [
        "- ",
        "\n",
        "  ",
        "id: ",
        "platform: uno",
        "connected: true",
        "[",
        "]",
        "{",
        "}",
        "*a",
        "&a ",
        "!!int ",
        "'",
        '"',
        "? ",
        ": ",
        "|\n",
        "product: x",
        "runner: y",
        "null",
        "\t",
        "%",
        "---",
        "1",
    ]
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(FRAGMENTS, st.text(max_size=4)), max_size=30).map("".join))
def test_any_text_is_a_hardware_map_or_our_error(text: str) -> None:
    # Any other exception fails.
    with contextlib.suppress(SettingsError):
        assert all(p.board in BOARDS for p in import_map(text, BOARDS, [])[0])
