"""`miniml boards doctor`: what it makes of machines that people have, by what those say."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from attached_boards import attached, ch340, listed, pico, st_link, uno
from device_stand_in import DeviceStandIn

from miniml.boards import load_boards
from miniml.cli import main
from miniml.hil.doctor import examine as examine_module
from miniml.hil.doctor import machine as machine_module
from miniml.hil.doctor.machine import Machine
from miniml.hil.finding import attached as attached_module
from miniml.hil.finding import probe

ROOT = Path(__file__).parents[1]
BOARDS = load_boards(ROOT)
GROUP = "root:x:0:\ndialout:x:20:ada\nplugdev:x:46:ada\nada:x:1000:\n"
# lsblk 2.38 of a laptop with a Pico in BOOTSEL.
LSBLK = {
    "blockdevices": [
        {
            "path": "/dev/sda",
            "label": None,
            "mountpoints": [None],
            "children": [{"path": "/dev/sda1", "label": "RPI-RP2", "mountpoints": [None]}],
        },
        {"path": "/dev/nvme0n1", "label": None, "mountpoints": ["/", "/home"]},
    ]
}
BRLTTY = """\
# Device: 0403:6001
# Hedo [MobilLine]
ENV{PRODUCT}=="403/6001/*", ATTRS{manufacturer}=="Hedo Reha Technik GmbH", GOTO="brltty_usb_run"
# Device: 1A86:7523
# Baum [NLS eReader Zoomax (20 cells)]
ENV{PRODUCT}=="1a86/7523/*", ENV{BRLTTY_BRAILLE_DRIVER}="bm", GOTO="brltty_usb_run"
"""
# udevadm info --query=property of an Uno's port, with and without PlatformIO's rules.
UDEV = "DEVNAME=/dev/ttyACM0\nID_BUS=usb\nID_USB_DRIVER=cdc_acm\nID_MM_CANDIDATE=1\n"
IGNORED = UDEV + "ID_MM_DEVICE_IGNORE=1\nID_MM_PORT_IGNORE=1\n"


class Recorded(Machine):
    """A machine whose files lie in a folder, and whose programs say what they once said."""

    system = "linux"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.programs = {"avrdude", "stm32flash", "openocd", "dfu-util", "picotool", "uhubctl"}
        self.outputs: dict[str, str] = {}
        self.closed: set[str] = set()
        self.gids = {"/dev/ttyACM0": 20}
        self.own: tuple[int, ...] = (1000, 20)
        self.write("etc/group", GROUP)
        self.write("proc/1/comm", "systemd\n")

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def usb_device(self, location: str, ids: str, number: int, **texts: str) -> None:
        vendor, product = ids.split(":")
        texts |= {"idVendor": vendor, "idProduct": product, "busnum": "1", "devnum": str(number)}
        for name, text in texts.items():
            self.write(f"sys/bus/usb/devices/{location}/{name}", text + "\n")

    def which(self, program: str) -> str | None:
        return f"/usr/bin/{program}" if program in self.programs else None

    def run(self, command: Sequence[str]) -> str | None:
        return self.outputs.get(" ".join(command))

    def may_use(self, path: str) -> bool:
        return path not in self.closed

    def group_of(self, path: str) -> int | None:
        return self.gids.get(path)

    def user(self) -> tuple[str, tuple[int, ...]]:
        return "ada", self.own

    def platformio_packages(self) -> Path:
        return self.root / "packages"


@pytest.fixture
def machine(tmp_path: Path) -> Recorded:
    return Recorded(tmp_path)


def look(machine: Machine, *ports: Any, boards: Sequence[str] = ("uno",)) -> list[str]:
    """The doctor's lines."""
    chosen = [BOARDS[name] for name in boards]
    return list(map(str, examine_module.examine(chosen, BOARDS, attached(*ports), machine, None)))


def one(lines: list[str], words: str) -> str:
    (line,) = [line for line in lines if words in line]
    return line


def problems(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("problem")]


def test_a_healthy_machine_has_no_problem(machine: Recorded) -> None:
    lines = look(machine, uno(), pico(), boards=("uno", "pico"))
    assert problems(lines) == []
    assert one(lines, "avrdude").startswith("ok ")
    assert one(lines, "/dev/ttyACM0 may be opened").startswith("ok ")
    assert "--probe opens the port" in one(lines, "not checked uno: firmware")


@pytest.mark.parametrize(
    ("group", "own", "gid", "remedy"),
    [
        (GROUP.replace("ada\nplug", "\nplug"), (1000,), 20, "`sudo usermod -aG dialout ada`"),
        (GROUP, (1000,), 20, "log out and in: you are in the group dialout"),
        (GROUP, (1000, 20), 20, "--udev-rules"),
        (GROUP, (1000,), 0, "--udev-rules"),
        (GROUP, (1000,), None, "--udev-rules"),
    ],
)
def test_a_port_that_may_not_be_opened(
    machine: Recorded, group: str, own: tuple[int, ...], gid: int | None, remedy: str
) -> None:
    machine.closed.add("/dev/ttyACM0")
    machine.write("etc/group", group)
    machine.own = own
    machine.gids = {} if gid is None else {"/dev/ttyACM0": gid}
    (line,) = problems(look(machine, uno()))
    assert "ada may not open /dev/ttyACM0" in line
    assert remedy in line


def test_usb_devices_without_a_port_need_rights_too(machine: Recorded) -> None:
    machine.usb_device("1-1.3", "0483:3748", 7, serial="\x1b[31m\xff")
    machine.usb_device("1-1.4", "1d6b:0002", 1)
    machine.closed.add("/dev/bus/usb/001/007")
    line = one(problems(look(machine, uno())), "ST-LINK")
    assert "no right to open ST-LINK (0483:3748, USB socket 1-1.3, serial number ?[31m?)" in line
    assert "60-miniml.rules" in line


def test_modem_manager(machine: Recorded) -> None:
    machine.write("proc/811/comm", "ModemManager\n")
    assert problems(look(machine, ch340(), boards=("nanoatmega328",))) == []
    (line,) = problems(look(machine, uno()))
    assert "AT commands to /dev/ttyACM0" in line
    assert "systemctl disable --now ModemManager" in line
    machine.outputs["udevadm info --query=property --name=/dev/ttyACM0"] = UDEV
    assert len(problems(look(machine, uno()))) == 1
    machine.outputs["udevadm info --query=property --name=/dev/ttyACM0"] = IGNORED
    assert problems(look(machine, uno())) == []


def test_brltty_takes_a_ch340(machine: Recorded) -> None:
    machine.usb_device("1-1.2", "1a86:7523", 5, product="USB2.0-Serial")
    nano = ("nanoatmega328",)
    assert problems(look(machine, ch340(), boards=nano)) == []
    # It has no port: then the driver is missing, or brltty has it.
    assert "its driver (ch341" in one(problems(look(machine, boards=nano)), "1a86:7523")
    machine.write("proc/9/comm", "brltty\n")
    assert "apt remove brltty" in one(problems(look(machine, boards=nano)), "1a86:7523")
    machine.write("usr/lib/udev/rules.d/85-brltty.rules", BRLTTY)
    line = one(problems(look(machine, ch340(), boards=nano)), "brltty")
    assert "ln -s /dev/null /etc/udev/rules.d/85-brltty.rules" in line
    # Ubuntu's cure, and a rules file of one's own.
    machine.write("usr/lib/udev/rules.d/85-brltty.rules", BRLTTY.replace("\nENV", "\n#ENV"))
    assert problems(look(machine, ch340(), boards=nano)) == []
    machine.write("usr/lib/udev/rules.d/85-brltty.rules", BRLTTY)
    machine.write("etc/udev/rules.d/85-brltty.rules", "")
    assert problems(look(machine, ch340(), boards=nano)) == []


def test_brltty_wants_an_ft232_of_one_maker_only(machine: Recorded) -> None:
    machine.usb_device("1-1.2", "0403:6001", 5)
    machine.write("lib/udev/rules.d/90-brltty-device.rules", BRLTTY)
    port = listed("/dev/ttyUSB0", "0403:6001", "1-1.2", "A50285BI", "FTDI", "FT232R USB UART")
    assert problems(look(machine, port, boards=("nanoatmega328",))) == []


@pytest.mark.parametrize("columns", ["MOUNTPOINTS", "MOUNTPOINT"])
def test_the_drive_of_a_pico_in_bootsel(machine: Recorded, columns: str) -> None:
    machine.usb_device("1-1.4", "2e8a:0003", 9, serial="E0C9125B0D9B")
    command = f"lsblk --json --output PATH,LABEL,{columns}"
    text = json.dumps(LSBLK)
    if columns == "MOUNTPOINT":
        text = text.replace('"mountpoints": [null]', '"mountpoint": null')
    machine.outputs[command] = text
    lines = look(machine, boards=("pico",))
    assert "`udisksctl mount -b /dev/sda1`" in one(problems(lines), "isn't mounted")
    assert "RP2040 in BOOTSEL" in one(problems(lines), "problem     pico")
    if columns == "MOUNTPOINTS":
        machine.outputs[command] = text.replace("[null]}]", '["/media/ada/RPI-RP2"]}]')
        assert one(look(machine, boards=("pico",)), "/media/ada/RPI-RP2").startswith("ok ")
    machine.outputs[command] = '{"blockdevices": []}'
    assert "shows no drive" in one(problems(look(machine, boards=("pico",))), "shows no drive")
    machine.outputs[command] = "["
    assert problems(look(machine, boards=("pico",)))
    machine.outputs.clear()
    assert "lsblk is missing" in one(look(machine, boards=("pico",)), "lsblk")


def test_missing_tools(machine: Recorded) -> None:
    machine.programs.clear()
    boards = dict(BOARDS)
    boards["pico"] = dataclasses.replace(
        BOARDS["pico"], flash_method="picotool", power="uhubctl:1-1:4"
    )
    chosen = [boards["pico"], boards["uno"], boards["nucleo_f446re"]]
    ports = attached(uno(), st_link(), pico())
    lines = [str(c) for c in examine_module.examine(chosen, boards, ports, machine, None)]
    assert "sudo apt install picotool" in one(problems(lines), "picotool")
    assert "sudo apt install uhubctl" in one(problems(lines), "uhubctl")
    assert "avrdude comes with PlatformIO" in one(lines, "avrdude")
    assert "openocd or st-flash comes with" in one(lines, "openocd")
    (machine.root / "packages" / "tool-picotool-rp2040-earlephilhower").mkdir(parents=True)
    lines = [str(c) for c in examine_module.examine(chosen, boards, ports, machine, None)]
    assert "picotool is among PlatformIO's packages" in one(lines, "picotool")


def test_a_bench_without_platformio_needs_the_tools_themselves(machine: Recorded) -> None:
    machine.programs.clear()
    ports = attached(uno())
    checks = examine_module.examine([BOARDS["uno"]], BOARDS, ports, machine, None, direct=True)
    lines = list(map(str, checks))
    assert "sudo apt install avrdude" in one(problems(lines), "avrdude")
    assert [line for line in lines if "PlatformIO" in line] == []


def test_boards_that_are_missing_or_not_alone(machine: Recorded) -> None:
    lines = look(
        machine,
        ch340(),
        ch340("/dev/ttyUSB1", "3-2"),
        boards=("uno", "nanoatmega328", "disco_f407vg"),
    )
    assert "a cable that has data lines" in one(problems(lines), "uno: not attached")
    assert "3-2" in one(problems(lines), "2 ports may be nanoatmega328")
    assert "--board disco_f407vg --port PORT" in one(problems(lines), "disco_f407vg")
    lines = look(machine, ch340(), boards=("nanoatmega328",))
    assert "its USB ids don't tell" in one(lines, "not checked nanoatmega328")
    machine.usb_device("1-1.3", "0483:df11", 7, serial="317636873439")
    line = one(problems(look(machine, boards=("blackpill_f411ce",))), "blackpill_f411ce")
    assert "STM32 in its DFU loader" in line


def test_a_board_of_another_machine_is_not_looked_for(machine: Recorded) -> None:
    boards = BOARDS | {"uno": dataclasses.replace(BOARDS["uno"], resource="labgrid:bench-3")}
    ports = attached(uno())
    chosen = examine_module.concerned(boards, ports)
    assert [board.name for board in chosen] == ["uno"]
    lines = [str(c) for c in examine_module.examine(chosen, boards, ports, machine, None)]
    assert "run the doctor there" in one(lines, "labgrid:bench-3")
    assert problems(lines) == []


def test_elsewhere_it_says_what_it_did_not_check(machine: Recorded) -> None:
    machine.system = "darwin"
    port = uno("/dev/cu.usbmodem14101", "20-1.1")
    lines = look(machine, port, pico("/dev/cu.usbmodem1"), boards=("uno", "pico"))
    assert problems(lines) == []
    assert sum(line.startswith("not checked") and "only on Linux" in line for line in lines) == 4


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: Recorded) -> Any:
    """Runs the command on the recorded machine with these ports attached."""
    for name in ("boards.ini", "platformio.ini"):
        shutil.copy(ROOT / name, tmp_path / name)
    # Who answers isn't missed, however loaded the machine is.
    monkeypatch.setattr(probe, "PATIENCE", 10)
    monkeypatch.setattr(machine_module, "Machine", lambda: machine)

    def run(ports: Sequence[Any], *words: str) -> int:
        monkeypatch.setattr(attached_module, "attached_ports", lambda: attached(*ports))
        return main(["boards", "doctor", "--project-dir", str(tmp_path), *words])

    return run


def test_the_command_asks_the_firmware(
    command: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(DeviceStandIn(name="UNO")) as board:
        port = listed(board.port, "2341:0043", "1-1.1:1.0", "5573", "Arduino", "Uno")
        assert command([port]) == 0
        assert "not checked uno: firmware: --probe" in capsys.readouterr().out
        assert board.requests == []
        assert command([port], "--probe", "--json") == 0
        content = json.loads(capsys.readouterr().out)
        assert content["ok"] is True
        assert "uno answers" in content["checks"][-1]["text"]
        assert command([port], "--probe", "--board", "nanoatmega328") == 1
        assert "nanoatmega328: not attached" in capsys.readouterr().out
        board.name = "PICO"
        assert command([port], "--probe") == 1
        assert "pico answers" in one(problems(capsys.readouterr().out.splitlines()), "uno: ")
    monkeypatch.setattr(probe, "PATIENCE", 0.05)
    with closing(DeviceStandIn(fault=lambda number, line: b"")) as mute:
        port = listed(mute.port, "2341:0043", "1-1.1:1.0", "5573", "Arduino", "Uno")
        assert command([port], "--probe") == 1
    line = one(problems(capsys.readouterr().out.splitlines()), "nothing answers")
    assert "miniml flash --board uno" in line
    assert command([uno("/dev/ttyACM78")], "--probe") == 1
    assert "is missing" in one(problems(capsys.readouterr().out.splitlines()), "uno")


def test_nothing_attached_and_a_wrong_name(
    command: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command([]) == 1
    assert "no board is attached" in problems(capsys.readouterr().out.splitlines())[0]
    assert command([], "--board", "unoo") == 2
    assert "did you mean 'uno'" in capsys.readouterr().err


def test_the_udev_rules_have_every_board(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert command([], "--udev-rules") == 0
    lines = capsys.readouterr().out.splitlines()
    rule = re.compile(
        r'SUBSYSTEM=="(usb|tty)", ATTRS\{idVendor\}=="[0-9a-f]{4}", '
        r'ATTRS\{idProduct\}=="[0-9a-f]{4}", [A-Z]+="0660", GROUP="dialout", TAG\+="uaccess", '
        r'ENV\{ID_MM_DEVICE_IGNORE\}="1", ENV\{ID_MM_PORT_IGNORE\}="1"'
    )
    assert [line for line in lines if not line.startswith("#") and not rule.fullmatch(line)] == []
    text = "\n".join(lines)
    for board in BOARDS.values():
        for vendor, product in board.usb_ids:
            assert f'"{vendor:04x}", ATTRS{{idProduct}}=="{product:04x}"' in text
    assert '"2e8a", ATTRS{idProduct}=="0003"' in text


def test_this_machine_can_be_asked(tmp_path: Path) -> None:
    machine = Machine()
    assert machine.processes() != set()
    assert machine.text("/etc/none/such") is None
    assert machine.names("/none/such") == []
    assert machine.run(["false"]) is None
    assert machine.run(["none-such-program"]) is None
    assert machine.run(["echo", "yes"]) == "yes\n"
    assert machine.may_use(str(tmp_path))
    assert machine.group_of(str(tmp_path / "no")) is None
    assert machine.user()[0]
