"""Every refusal of the hook is one line that says what, where and what to do."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from build_hook_project import (
    BOARD,
    NAME,
    STARTED,
    Project,
    Run,
    make_project,
)
from hardships import full_disk, without_root_rights


@pytest.fixture
def project(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path / "project", tmp_path_factory)


def assert_refused(project: Project, run: Run) -> str:
    """The error line of a run that stopped before the compiler."""
    assert run.code == 1
    assert run.compiled == set()
    assert not list(project.folder.rglob("*.tmp"))
    return run.error


@pytest.mark.parametrize("by", ["option", "CI"])
def test_frozen_refuses_to_train_and_names_the_lock(project: Project, by: str) -> None:
    surroundings = {"CI": "true"} if by == "CI" else {}
    ini = project.folder / "platformio.ini"
    lenient = ini.read_text(encoding="utf-8")
    frozen = lenient.replace("[env]\n", "[env]\ncustom_miniml_train = frozen\n")
    if by == "CI":
        frozen = lenient

    def build_frozen(code: int) -> Run:
        ini.write_text(frozen, encoding="utf-8")
        return project.pio("run", "-e", BOARD, code=code, **surroundings)  # type: ignore[arg-type]

    assert str(project.lock) in assert_refused(project, build_frozen(1))
    assert not project.lock.exists()

    ini.write_text(lenient, encoding="utf-8")
    project.build()
    lock = project.lock.read_bytes()
    assert build_frozen(0).trainings == 0
    project.edit(f"firmware/models/{NAME}/model.toml", "seed = 1", "seed = 2")
    stale = assert_refused(project, build_frozen(1))
    assert str(project.lock) in stale
    assert "seed (1, now 2)" in stale
    assert project.lock.read_bytes() == lock


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("custom_miniml_modell = x", "custom_miniml_modell; did you mean custom_miniml_model?"),
        ("custom_miniml_train = never", "custom_miniml_train = never: must be auto or frozen"),
        ("custom_miniml_board = unno", "uno"),
        ("custom_miniml_mode = float", "there is no mode 'float': int8, native, "),
        ("custom_miniml_python = bin/nothing", "bin/nothing: there is no such file"),
        ("custom_miniml_install = maybe", "custom_miniml_install = maybe: must be yes or no"),
    ],
)
def test_wrong_option(project: Project, line: str, words: str) -> None:
    project.options(line)
    assert words in assert_refused(project, project.build(code=1))
    assert not project.lock.exists()


def test_missing_model_folder(project: Project) -> None:
    project.edit("platformio.ini", f"firmware/models/{NAME}", "firmware/models/none")
    assert "firmware/models/none" in assert_refused(project, project.build(code=1))


def test_broken_data_leaves_the_old_header_and_nothing_half_written(project: Project) -> None:
    project.build()
    header, lock = project.header().read_bytes(), project.lock.read_bytes()
    project.append(f"firmware/models/{NAME}/{NAME}.csv", "1,word,left\n")
    error = assert_refused(project, project.build(code=1))
    assert f"{NAME}.csv" in error
    assert "62" in error, "the row"
    assert (project.header().read_bytes(), project.lock.read_bytes()) == (header, lock)


@pytest.mark.parametrize(("hidden", "what", "room"), [(3000, "flash", 32256), (2050, "SRAM", 2048)])
def test_model_too_large_is_refused_before_the_compiler(
    project: Project, hidden: int, what: str, room: int
) -> None:
    project.edit(f"firmware/models/{NAME}/model.toml", "hidden = [3]", f"hidden = [{hidden}]")
    error = assert_refused(project, project.build("uno", code=1))
    needs = error.partition(f"{NAME} needs ")[2].partition(f" bytes of {what}")[0]
    assert int(needs.replace(",", "")) > room
    assert f"uno has {room:,}" in error
    assert not (project.out("uno") / f"{NAME}_model.h").exists()


@pytest.mark.parametrize(("what", "limit"), [("flash", 4000), ("sram", 200)])
def test_firmware_too_large_is_refused_after_the_linker(
    project: Project, what: str, limit: int
) -> None:
    # Generated kernels would be planned for the smaller board.
    settings = project.folder / "firmware" / "models" / NAME / "model.toml"
    settings.write_text(settings.read_text() + '\n[code]\nkernels = "portable"\n')
    project.build()
    record = json.loads((project.out() / "build.json").read_text(encoding="utf-8"))
    (project.folder / "boards.local.ini").write_text(
        f"[{BOARD}]\n{what}_bytes = {limit}\n", encoding="utf-8"
    )
    run = project.build(code=1)
    assert f"takes {record[what]:,} bytes of {what.upper()}" in run.error
    assert f"allows {limit:,}" in run.error
    assert not (project.out() / "build.json").exists(), "nothing for the harness to flash"
    (project.folder / "boards.local.ini").unlink()
    project.build()
    assert json.loads((project.out() / "build.json").read_text(encoding="utf-8")) == record


def interpreter(path: Path, words: str) -> None:
    """A Python of that path which is started with some words before its arguments."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{words}\n", encoding="utf-8")
    path.chmod(0o755)


def test_interpreters_are_tried_in_order(project: Project, tmp_path: Path) -> None:
    log = tmp_path / "log"
    real = shlex.quote(sys.executable)

    def logging(name: str) -> str:
        return f'echo {name} >> {shlex.quote(str(log))}; exec {real} "$@"'

    def used() -> set[str]:
        names = set(log.read_text(encoding="utf-8").split())
        log.write_text("", encoding="utf-8")
        return names

    interpreter(project.folder / ".venv" / "bin" / "python", logging("venv"))
    interpreter(project.folder / "my tools" / "python", logging("option"))
    assert project.build().trainings == 1
    assert used() == {"venv"}
    # One without the packages is passed over for PlatformIO's own.
    interpreter(project.folder / ".venv" / "bin" / "python", f'exec {real} -S "$@"')
    project.header().unlink()
    project.build()
    assert used() == set()
    project.options("custom_miniml_python = my tools/python")
    project.header().unlink()
    project.build()
    assert used() == {"option"}


def test_missing_packages_are_named_or_installed_on_request(
    project: Project, tmp_path: Path
) -> None:
    log = tmp_path / "pip"
    real, quoted = shlex.quote(sys.executable), shlex.quote(str(log))
    interpreter(
        project.folder / "bare",
        f'if [ "$2" = pip ]; then echo "$*" > {quoted}; exit 0; fi\n'
        f'if [ -e {quoted} ]; then exec {real} "$@"; fi\n'
        f'exec {real} -S "$@"',
    )
    project.options("custom_miniml_python = bare")
    error = assert_refused(project, project.build(code=1))
    assert "lacks filelock" in error
    assert '-m pip install "filelock>=' in error
    assert "custom_miniml_install = yes" in error
    assert not log.exists()

    project.options("custom_miniml_install = yes")
    run = project.build()
    assert run.trainings == 1
    assert "numpy>=" in log.read_text(encoding="utf-8")
    assert "-m pip install" in run.output, "it says what it installs"


def test_no_write_permission(project: Project) -> None:
    project.build()
    project.out().chmod(0o555)
    project.edit(f"firmware/models/{NAME}/model.toml", "seed = 1", "seed = 2")
    run = project.pio("run", "-e", BOARD, code=1, wrap=without_root_rights())
    assert f"{project.out()}" in assert_refused(project, run)
    assert "can't be written (Permission denied)" in run.error

    project.out().chmod(0o755)
    project.build()
    project.append("firmware/src/main.cpp", "// another build id\n")
    project.out().chmod(0o555)
    run = project.pio("run", "-e", BOARD, code=1, wrap=without_root_rights())
    assert "miniml_build_id.h: can't be written (Permission denied)" in assert_refused(project, run)


def test_full_disk(project: Project, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    project.edit(f"firmware/models/{NAME}/model.toml", "hidden = [3]", "hidden = [400]")
    run = project.pio(
        "run", "-e", BOARD, code=1, wrap=full_disk(small), PLATFORMIO_WORKSPACE_DIR=str(small)
    )
    error = assert_refused(project, run)
    assert "can't be written (No space left on device)" in error or "(File too large)" in error
    assert "make room" in error
    assert not project.lock.exists()
    assert project.build().trainings == 1


def test_killed_at_any_moment_the_next_run_works(project: Project) -> None:
    project.build()
    lock = project.lock.read_bytes()
    for delay in (0.35, 0.6, 0.9, 1.3):
        project.edit(f"firmware/models/{NAME}/model.toml", "epochs = ", "epochs = 1")
        process = subprocess.Popen(
            project.command("run", "-e", BOARD),
            cwd=project.folder,
            env=project.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        project.edit(f"firmware/models/{NAME}/model.toml", "epochs = 1", "epochs = ")
        json.loads(project.lock.read_text(encoding="utf-8"))
    run = project.build()
    assert STARTED in run.output
    assert project.lock.read_bytes() == lock
    record = json.loads((project.out() / "build.json").read_text(encoding="utf-8"))
    assert record["model_id"] == json.loads(lock)["model_id"]
