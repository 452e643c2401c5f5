"""Boot drives of RP2040s: each board's own by its USB socket, where Linux tells it."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import pytest
from flash_bench import flash_job

from miniml.errors import FlashError
from miniml.hil.finding.attached import AttachedPort
from miniml.hil.flash import flash, method, uf2_copy
from miniml.hil.flash.drives import drive_socket

PORT = "/dev/null"


def test_the_socket_of_a_mounted_drive(tmp_path: Path) -> None:
    device = "devices/pci0000:00/0000:00:14.0/usb1/1-1/1-1.4/1-1.4:1.0/host3/target3:0:0/block/sdb"
    for name in ("sdb", "sdb/sdb1"):
        (tmp_path / "sys" / device / name).mkdir(parents=True, exist_ok=True)
    links = tmp_path / "sys/class/block"
    links.mkdir(parents=True)
    (links / "sdb1").symlink_to(tmp_path / "sys" / device / "sdb/sdb1")
    (links / "sda1").symlink_to(tmp_path / "sys/devices/ata1/sda/sda1")
    mounts = tmp_path / "proc/self/mounts"
    mounts.parent.mkdir(parents=True)
    mounts.write_text(
        "/dev/sda1 / ext4 rw 0 0\n/dev/sdb1 /media/ann\\040lee/RPI-RP2 vfat rw,nosuid 0 0\n"
    )
    assert drive_socket(Path("/media/ann lee/RPI-RP2"), tmp_path) == "1-1.4"
    assert drive_socket(Path("/"), tmp_path) == ""
    assert drive_socket(Path("/media/ann lee/RPI-RP21"), tmp_path) == ""
    assert drive_socket(Path("/media"), tmp_path / "nothing") == ""


@pytest.fixture
def drives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[Path, str]:
    """Two drives in BOOTSEL, with their sockets; the board's port is at 1-1.4."""
    found = {tmp_path / "RPI-RP2": "1-1.9", tmp_path / "RPI-RP21": "1-1.4"}
    for drive in found:
        drive.mkdir()
        (drive / "INFO_UF2.TXT").touch()
    port = AttachedPort(PORT, (0x2E8A, 0x00C0), "E6605838", "1-1.4:1.0")
    monkeypatch.setattr(method, "attached_ports", lambda: [port])
    monkeypatch.setattr(uf2_copy, "mounted_drives", lambda: [d for d in found if d.is_dir()])
    monkeypatch.setattr(uf2_copy, "drive_socket", lambda drive: found[drive])
    monkeypatch.setenv("MINIML_LOCK_DIR", str(tmp_path / "locks"))
    return found


def eject_when_copied(drive: Path) -> threading.Thread:
    """As the boot ROM does once it has the whole file."""

    def eject() -> None:
        while not (drive / "NEW.UF2").exists():
            time.sleep(0.01)
        shutil.rmtree(drive)

    thread = threading.Thread(target=eject, daemon=True)
    thread.start()
    return thread


def test_the_drive_in_the_boards_socket_gets_the_file(
    tmp_path: Path, drives: dict[Path, str]
) -> None:
    other, own = drives
    thread = eject_when_copied(own)
    flash(flash_job(tmp_path, "pico"))
    thread.join(60)
    assert not own.exists()
    assert not (other / "NEW.UF2").exists()


def test_a_drive_that_may_be_anothers_is_left_alone(
    tmp_path: Path, drives: dict[Path, str]
) -> None:
    for drive in drives:
        drives[drive] = ""
    with pytest.raises(FlashError, match="another RP2040 is already in BOOTSEL"):
        flash(flash_job(tmp_path, "pico"))
    assert not any((drive / "NEW.UF2").exists() for drive in drives)
