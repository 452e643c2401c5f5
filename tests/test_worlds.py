"""Official platforms or the offline kit: who builds what, and what `make demo` says of it."""

import json
from pathlib import Path

import pytest
from setup_checkout import Checkout

from pio_extra.provision import world
from pio_extra.provision.errors import SetupError
from pio_extra.provision.surroundings import KIT

ALL = ("uno", "nanoatmega328", "stm32f4", "pico")
DEMO = "import sys; from pio_extra.provision import tasks; sys.exit(tasks.demo())"
PIO = """\
echo "PLATFORM: $PLATFORMIO_CORE_DIR"
echo "Compiling something"
echo "MiniML: built $*"
exit $PIO_CODE
"""
MINIML = """\
case "$*" in
  "-m miniml boards --json") echo "$BOARDS";;
  "-m miniml run") echo "core ${PLATFORMIO_CORE_DIR:-not set}"; exit $RUN_CODE;;
  "-m miniml "*) echo "$*";;
  *) exit $REGISTRY;;
esac
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty core directory, nothing attached, and no registry."""
    core = tmp_path / "core"
    monkeypatch.setenv("PLATFORMIO_CORE_DIR", str(core))
    monkeypatch.delenv("MINIML_WORLD", raising=False)
    monkeypatch.setattr(world, "_attached", list)
    monkeypatch.setattr(world, "registry_answers", lambda: False)
    return core


def install(core: Path, platform: str, *, kit: bool = False) -> None:
    folder = core / "platforms" / platform
    folder.mkdir(parents=True)
    (folder / "platform.json").write_text("{}", encoding="utf-8")
    if kit:
        (folder / "miniml_kit.json").write_text("{}", encoding="utf-8")


def test_the_kit_builds_for_simulated_boards_whatever_is_installed(machine: Path) -> None:
    for platform in ("atmelavr", "ststm32", "raspberrypi"):
        install(machine, platform)
    assert world.choose() == world.Worlds(ALL, ())


def test_an_attached_board_gets_the_official_platform(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(machine, "atmelavr")
    monkeypatch.setattr(world, "_attached", lambda: ["uno", "somebody_elses"])
    chosen = world.choose()
    assert chosen == world.Worlds(ALL[1:], ("uno",))
    assert "official platforms for uno; offline kit for nano" in chosen.line()


@pytest.mark.parametrize("kit", [True, False], ids=["only a kit there", "nothing there"])
def test_without_official_platform_and_registry_the_board_is_simulated(
    kit: bool, machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if kit:
        install(machine, "atmelavr", kit=True)
    monkeypatch.setattr(world, "_attached", lambda: ["uno"])
    assert world.choose() == world.Worlds(ALL, ())
    assert "attached, but without its official platform: uno" in capsys.readouterr().out


def test_a_registry_in_reach_is_as_good_as_an_installed_platform(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world, "_attached", lambda: ["pico"])
    monkeypatch.setattr(world, "registry_answers", lambda: True)
    assert world.choose().official == ("pico",)


def test_the_user_decides_for_all(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "_attached", lambda: ["uno"])
    monkeypatch.setenv("MINIML_WORLD", "kit")
    assert world.choose() == world.Worlds(ALL, ())
    monkeypatch.setenv("MINIML_WORLD", "official")
    with pytest.raises(SetupError, match=r"atmelavr, raspberrypi, ststm32 is not in .*core"):
        world.choose()
    for platform in ("atmelavr", "ststm32", "raspberrypi"):
        install(machine, platform)
    assert world.choose() == world.Worlds((), ALL)
    monkeypatch.setenv("MINIML_WORLD", "Kit")
    with pytest.raises(SetupError, match="must be kit or official"):
        world.choose()


def test_the_kit_is_never_taken_for_the_users_core_directory(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLATFORMIO_CORE_DIR", str(KIT))
    assert world.user_core_dir() != KIT


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    made = Checkout(tmp_path / "ein Gerät")
    made.program("pio", PIO)
    made.program("python", MINIML)
    return made


@pytest.mark.parametrize("code", [0, 1, 3])
def test_demo_passes_the_exit_code_on(code: int, checkout: Checkout) -> None:
    choices = {"BOARDS": "", "RUN_CODE": str(code), "PIO_CODE": "0", "REGISTRY": "1"}
    done = checkout.run(DEMO, **choices)
    assert done.returncode == code, done.stderr
    kit = str(checkout.root / ".pio-core")
    assert done.stdout.splitlines() == [
        "PlatformIO: offline kit for uno, nanoatmega328, stm32f4, pico",
        "-m miniml train firmware/models/digits",
        f"  PLATFORM: {kit}",
        f"  MiniML: built run -d {checkout.root} -e uno -e nanoatmega328 -e stm32f4 -e pico",
        f"core {kit}",
    ]
    log = (checkout.root / ".pio" / "miniml" / "build.log").read_text(encoding="utf-8")
    assert "Compiling something" in log


def test_demo_builds_in_two_worlds_where_a_board_is_attached(
    checkout: Checkout, tmp_path: Path
) -> None:
    core = tmp_path / "home" / ".platformio"
    install(core, "atmelavr")
    found = [{"name": "uno", "ports": ["COM3"]}, {"name": "pico", "ports": []}]
    boards = json.dumps({"boards": found})
    choices = {"BOARDS": boards, "RUN_CODE": "0", "PIO_CODE": "0", "REGISTRY": "1"}
    done = checkout.run(DEMO, HOME=str(tmp_path / "home"), **choices)
    assert done.returncode == 0, done.stderr
    kit = checkout.root / ".pio-core"
    lines = done.stdout.splitlines()
    assert [line for line in lines if "PLATFORM:" in line] == [
        f"  PLATFORM: {core}",
        f"  PLATFORM: {kit}",
    ]
    assert lines[-1] == "core not set"


def test_a_failed_build_ends_the_demo(checkout: Checkout) -> None:
    choices = {"BOARDS": "", "RUN_CODE": "0", "PIO_CODE": "1", "REGISTRY": "1"}
    done = checkout.run(DEMO, **choices)
    assert done.returncode == 4
    assert "Compiling something" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("the build failed; its whole output:")
