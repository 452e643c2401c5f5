"""`pio run -t upload` gets what the harness knows of a board's boot loader: the real PlatformIO,
and stand-ins of the tools, which show what it calls."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from flash_bench import FakePlace, FakeTools
from hil_bench import ROOT, Bench, make_bench

from miniml.boards import load_boards
from miniml.hil.board_log import BoardLog
from miniml.hil.firmware_build import load_build
from miniml.hil.flash import FlashJob, flash
from miniml.hil.flash.platformio_upload import upload
from miniml.hil.flash.speeds import remember_speed
from pio_extra.miniml_hook.upload import apply_settings, known_speed

PORT = "/dev/ttyUSB99"


@pytest.fixture
def bench(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Bench:
    return make_bench(tmp_path, tmp_path_factory, monkeypatch)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTools:
    found = FakeTools(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{found.folder}{os.pathsep}{os.environ['PATH']}")
    return found


def job(bench: Bench, board: str) -> FlashJob:
    build, log = load_build(ROOT, board), BoardLog(board)
    return FlashJob(ROOT, load_boards(ROOT)[board], FakePlace(PORT), build, log, threading.Event())


def test_a_remembered_rate_is_used_by_the_harness_and_by_hand(
    bench: Bench, tools: FakeTools
) -> None:
    tools.add("avrdude")
    remember_speed(ROOT, "nanoatmega328", PORT, 115200)
    flash(job(bench, "nanoatmega328"))
    by_hand = bench.pio(
        *("run", "-e", "nanoatmega328", "-t", "nobuild", "-t", "upload"),
        *("--disable-auto-clean", "--upload-port", PORT),
    )
    assert by_hand.returncode == 0, by_hand.stdout
    harness, hand = tools.calls()
    assert harness == ["avrdude", "-v", *hand[1:]]
    assert hand[hand.index("-b") + 1] == "115200"
    assert hand[hand.index("-P") + 1] == PORT


def test_stm32flash_gets_parity_and_port_through_platformio(bench: Bench, tools: FakeTools) -> None:
    tools.add("stm32flash")
    flash(job(bench, "stm32f4"))
    image = str(bench.build_file("stm32f4", "firmware.bin"))
    flags = ["-m", "8e1", "-v", "-g", "0x08000000", "-b", "115200"]
    assert tools.calls() == [["stm32flash", *flags, "-w", image, PORT]]


def test_a_flag_with_a_space_is_one_argument_for_the_tool(bench: Bench, tools: FakeTools) -> None:
    """What OpenOCD gets; the kit has no package for it, so another tool stands in."""
    tools.add("stm32flash")
    upload(job(bench, "stm32f4"), ["-c", "adapter serial 066D"], port=PORT)
    assert tools.calls()[0][:4] == ["stm32flash", "-c", "adapter serial 066D", "-g"]


class FakeEnvironment:
    """What SCons hands to the hook, as far as it asks."""

    def __init__(self, project: Path, protocol: str, speed: str = "") -> None:
        self.names = {
            "$PROJECT_DIR": str(project),
            "$PROJECT_WORKSPACE_DIR": str(project / ".pio"),
            "$UPLOAD_PORT": PORT,
            "$UPLOAD_PROTOCOL": protocol,
        }
        self.speed = speed
        self.changes: dict[str, object] = {}

    def subst(self, name: str) -> str:
        return self.names[name]

    def GetProjectOptions(self) -> list[tuple[str, str]]:  # noqa: N802  (PlatformIO's name)
        return [("upload_speed", self.speed)] if self.speed else []

    def Replace(self, **values: object) -> None:  # noqa: N802
        self.changes |= values

    Append = Replace


def changes(project: Path, protocol: str, speed: str = "") -> dict[str, object]:
    environment = FakeEnvironment(project, protocol, speed)
    apply_settings(environment, "mine")
    return environment.changes


@pytest.mark.parametrize(
    ("protocol", "flags"),
    [("stlink", ["-c", "adapter serial 37FF"]), ("dfu", ["-S", "37FF"]), ("serial", None)],
)
def test_the_named_device_is_given_by_hand_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str, flags: list[str] | None
) -> None:
    monkeypatch.delenv("PLATFORMIO_UPLOAD_FLAGS", raising=False)
    (tmp_path / "boards.local.ini").write_text("[mine]\nflash_serial = 37FF\n")
    assert changes(tmp_path, protocol).get("UPLOAD_FLAGS") == flags
    (tmp_path / "boards.local.ini").write_text("[mine]\nflash_serial = [exec\n")
    assert changes(tmp_path, protocol) == {}


def test_the_users_own_settings_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIML_UPLOAD_SPEED", "57600")
    (tmp_path / "boards.ini").write_text("[mine]\nflash_serial = 37FF\n")
    assert changes(tmp_path, "serial") == {"UPLOAD_SPEED": "57600"}
    assert changes(tmp_path, "serial", "9600") == {}
    monkeypatch.setenv("PLATFORMIO_UPLOAD_FLAGS", "-c\nadapter serial 066D")
    assert changes(tmp_path, "stlink", "9600") == {}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1, "b": 2}'])
def test_what_is_not_known_changes_nothing(tmp_path: Path, text: str) -> None:
    file = tmp_path / "speeds.json"
    assert known_speed(file, PORT) == ""
    file.write_text(text)
    assert known_speed(file, PORT) == known_speed(file, "") == ""
    file.write_text('{"/dev/ttyUSB3": 57600}')
    assert known_speed(file, "") == "57600"
