"""Setting up: system packages, .venv, and what a user reads where that can't be done."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from setup_checkout import ROOT, Checkout, environment, script

from pio_extra.provision import surroundings, system_packages
from pio_extra.provision.errors import SetupError
from pio_extra.provision.system_packages import Need

ENSURE = "from pio_extra.provision import environment; print(environment.ensure())"
ENSURE_LOCKED = """
from pio_extra.provision import environment, setup_lock
with setup_lock.one_at_a_time():
    print(environment.ensure())
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "ein Gerät")


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH; its programs note their arguments in `calls`."""
    folder = tmp_path / "commands"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return folder


def need(folder: Path, name: str) -> Need:
    return Need(f"{name}-package", f"using {name}", (folder / name).exists)


def calls(tmp_path: Path) -> list[str]:
    return (tmp_path / "calls").read_text(encoding="utf-8").splitlines()


def installer(folder: Path, name: str = "apt-get", ending: str = "") -> None:
    """Notes its arguments; `install` makes the command `tool` appear."""
    text = f'echo "{name} $*" >> "$CALLS"\n{ending}case "$*" in *install*) : > {folder}/tool;; esac'
    script(folder / name, text.replace(f"{folder}/tool", f"'{folder}/tool'") + "\n")


def test_packages_are_named_before_they_are_installed(
    commands: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    installer(commands)
    system_packages.install([need(commands, "tool")])
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "missing: tool-package (using tool)"
    assert lines[1].startswith("+ apt-get ")
    (call,) = calls(tmp_path)
    assert call.endswith("install -y --no-install-recommends tool-package")


def test_nothing_missing_asks_nobody(commands: Path, tmp_path: Path) -> None:
    installer(commands)
    (commands / "tool").touch()
    present = [need(commands, "tool")]
    system_packages.install(system_packages.missing(present))
    assert not (tmp_path / "calls").exists()


def test_package_lists_are_fetched_where_they_are_missing(commands: Path, tmp_path: Path) -> None:
    refused = f"[ -e '{tmp_path}/lists' ] || {{ : > '{tmp_path}/refused'; }}\n"
    refused += f"case \"$*\" in *update*) : > '{tmp_path}/lists'; exit 0;; esac\n"
    refused += f"[ -e '{tmp_path}/lists' ] || exit 100\n"
    installer(commands, ending=refused)
    system_packages.install([need(commands, "tool")])
    assert ["update" in call for call in calls(tmp_path)] == [False, True, False]


def test_a_failing_apt_ends_in_one_line(commands: Path) -> None:
    script(commands / "apt-get", "exit 100\n")
    with pytest.raises(SetupError, match=r"apt-get failed.*sudo apt-get install tool-package"):
        system_packages.install([need(commands, "tool")])


def test_a_package_that_brings_nothing_is_noticed(commands: Path) -> None:
    script(commands / "apt-get", "exit 0\n")
    with pytest.raises(SetupError, match="still missing after installing: tool-package"):
        system_packages.install([need(commands, "tool")])


@pytest.mark.parametrize("sudo", [None, "exit 1\n"], ids=["no sudo", "sudo wants a password"])
def test_without_rights_the_command_is_told(
    sudo: str | None, commands: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    installer(commands)
    if sudo:
        script(commands / "sudo", sudo)
    with pytest.raises(SetupError, match="run this once: sudo apt-get install tool-package"):
        system_packages.install([need(commands, "tool")])
    assert not (tmp_path / "calls").exists()


def test_sudo_is_used_where_it_may_be(
    commands: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    installer(commands)
    installer(commands, "sudo")
    system_packages.install([need(commands, "tool")])
    asked, used = calls(tmp_path)
    assert asked == "sudo -n true"
    assert used.startswith("sudo -n env DEBIAN_FRONTEND=noninteractive apt-get ")


def test_another_package_manager_gets_the_list(commands: Path) -> None:
    with pytest.raises(SetupError, match=r"\(Debian's names\).*then repeat: tool-package"):
        system_packages.install([need(commands, "tool")])


def test_the_whole_set_up_names_everything_and_ends_in_one_line(
    checkout: Checkout, tmp_path: Path
) -> None:
    empty = tmp_path / "nothing"
    empty.mkdir()
    done = checkout.bootstrap("setup", PATH=str(empty))
    assert done.returncode == 4
    for package in ("gcc-avr", "avrdude", "gcc-arm-none-eabi", "stm32flash"):
        assert f"missing: {package} (" in done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("setup: error: install these (Debian's names)")
    assert not (checkout.root / ".venv").exists()


def test_an_old_python_gets_one_line_or_is_replaced(tmp_path: Path) -> None:
    bootstrap = ROOT / "pio_extra" / "bootstrap.py"
    # Parsed by Python 3.8 before its first statement can say anything.
    ast.parse(bootstrap.read_text(encoding="utf-8"), feature_version=(3, 8))
    code = (
        "import runpy, sys; sys.version_info = (3, 8, 0, 'final', 0); sys.argv = ['b', 'setup']; "
        f"runpy.run_path({str(bootstrap)!r}, run_name='__main__')"
    )
    command = [sys.executable, "-c", code]
    empty = {**environment(), "PATH": str(tmp_path)}
    done = subprocess.run(command, env=empty, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("setup: error: Python 3.11 or newer is needed")
    assert len(done.stderr.splitlines()) == 1
    script(tmp_path / "python3.12", 'echo "newer $2"\n')
    done = subprocess.run(command, env=empty, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "newer setup\n")


def test_the_environment_is_made_once_and_again_after_a_move(
    checkout: Checkout, tmp_path: Path
) -> None:
    first = checkout.run(ENSURE)
    assert first.stdout.endswith("True\n"), first.stderr
    again = checkout.run(ENSURE)
    assert again.stdout == "False\n"
    checkout.root = checkout.root.rename(tmp_path / "moved")
    moved = checkout.run(ENSURE)
    assert "making the virtual environment" in moved.stdout, moved.stderr
    pip = (checkout.root / ".venv" / "bin" / "pip").read_text(encoding="utf-8")
    assert str(checkout.root) in pip
    assert "ein Gerät" not in pip


def test_a_killed_set_up_begins_anew_and_two_at_once_wait(checkout: Checkout) -> None:
    checkout.program("activate", "")
    (checkout.root / ".venv" / "miniml-setup.txt").write_text("incomplete", encoding="utf-8")
    (checkout.root / ".venv" / "left-over").touch()
    both = [
        subprocess.Popen(
            [sys.executable, "-c", ENSURE_LOCKED],
            cwd=checkout.root,
            env={**environment(), "PYTHONPATH": str(checkout.root)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = sorted(process.communicate(timeout=600)[0].splitlines()[-1] for process in both)
    assert outputs == ["False", "True"]
    assert not (checkout.root / ".venv" / "left-over").exists()


def test_a_changed_lock_is_installed(checkout: Checkout) -> None:
    notes = checkout.root / "calls"
    note = f'case "$2" in *import*) echo {checkout.root};; *) echo "$*" >> \'{notes}\';; esac\n'
    checkout.program("python", note)
    checkout.program("activate", f"VIRTUAL_ENV='{checkout.root}/.venv'\n")
    assert checkout.run(ENSURE).stdout.endswith("True\n")
    assert checkout.run(ENSURE).stdout == "False\n"
    (checkout.root / "requirements.lock").write_text("# changed\n", encoding="utf-8")
    assert checkout.run(ENSURE).stdout.endswith("True\n")
    lines = notes.read_text(encoding="utf-8").splitlines()
    assert [("--require-hashes" in line) for line in lines] == [True, False, True, False]


def test_pip_failing_is_one_line(checkout: Checkout) -> None:
    (checkout.root / ".venv").write_text("in the way", encoding="utf-8")
    done = checkout.run(
        "from pio_extra.provision import environment, errors\n"
        "try:\n    environment.ensure()\n"
        "except errors.SetupError as error:\n    print(error)"
    )
    assert done.stdout.splitlines()[-1] == "can't make .venv", done.stderr


@pytest.mark.parametrize("home", ["", None])
def test_an_empty_home_puts_nothing_into_the_root_directory(
    home: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if home is None:
        monkeypatch.delenv("HOME")
    else:
        monkeypatch.setenv("HOME", home)
    assert "HOME" not in surroundings.child_environment()
    monkeypatch.setattr(surroundings, "_has_home", lambda: False)
    assert surroundings.child_environment()["HOME"] == str(ROOT / ".pio" / "home")
