"""Boards without a port that wait in their boot loader: a new Pico, a Black Pill with BOOT0 up."""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from attached_boards import attached, pico
from flash_bench import FakeTools, flash_job
from hil_bench import ROOT

from miniml.boards import Board, load_boards
from miniml.errors import NoBoardError
from miniml.hil.board_log import BoardLog
from miniml.hil.finding import loaders
from miniml.hil.finding.attached import AttachedPort
from miniml.hil.finding.usb_devices import UsbDevice
from miniml.hil.flash import dfu, flash, method, uf2_copy
from miniml.hil.flash.method import FlashJob
from miniml.hil.look_before import look_before_flashing
from miniml.hil.place import find, port_place
from miniml.hil.place.place import Place
from miniml.hil.run_options import RunOptions

BOARDS = load_boards(ROOT)
BOOTSEL = UsbDevice((0x2E8A, 0x0003), "E0C9125B0D9B", "1-1.4", 1, 9)
OTHER = replace(BOOTSEL, location="1-1.9", address=10)
DFU = UsbDevice((0x0483, 0xDF11), "357236543131", "1-1.2", 1, 11)


class Bus:
    """What hangs on this machine's USB."""

    def __init__(self) -> None:
        self.devices: list[UsbDevice] = []
        self.ports: list[AttachedPort] = []


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bus:
    made = Bus()
    for user in (find, loaders, dfu):
        monkeypatch.setattr(user, "usb_devices", lambda: made.devices)
    for user in (find, port_place, method):
        monkeypatch.setattr(user, "attached_ports", lambda: made.ports)
    monkeypatch.setenv("MINIML_LOCK_DIR", str(tmp_path / "locks"))
    return made


def place_of(name: str, tmp_path: Path, keys: dict[str, Any], **options: Any) -> Place:
    board: Board = replace(BOARDS[name], **keys)
    boards = {**BOARDS, name: board}
    build = flash_job(tmp_path, name).build
    return find.find_place(board, boards, build, RunOptions(tmp_path, **options), BoardLog(name))


def job_at(name: str, tmp_path: Path, place: Place, keys: dict[str, Any]) -> FlashJob:
    return replace(flash_job(tmp_path, name, **keys), place=place)


def test_a_new_pico_needs_one_word(bus: Bus, tmp_path: Path) -> None:
    bus.devices = [BOOTSEL]
    with pytest.raises(NoBoardError, match=r"RP2040 in BOOTSEL .* may be it: say by --adopt"):
        place_of("pico", tmp_path, {})
    adopted = place_of("pico", tmp_path, {}, adopt=True)
    told = place_of("pico", tmp_path, {"usb_location": "1-1.4"})
    for place in (adopted, told):
        assert (place.socket, place.port(), place.simulated) == ("1-1.4", None, False)
    with pytest.raises(NoBoardError, match="no pico is attached"):
        place_of("pico", tmp_path, {"usb_location": "1-1.4"}, flash=False)
    with pytest.raises(NoBoardError, match="no pico is attached"):
        place_of("pico", tmp_path, {"usb_location": "1-1.7"}, adopt=True)


def test_two_in_their_loader_are_listed(bus: Bus, tmp_path: Path) -> None:
    bus.devices = [BOOTSEL, OTHER]
    with pytest.raises(NoBoardError, match=r"socket 1-1\.4.*socket 1-1\.9.*: say its socket by"):
        place_of("pico", tmp_path, {}, adopt=True)
    assert place_of("pico", tmp_path, {"usb_location": "1-1.9"}).socket == "1-1.9"
    # The map gives one of them to another board.
    other = replace(BOARDS["uno"], usb_location="1-1.9")
    pico_board = BOARDS["pico"]
    assert loaders.waiting_loaders(pico_board, bus.devices, [pico_board, other]) == [BOOTSEL]


def test_a_new_pico_is_flashed_and_comes_up_in_its_socket(
    bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive = tmp_path / "RPI-RP2"
    drive.mkdir()
    (drive / "INFO_UF2.TXT").touch()
    monkeypatch.setattr(uf2_copy, "mounted_drives", lambda: [drive] if drive.is_dir() else [])
    monkeypatch.setattr(uf2_copy, "drive_socket", lambda path: "1-1.4")
    bus.devices = [BOOTSEL]
    place = place_of("pico", tmp_path, {}, adopt=True)
    job = job_at("pico", tmp_path, place, {})

    def boot() -> None:
        while not (drive / "NEW.UF2").exists():
            time.sleep(0.01)
        bus.devices, bus.ports = [], attached(pico("/dev/ttyACM7"))
        shutil.rmtree(drive)

    rom = threading.Thread(target=boot, daemon=True)
    rom.start()
    with place.occupied():
        look_before_flashing(place, job.board, RunOptions(tmp_path), job.log, job.cancel)
        flash(job)
        assert place.port() == "/dev/ttyACM7"
    rom.join(60)
    assert any("nobody to ask" in line for line in job.log.tail())
    assert not any("1200 baud" in line for line in job.log.tail())


def test_a_black_pill_in_its_loader_is_flashed_without_a_port(
    bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = FakeTools(tmp_path / "bin")
    tools.add("dfu-util")
    monkeypatch.setenv("PATH", f"{tools.folder}:/usr/bin")
    bus.devices = [DFU]
    keys = {"flash_serial": DFU.serial}
    place = place_of("blackpill_f411ce", tmp_path, keys)
    with place.occupied():
        flash(job_at("blackpill_f411ce", tmp_path, place, keys))
    adopted = place_of("blackpill_f411ce", tmp_path, {}, adopt=True)
    with adopted.occupied():
        flash(job_at("blackpill_f411ce", tmp_path, adopted, {}))
    assert [call[1:3] for call in tools.calls()] == [["-S", DFU.serial], ["-p", "1-1.2"]]


def test_the_loader_of_a_board_with_another_way_in_is_none_of_its(bus: Bus, tmp_path: Path) -> None:
    bus.devices = [DFU, BOOTSEL]
    with pytest.raises(NoBoardError, match="no nucleo_f446re is attached"):
        place_of("nucleo_f446re", tmp_path, {}, adopt=True)
