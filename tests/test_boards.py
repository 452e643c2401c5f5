"""boards.ini: what is read, and how each mistake is reported."""

import configparser
from pathlib import Path

import pytest

from miniml.boards import load_boards, pick_board
from miniml.errors import SettingsError

PROJECT = Path(__file__).parent.parent
SECTION = """\
[bench]
title = A board
core = avr
mode = int8
clock_hz = 16000000
flash_bytes = 32256
sram_bytes = 2048
link_stream = Serial
link_baud = 115200
reset = dtr
flash_method = avrdude
flash_baud = 57600
usb_ids = 2341:0043 1A86:7523
"""


def write(folder: Path, text: str, name: str = "boards.ini") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_the_project_has_the_four_boards() -> None:
    boards = load_boards(PROJECT)
    assert {"uno", "nanoatmega328", "stm32f4", "pico"} <= set(boards)
    assert boards["uno"].clock_hz == 16_000_000
    assert boards["pico"].flash_baud is None
    assert (0x2E8A, 0x000A) in boards["pico"].usb_ids


def test_each_board_has_an_environment_and_the_four_are_the_default() -> None:
    ini = configparser.ConfigParser(interpolation=None)
    ini.read(PROJECT / "platformio.ini", encoding="utf-8")
    environments = {s.removeprefix("env:") for s in ini.sections() if s.startswith("env:")}
    assert environments == set(load_boards(PROJECT))
    assert ini["platformio"]["default_envs"] == "uno, nanoatmega328, stm32f4, pico"


def test_every_key_is_described() -> None:
    page = (PROJECT / "docs" / "BOARDS.md").read_text(encoding="utf-8")
    fields = set(load_boards(PROJECT)["uno"].__dataclass_fields__) - {"name"}
    assert {field for field in fields if f"`{field}`" not in page} == set()


def test_types_and_defaults(tmp_path: Path) -> None:
    board = load_boards(write(tmp_path, SECTION))["bench"]
    assert board.usb_ids == ((0x2341, 0x43), (0x1A86, 0x7523))
    assert (board.port, board.simulator, board.port_dtr) == ("", "", True)


def test_the_local_file_changes_and_adds(tmp_path: Path) -> None:
    write(tmp_path, SECTION)
    more = SECTION.replace("[bench]", "[other]")
    write(tmp_path, "[bench]\nport = /dev/ttyUSB7\nport_dtr = off\n" + more, "boards.local.ini")
    boards = load_boards(tmp_path)
    assert list(boards) == ["bench", "other"]
    assert (boards["bench"].port, boards["bench"].port_dtr) == ("/dev/ttyUSB7", False)
    assert boards["bench"].clock_hz == 16_000_000


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("clock_hz", "clock_hx", ["boards.ini", "[bench]", "'clock_hx'", "'clock_hz'"]),
        ("clock_hz = 16000000", "clock_hz = 16 MHz", ["[bench] clock_hz", "16 MHz", "1000000"]),
        ("clock_hz = 16000000", "clock_hz = -5", ["[bench] clock_hz"]),
        ("sram_bytes = 2048\n", "", ["[bench]", "'sram_bytes' is missing"]),
        ("core = avr", "core = cortex-m4f", ["[bench] core", "'cortex-m4'"]),
        ("core = avr", "core =", ["[bench] core", "is empty"]),
        ("2341:0043", "2341-0043", ["usb_ids", "2341:0043", "'2341-0043'"]),
        ("Serial", "Serial(1)", ["link_stream"]),
        ("flash_baud = 57600\n", "", ["'flash_baud' is missing", "avrdude"]),
        ("reset = dtr", "reset = dtr\nport_rts = 1", ["port_rts", "on or off"]),
        ("reset = dtr", "reset = dtr\nreset = dtr", ["boards.ini", "reset", "already exists"]),
        ("reset = dtr", "reset = dtr\nflash_sequence = $(x)", ["flash_sequence"]),
        (
            "reset = dtr",
            "reset = dtr\nsimulator = rp2040\nsimulator_bootloader = optiboot",
            ["only"],
        ),
        ("reset = dtr", "reset = dtr\nusb_location = ttyUSB0", ["usb_location", "1-1.4"]),
        ("reset = dtr", "reset = dtr\nusb_serial = A\x1b[2J", ["usb_serial", "printable"]),
        ("reset = dtr", "reset = dtr\nresource = place-1", ["resource", "labgrid:PLACE"]),
        (
            "reset = dtr",
            "reset = dtr\nport = COM3\nresource = labgrid:uno-1",
            ["'port' and 'resource' exclude"],
        ),
        ("reset = dtr", "reset = dtr\nlab_flash = dfu {bin} {prt}", ["lab_flash", "{port}"]),
        ("reset = dtr", "reset = dtr\nlab_flash = make flash", ["lab_flash", "{elf}"]),
        ("reset = dtr", "reset = dtr\nsimulated = true", ["simulated", "yes, no"]),
        ("[bench]", "[be nch]", ["[be nch]", "environment"]),
        ("[bench]", "", ["boards.ini", "no section headers"]),
        (SECTION, "", ["has no section"]),
    ],
)
def test_a_mistake_is_one_line_that_says_where(
    tmp_path: Path, old: str, new: str, words: list[str]
) -> None:
    text = SECTION.replace(old, new)
    assert text != SECTION
    with pytest.raises(SettingsError) as caught:
        load_boards(write(tmp_path, text))
    message = str(caught.value)
    assert "\n" not in message
    assert [word for word in words if word not in message] == []


def test_a_byte_order_mark_is_no_section(tmp_path: Path) -> None:
    (tmp_path / "boards.ini").write_text(SECTION, encoding="utf-8-sig")
    assert list(load_boards(tmp_path)) == ["bench"]


def test_binary_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"boards\.ini is missing"):
        load_boards(tmp_path)
    (tmp_path / "boards.ini").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load_boards(tmp_path)


def test_an_unknown_board_names_the_nearest(tmp_path: Path) -> None:
    boards = load_boards(PROJECT)
    with pytest.raises(SettingsError, match="did you mean 'nanoatmega328'"):
        pick_board(boards, "nanoatmega")
