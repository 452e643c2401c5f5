"""The hook's main promise: what changed is made again, what didn't is left alone."""

import subprocess
from pathlib import Path

import pytest
from build_hook_project import BOARD, NAME, STARTED, Project, make_project

# Only these include the model's header and the build id's.
DEPENDENTS = {"main.cpp", "build_id.cpp"}
# Another model has other kernels as well.
RETRAINED = DEPENDENTS | {f"{NAME}_kernels"}


@pytest.fixture
def project(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path / "project", tmp_path_factory)


def times(folder: Path) -> dict[str, int]:
    """Every file below a folder but PlatformIO's own book-keeping -> time of its last change."""
    return {
        str(file.relative_to(folder)): file.stat().st_mtime_ns
        for file in folder.rglob("*")
        if file.is_file() and not file.name.startswith((".sconsign", ".filelock"))
    }


def test_regenerates_what_changed_and_nothing_else(project: Project) -> None:
    first = project.build()
    assert first.trainings == 1
    assert first.compiled > DEPENDENTS
    text = project.header().read_bytes()
    lock = project.lock.read_bytes()
    before = times(project.folder)

    idle = project.build()
    assert STARTED + "t" not in idle.output
    assert idle.output.count(STARTED) == 1, "only the line about sizes"
    assert idle.compiled == set()
    assert "Linking" not in idle.output
    assert times(project.folder) == before

    project.append(f"firmware/models/{NAME}/{NAME}.csv", "9,1,right\n")
    after_data = project.build()
    assert after_data.trainings == 1
    assert after_data.compiled == RETRAINED
    assert project.header().read_bytes() != text
    assert project.lock.read_bytes() != lock

    project.edit(f"firmware/models/{NAME}/model.toml", "hidden = [3]", "hidden = [4]")
    after_settings = project.build()
    assert after_settings.trainings == 1
    assert after_settings.compiled == RETRAINED

    header = project.header()
    content = header.read_bytes()
    header.unlink()
    restored = project.build()
    assert restored.trainings == 0
    assert restored.compiled == set()
    assert header.read_bytes() == content
    header.write_bytes(content + b"// edited by hand\n")
    assert project.build().compiled == set()
    assert header.read_bytes() == content


def test_headers_and_build_id_are_the_same_after_deleting_pio_and_elsewhere(
    project: Project, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    names = (f"{NAME}_model.h", "miniml_firmware.h", "miniml_build_id.h")
    project.build()
    first = [(project.out() / name).read_bytes() for name in names]
    pio = project.folder / ".pio"
    pio.rename(tmp_path / "gone")
    again = project.build()
    assert again.trainings == 0
    assert [(project.out() / name).read_bytes() for name in names] == first

    elsewhere = make_project(tmp_path / "longer name" / "Gerät", tmp_path_factory)
    elsewhere.lock.write_bytes(project.lock.read_bytes())
    assert elsewhere.build().trainings == 0
    assert [(elsewhere.out() / name).read_bytes() for name in names] == first


def test_other_kernels_train_nothing_and_leave_none_behind(project: Project) -> None:
    project.build()
    kernels = project.out() / f"{NAME}_kernels.S"
    header, lock = project.header().read_bytes(), project.lock.read_bytes()
    settings = project.folder / f"firmware/models/{NAME}/model.toml"
    settings.write_text(settings.read_text() + '\n[code]\nplacement = "flash"\n')
    changed = project.build()
    assert (changed.trainings, changed.compiled) == (0, {"build_id.cpp", f"{NAME}_kernels"})
    assert project.header().read_bytes() == header
    settings.write_text(settings.read_text() + 'kernels = "portable"\n')
    changed = project.build()
    assert (changed.trainings, changed.compiled) == (0, DEPENDENTS)
    assert not kernels.exists()
    assert project.header().read_bytes() != header
    assert project.lock.read_bytes() == lock
    # A sketch that names the old header shall not find it.
    settings.write_text(settings.read_text().replace(f'"{NAME}"', '"renamed"'))
    changed = project.build()
    assert changed.trainings == 0
    assert not project.header().exists()
    assert (project.out() / "renamed_model.h").is_file()


def test_a_change_of_the_firmware_or_of_a_flag_changes_the_build_id(project: Project) -> None:
    header = project.out() / "miniml_build_id.h"
    project.build()
    ids = [header.read_bytes()]
    project.append("firmware/src/main.cpp", "// another firmware\n")
    assert project.build().compiled == DEPENDENTS
    ids.append(header.read_bytes())
    project.edit("platformio.ini", f"[env:{BOARD}]", f"[env:{BOARD}]\nbuild_flags = -DANYTHING=1")
    project.build()
    ids.append(header.read_bytes())
    assert len(set(ids)) == 3


def test_four_environments_train_once_also_at_the_same_time(project: Project) -> None:
    envs = ("uno", "nanoatmega328", "stm32f4", "pico")
    assert project.build(*envs).trainings == 1
    assert len({project.header(env).read_bytes() for env in envs}) == 1

    project.append(f"firmware/models/{NAME}/{NAME}.csv", "9,1,right\n")
    running = [
        subprocess.Popen(
            project.command("run", "-e", env),
            cwd=project.folder,
            env=project.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for env in ("uno", "pico")
    ]
    outputs = [process.communicate(timeout=500)[0] for process in running]
    for process, output in zip(running, outputs, strict=True):
        assert process.returncode == 0, output
    assert sum(output.count(" trained, ") for output in outputs) == 1
    assert project.header("uno").read_bytes() == project.header("pico").read_bytes()
