"""The offline kit: what it makes, what it leaves alone, and that it builds a sketch."""

import binascii
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from pio_extra.offline import kit
from pio_extra.offline.manifests import PLATFORMS
from pio_extra.offline.platforms.raspberrypi import boot2, bootsel_drive, uf2
from pio_extra.offline.toolchains import KitError, find_toolchain

ROOT = Path(__file__).resolve().parent.parent
SKETCH = """
#include <Arduino.h>
void setup() { Serial.begin(115200); Serial.println(F("HELLO")); }
void loop() { if (Serial.available() > 0) Serial.write(uint8_t(Serial.read())); }
"""
INI = """
[platformio]
default_envs = uno, nanoatmega328, stm32f4, pico
[env]
framework = arduino
[env:uno]
platform = atmelavr
board = uno
[env:nanoatmega328]
platform = atmelavr@^5
board = nanoatmega328
[env:stm32f4]
platform = platformio/ststm32
board = genericSTM32F405RG
build_flags = -DSERIAL_UART_INSTANCE=1 -DPIN_SERIAL_TX=PA9 -DPIN_SERIAL_RX=PA10
[env:pico]
platform = raspberrypi
board = pico
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A project in a folder with a space and an umlaut, built for the four boards."""
    project = tmp_path_factory.mktemp("kit") / "ein Gerät"
    (project / "src").mkdir(parents=True)
    (project / "src" / "main.cpp").write_text(SKETCH, encoding="utf-8")
    (project / "platformio.ini").write_text(INI, encoding="utf-8")
    assert kit.prepare(project / "core")
    return project, pio(project, "run")


def pio(project: Path, *arguments: str, code: int = 0) -> str:
    result = subprocess.run(
        [sys.executable, "-m", "platformio", *arguments, "-d", str(project)],
        env={**os.environ, "PLATFORMIO_CORE_DIR": str(project / "core")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == code, result.stdout + result.stderr
    return result.stdout + result.stderr


def test_four_boards_are_built_by_the_kit(built: tuple[Path, str]) -> None:
    project, output = built
    assert output.count("(MiniML offline kit)") == 4
    assert "warning" not in output.lower()
    for env, names in {
        "uno": ["firmware.elf", "firmware.hex"],
        "nanoatmega328": ["firmware.elf", "firmware.hex"],
        "stm32f4": ["firmware.elf", "firmware.bin"],
        "pico": ["firmware.elf", "firmware.bin", "firmware.uf2"],
    }.items():
        for name in names:
            assert (project / ".pio" / "build" / env / name).stat().st_size > 0


def test_a_second_run_compiles_nothing(built: tuple[Path, str]) -> None:
    output = pio(built[0], "run")
    assert "Compiling" not in output
    assert "Linking" not in output


def test_a_pico_image_starts_with_a_checked_boot2(built: tuple[Path, str]) -> None:
    image = (built[0] / ".pio" / "build" / "pico" / "firmware.bin").read_bytes()
    assert struct.unpack("<I", image[252:256])[0] == boot2.crc32_mpeg2(image[:252])
    stack_top, reset = struct.unpack("<II", image[256:264])
    assert stack_top == 0x20040000
    assert 0x10000100 < reset < 0x10000000 + len(image)
    assert reset & 1


def test_the_uf2_of_a_build_carries_its_binary(built: tuple[Path, str]) -> None:
    folder = built[0] / ".pio" / "build" / "pico"
    image, blocks = (folder / "firmware.bin").read_bytes(), (folder / "firmware.uf2").read_bytes()
    payload = b"".join(blocks[at + 32 : at + 288] for at in range(0, len(blocks), 512))
    assert payload[: len(image)] == image
    assert payload[len(image) :].strip(b"\0") == b""


def test_upload_copies_the_uf2_into_the_given_folder(built: tuple[Path, str]) -> None:
    drive = built[0] / "RPI-RP2"
    drive.mkdir()
    pio(built[0], "run", "-e", "pico", "-t", "upload", "--upload-port", str(drive))
    image = built[0] / ".pio" / "build" / "pico" / "firmware.uf2"
    assert (drive / "firmware.uf2").read_bytes() == image.read_bytes()
    output = pio(
        built[0], "run", "-e", "pico", "-t", "upload", "--upload-port", "/dev/ttyX9", code=1
    )
    assert "upload_port /dev/ttyX9 is no folder" in output


@pytest.mark.parametrize("env", ["uno", "stm32f4", "pico"])
def test_ide_data_and_targets_work(built: tuple[Path, str], env: str) -> None:
    assert "upload" in pio(built[0], "run", "-e", env, "--list-targets")
    text = pio(built[0], "project", "metadata", "-e", env, "--json-output")
    facts = json.loads(text[text.index("{") :])[env]
    assert facts["prog_path"].endswith("firmware.elf")
    assert Path(facts["cc_path"]).name.endswith("gcc")


def test_the_kit_is_left_alone_when_nothing_changed(tmp_path: Path) -> None:
    core = tmp_path / "core"
    assert kit.prepare(core)
    before = {file: file.stat().st_mtime_ns for file in core.rglob("*")}
    assert not kit.prepare(core)
    assert {file: file.stat().st_mtime_ns for file in core.rglob("*")} == before


def test_a_kit_that_was_killed_half_way_is_made_again(tmp_path: Path) -> None:
    core = tmp_path / "core"
    kit.prepare(core)
    (core / kit.MARKER).write_text('{"schema": "miniml.kit/1", "digest": null}', encoding="utf-8")
    (core / "platforms" / "atmelavr" / "platform.json").unlink()
    assert not kit.is_kit(core)
    assert kit.prepare(core)
    assert (core / "platforms" / "atmelavr" / "platform.json").is_file()


def test_a_core_directory_of_platformio_is_not_touched(tmp_path: Path) -> None:
    core = tmp_path / "core"
    (core / "platforms").mkdir(parents=True)
    (core / "appstate.json").write_text("{}", encoding="utf-8")
    with pytest.raises(KitError, match="was not made by MiniML"):
        kit.prepare(core)
    assert sorted(file.name for file in core.rglob("*")) == ["appstate.json", "platforms"]


def test_versions_tell_the_kit_from_the_official_platforms(tmp_path: Path) -> None:
    kit.prepare(tmp_path)
    for platform in PLATFORMS:
        folder = tmp_path / "platforms" / platform.name
        manifest = json.loads((folder / "platform.json").read_text(encoding="utf-8"))
        assert manifest["version"].endswith("+miniml")
        mark = json.loads((folder / kit.MARKER).read_text(encoding="utf-8"))
        assert mark["world"] == "kit"


def test_toolchains_of_platformio_serve_where_the_system_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = tmp_path / "packages" / "toolchain-atmelavr" / "bin" / "avr-gcc"
    compiler.parent.mkdir(parents=True)
    compiler.write_text("#!/bin/sh\necho 7.3.0\n", encoding="ascii")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = find_toolchain("toolchain-atmelavr", "avr-gcc", tmp_path)
    assert (found.bin_dir, found.version) == (compiler.parent, "7.3.0")
    with pytest.raises(KitError, match="arm-none-eabi-gcc is missing"):
        find_toolchain("toolchain-gccarmnoneeabi", "arm-none-eabi-gcc", tmp_path)


def test_boot2_checksum_is_crc32_mpeg2() -> None:
    # The catalogue's check value of CRC-32/MPEG-2.
    assert boot2.crc32_mpeg2(b"123456789") == 0x0376E6E7
    # Reflected in and out and inverted, the same polynomial is the CRC-32 of zip.
    data = bytes(range(252))
    reflected = bytes(int(f"{byte:08b}"[::-1], 2) for byte in data)
    expected = int(f"{binascii.crc32(reflected) ^ 0xFFFFFFFF:032b}"[::-1], 2)
    assert boot2.crc32_mpeg2(data) == expected
    with pytest.raises(ValueError, match="252 fit"):
        boot2.checksummed(bytes(253))


def test_uf2_blocks_follow_the_specification() -> None:
    data = uf2.encode(bytes(range(256)) * 2 + b"end")
    assert len(data) == 3 * 512
    for number in range(3):
        block = data[number * 512 : (number + 1) * 512]
        fields = struct.unpack("<8I", block[:32])
        assert fields == (
            *(0x0A324655, 0x9E5D5157, 0x2000, 0x10000000 + 256 * number),
            *(256, number, 3, 0xE48BFF56),
        )
        assert block[508:] == struct.pack("<I", 0x0AB16F30)
    with pytest.raises(ValueError, match="multiple of 256"):
        uf2.encode(b"x", 0x10000001)


def test_a_drive_must_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bootsel_drive.find_drive(str(tmp_path)) == tmp_path
    with pytest.raises(bootsel_drive.DriveError, match="no folder"):
        bootsel_drive.find_drive("/dev/ttyACM7")
    monkeypatch.setattr(bootsel_drive, "mounted_drives", lambda: [tmp_path, tmp_path])
    with pytest.raises(bootsel_drive.DriveError, match="2 RPI-RP2"):
        bootsel_drive.find_drive("")
