"""Flashing tools' command lines. The tools are stand-ins that note their arguments: what a real
one does with them is in tests/flash_outputs, and no board was there for any of them."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from flash_bench import FakeTools, flash_job

from miniml.errors import FlashError
from miniml.hil.finding.attached import AttachedPort
from miniml.hil.finding.usb_devices import UsbDevice, usb_devices
from miniml.hil.flash import dfu, flash, method, picotool, st_link
from miniml.hil.flash.which_device import pick_device
from miniml.hil.tool_process import telling_line

PORT = "/dev/null"
OUTPUTS = Path(__file__).parent / "flash_outputs"
# What a Nucleo and a second ST-LINK look like; a Pico in BOOTSEL; an STM32 in its ROM loader.
NUCLEO = UsbDevice((0x0483, 0x374B), "066DFF485550755187121723", "1-1.2", 1, 7)
OTHER = UsbDevice((0x0483, 0x3748), "37FF71064E573436", "1-1.3", 1, 8)
BOOTSEL = UsbDevice((0x2E8A, 0x0003), "E0C912D24340", "1-1.4", 1, 21)
LOADER = UsbDevice((0x0483, 0xDF11), "357236543131", "1-1.1", 1, 9)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTools:
    found = FakeTools(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{found.folder}{os.pathsep}/usr/bin")
    return found


@pytest.fixture
def attached(monkeypatch: pytest.MonkeyPatch) -> None:
    """The board's port is at USB 1-1.4, with a serial number that no adapter has."""
    port = AttachedPort(PORT, (0x2E8A, 0x00C0), "E6605838", "1-1.4:1.0")
    monkeypatch.setattr(method, "attached_ports", lambda: [port])


def devices(monkeypatch: pytest.MonkeyPatch, *found: UsbDevice) -> None:
    for module in (dfu, picotool, st_link):
        monkeypatch.setattr(module, "usb_devices", lambda: list(found))


def said(name: str) -> str:
    return (OUTPUTS / name).read_text(encoding="utf-8")


def test_avrdude_tries_the_other_rate_and_remembers_it(tools: FakeTools, tmp_path: Path) -> None:
    job = flash_job(tmp_path, "nanoatmega328", flash_baud=115200, flash_baud_fallback=57600)
    tools.add("avrdude", said("avrdude-not-in-sync.txt"), 1)
    with pytest.raises(FlashError, match=r"not in sync.*command: .*avrdude .* -b 57600 -D -U"):
        flash(job)
    hex_file = f"flash:w:{tmp_path / 'firmware.hex'}:i"
    common = ["avrdude", "-p", "atmega328p", "-c", "arduino", "-P", PORT, "-b"]
    assert tools.calls() == [[*common, rate, "-D", "-U", hex_file] for rate in ("115200", "57600")]
    tools.add("avrdude")
    memory = tmp_path / ".pio" / "miniml" / "upload_speeds" / "nanoatmega328.json"
    memory.parent.mkdir(parents=True)
    memory.write_text(json.dumps({PORT: 57600}))
    flash(job)
    assert tools.calls()[2:] == [[*common, "57600", "-D", "-U", hex_file]]
    memory.write_text("damaged")
    flash(job)
    assert json.loads(memory.read_text()) == {PORT: 115200}


def test_another_failure_is_not_tried_at_another_rate(tools: FakeTools, tmp_path: Path) -> None:
    job = flash_job(tmp_path, "nanoatmega328", flash_baud_fallback=115200)
    tools.add("avrdude", said("avrdude-no-port.txt"), 1)
    with pytest.raises(FlashError, match="No such file or directory"):
        flash(job)
    assert len(tools.calls()) == 1


def test_stm32flash_gets_parity_and_sequence(tools: FakeTools, tmp_path: Path) -> None:
    tools.add("stm32flash")
    flash(flash_job(tmp_path, "stm32f4", flash_sequence="rts,-dtr,dtr:-rts,-dtr,dtr"))
    assert tools.calls() == [
        [
            *("stm32flash", "-m", "8e1", "-i", "rts,-dtr,dtr:-rts,-dtr,dtr", "-b", "115200"),
            *("-w", str(tmp_path / "firmware.bin"), "-v", "-g", "0x8000000", PORT),
        ]
    ]


def test_the_st_link_of_the_board_is_named(
    tools: FakeTools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attached: None
) -> None:
    job = flash_job(tmp_path, "stm32f4", flash_method="stlink")
    tools.add("openocd")
    devices(monkeypatch, LOADER, NUCLEO)
    flash(job)
    own = AttachedPort(PORT, (0x0483, 0x374B), "0671FF", "1-1.5:1.2")
    monkeypatch.setattr(method, "attached_ports", lambda: [own])
    flash(job)
    named = flash_job(tmp_path, "stm32f4", flash_method="stlink", flash_serial="37FF")
    flash(named)
    program = f"program {{{tmp_path / 'firmware.elf'}}} verify reset; shutdown;"
    assert tools.calls() == [
        [
            *("openocd", "-f", "interface/stlink.cfg", "-c", "transport select hla_swd"),
            *("-f", "target/stm32f4x.cfg", "-c", f"adapter serial {serial}", "-c", program),
        ]
        for serial in (NUCLEO.serial, "0671FF", "37FF")
    ]


def test_two_st_links_are_an_error_that_lists_both(
    tools: FakeTools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices(monkeypatch, NUCLEO, OTHER)
    with pytest.raises(FlashError, match=rf"{NUCLEO.serial} at 1-1.2, {OTHER.serial} at 1-1.3"):
        flash(flash_job(tmp_path, "stm32f4", flash_method="stlink"))
    devices(monkeypatch)
    with pytest.raises(FlashError, match=r"flash_serial.*st-info --probe"):
        flash(flash_job(tmp_path, "stm32f4", flash_method="stlink"))
    assert tools.calls() == []


def test_st_flash_where_there_is_no_openocd(
    tools: FakeTools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices(monkeypatch, NUCLEO)
    tools.add("st-flash", said("st-flash-no-adapter.txt"), 255)
    monkeypatch.setattr(st_link, "openocd", no_openocd)
    with pytest.raises(FlashError, match="Couldn't find any ST-Link devices"):
        flash(flash_job(tmp_path, "stm32f4", flash_method="stlink"))
    image = str(tmp_path / "firmware.bin")
    expected = ["st-flash", "--serial", NUCLEO.serial, "--reset", "write", image, "0x8000000"]
    assert tools.calls() == [expected]


@pytest.mark.parametrize("serial", ["[exec", "a;b", "a b", "$x", "\x1b[31m"])
def test_a_serial_number_is_never_code(
    tools: FakeTools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serial: str
) -> None:
    """OpenOCD reads Tcl."""
    devices(monkeypatch, replace(NUCLEO, serial=serial))
    tools.add("openocd")
    with pytest.raises(FlashError, match="can't be given to a tool"):
        flash(flash_job(tmp_path, "stm32f4", flash_method="stlink"))
    assert tools.calls() == []


def no_openocd(job: object, serial: str) -> list[str]:
    raise FlashError("openocd is missing")


def test_dfu_names_the_device_by_socket_or_serial(
    tools: FakeTools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attached: None
) -> None:
    devices(monkeypatch, LOADER)
    tools.add("dfu-util")
    flash(flash_job(tmp_path, "stm32f4", flash_method="dfu"))
    flash(flash_job(tmp_path, "stm32f4", flash_method="dfu", flash_serial="35723654"))
    tools.add("dfu-util", said("dfu-util-no-device.txt"), 74)
    with pytest.raises(FlashError, match="No DFU capable USB device available"):
        flash(flash_job(tmp_path, "stm32f4", flash_method="dfu"))
    rest = ["-d", "0483:df11", "-a", "0", "-s", "0x8000000:leave"]
    rest += ["-D", str(tmp_path / "firmware.bin")]
    assert tools.calls() == [
        ["dfu-util", *device, *rest]
        for device in (["-p", "1-1.1"], ["-S", "35723654"], ["-p", "1-1.1"])
    ]


def test_picotool_names_bus_and_address(
    tools: FakeTools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attached: None
) -> None:
    tools.add("picotool")
    times = iter([[], [], [NUCLEO, BOOTSEL]])
    monkeypatch.setattr(picotool, "usb_devices", lambda: next(times))
    flash(flash_job(tmp_path, "pico", flash_method="picotool"))
    uf2 = str(tmp_path / "firmware.uf2")
    assert tools.calls() == [["picotool", "load", "-v", "-x", uf2, "--bus", "1", "--address", "21"]]
    # Where the port isn't the chip's own, nothing tells whose loader it is.
    devices(monkeypatch, BOOTSEL)
    with pytest.raises(FlashError, match=r"another RP2040 is already in BOOTSEL \(USB 1-1\.4\)"):
        flash(flash_job(tmp_path, "pico", flash_method="picotool", reset="none"))


def test_a_chips_own_port_tells_where_its_dfu_loader_will_be(
    tools: FakeTools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = AttachedPort(PORT, (0x0483, 0x5740), "357236543131", "1-1.4:1.0")
    monkeypatch.setattr(method, "attached_ports", lambda: [own])
    devices(monkeypatch, LOADER)  # in another socket: some other board's
    tools.add("dfu-util")
    flash(flash_job(tmp_path, "stm32f4", flash_method="dfu"))
    assert tools.calls()[0][1:3] == ["-p", "1-1.4"]


def test_the_loader_in_the_boards_socket_is_taken() -> None:
    elsewhere = UsbDevice(BOOTSEL.usb_id, BOOTSEL.serial, "1-1.9", 1, 30)
    both = [elsewhere, BOOTSEL]
    assert pick_device(both, [BOOTSEL.usb_id], what="boot loader", socket="1-1.4") == BOOTSEL
    with pytest.raises(FlashError, match="2 devices may be the board's boot loader"):
        pick_device(both, [BOOTSEL.usb_id], what="boot loader")
    assert pick_device(both, [LOADER.usb_id], what="boot loader", socket="1-1.4") is None


def test_sysfs_is_read(tmp_path: Path) -> None:
    for name, value in (
        ("idVendor", "0483"),
        ("idProduct", "374b"),
        ("busnum", "1"),
        ("devnum", "7"),
        ("serial", NUCLEO.serial),
    ):
        (tmp_path / "1-1.2").mkdir(exist_ok=True)
        (tmp_path / "1-1.2" / name).write_text(f"{value}\n")
    (tmp_path / "1-1.2:1.0").mkdir()
    (tmp_path / "usb1").mkdir()
    (tmp_path / "1-1.5").mkdir()  # is being unplugged
    assert usb_devices(tmp_path) == [NUCLEO]


def test_a_missing_tool_names_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PLATFORMIO_CORE_DIR", str(tmp_path / "core"))
    with pytest.raises(FlashError, match="picotool is missing: install the package picotool"):
        picotool.command(flash_job(tmp_path, "pico"), BOOTSEL)
    packaged = tmp_path / "core" / "packages" / "tool-stm32duino" / "stm32flash" / "stm32flash"
    packaged.parent.mkdir(parents=True)
    packaged.touch()
    tools = FakeTools(packaged.parent)
    tools.add("stm32flash")
    flash(flash_job(tmp_path, "stm32f4"))
    assert tools.calls()[0][0] == "stm32flash"


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("avrdude-not-in-sync.txt", "attempt 10 of 10: not in sync: resp=0x00"),
        ("avrdude-no-port.txt", "cannot open port /dev/ttyNONE: No such file or directory"),
        ("openocd-no-adapter.txt", "Error: open failed"),
        ("st-flash-no-adapter.txt", "Couldn't find any ST-Link devices"),
        ("dfu-util-no-device.txt", "No DFU capable USB device available"),
        ("stm32flash-no-port.txt", "Failed to open port: /dev/ttyNONE"),
        ("stm32flash-no-answer.txt", "Failed to init device, timeout."),
        ("picotool-no-device.txt", "in BOOTSEL mode was found at bus 1, address 21."),
        ("uhubctl-no-hub.txt", "No compatible devices detected at location 1-1!"),
    ],
)
def test_the_tools_own_reason_is_told(output: str, why: str) -> None:
    """Recorded on a machine without any board: Debian 12's tools; picotool 2.3.0 from source."""
    assert telling_line(said(output).splitlines()).endswith(why)
