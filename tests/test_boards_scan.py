"""`miniml boards scan`: what is shown, asked, and written into the map of a bench."""

from __future__ import annotations

import contextlib
import json
import stat
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from attached_boards import ch340, listed, st_link, uno
from device_stand_in import MODEL_ID, DeviceStandIn
from scan_bench import ROOT, Plug, Scan, answer, local, make_plug, make_project, make_scan

from miniml.boards import load_boards
from miniml.cli import main
from miniml.hil import source
from miniml.hil.finding import probe, usb_devices
from miniml.hil.finding.usb_devices import UsbDevice

BOARDS = load_boards(ROOT)


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    return make_project(tmp_path)


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Plug:
    return make_plug(monkeypatch)


@pytest.fixture
def scan(bench: Path, plug: Plug, capsys: pytest.CaptureFixture[str]) -> Scan:
    return make_scan(bench, capsys)


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


def test_the_list_shows_what_is_attached_and_what_hangs_in_a_lab(
    bench: Path, plug: Plug, capsys: pytest.CaptureFixture[str]
) -> None:
    (bench / "boards.local.ini").write_text(
        "[stm32f4]\nport = /dev/not-there\n[nucleo_f446re]\nresource = labgrid:shelf-3\n"
    )
    assert main(["boards", "--project-dir", str(bench)]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert ": /dev/ttyACM0; simulated" in lines["uno"]
    assert ": not attached; simulated" in lines["stm32f4"]
    assert ": labgrid:shelf-3; no simulated" in lines["nucleo_f446re"]
    assert main(["boards", "--project-dir", str(bench), "--json"]) == 0
    boards = {board["name"]: board for board in json.loads(capsys.readouterr().out)["boards"]}
    assert (boards["stm32f4"]["ports"], boards["pico"]["ports"]) == ([], ["/dev/ttyACM2"])
    assert boards["nucleo_f446re"]["resource"] == "labgrid:shelf-3"


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
