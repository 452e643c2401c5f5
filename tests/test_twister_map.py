"""Hardware maps of Zephyr's Twister, read and written by `miniml boards scan`."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scan_bench import ROOT, Plug, Scan, make_plug, make_project, make_scan

from miniml.boards import load_boards
from miniml.errors import SettingsError
from miniml.hil.finding.attached import AttachedPort
from miniml.hil.finding.twister_map import export_map, import_map

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
