"""The hook works wherever the project, the build folder and the caller are."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from build_hook_project import BOARD, NAME, Project, Run, make_project
from hardships import without_root_rights


@pytest.fixture
def project(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path / "ein Gerät, zwei Maße", tmp_path_factory)


def record(out: Path) -> dict[str, object]:
    found = json.loads((out / "build.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def test_from_another_folder_with_spaces_and_umlauts_in_the_path(
    project: Project, tmp_path: Path
) -> None:
    relative = project.folder.relative_to(tmp_path)
    run = project.pio("run", "-d", str(relative), "-e", BOARD, cwd=tmp_path)
    assert run.trainings == 1
    assert record(project.out())["env"] == BOARD
    assert record(project.out())["model_dir"] == f"firmware/models/{NAME}"
    idle = project.pio("run", "-d", str(project.folder), "-e", BOARD, cwd=Path("/"))
    assert idle.compiled == set()
    assert idle.trainings == 0


def test_build_folder_elsewhere(project: Project, tmp_path: Path) -> None:
    elsewhere = tmp_path / "Ausgabe für alle"
    project.build(PLATFORMIO_BUILD_DIR=str(elsewhere))
    assert record(project.out(build_dir=elsewhere))["model"] == NAME
    assert not project.header().exists()


@pytest.fixture
def read_only(project: Project) -> Iterator[Project]:
    """The project with nothing in it that may be written, not even by its owner."""
    subprocess.run(["chmod", "-R", "a-w", str(project.folder)], check=True)
    yield project
    subprocess.run(["chmod", "-R", "u+w", str(project.folder)], check=True)


def test_read_only_sources_by_a_folder_of_links(read_only: Project, tmp_path: Path) -> None:
    workspace = str(tmp_path / "workspace")
    # PlatformIO itself refuses such a folder as its project, before any script of ours runs.
    refused = read_only.pio(
        "run",
        "-e",
        BOARD,
        code=2,
        wrap=without_root_rights(),
        cwd=read_only.folder,
        PLATFORMIO_WORKSPACE_DIR=workspace,
    )
    assert "is not writable" in refused.output

    links = tmp_path / "links"
    links.mkdir()
    for entry in read_only.folder.iterdir():
        (links / entry.name).symlink_to(entry)

    def build_from_links() -> Run:
        return read_only.pio(
            "run",
            "-e",
            BOARD,
            wrap=without_root_rights(),
            cwd=links,
            PLATFORMIO_WORKSPACE_DIR=workspace,
        )

    run = build_from_links()
    assert run.trainings == 1
    assert "model.lock.json: can't be written, the model is kept in the cache only" in run.output
    assert not read_only.lock.exists()
    assert all(entry.is_symlink() for entry in links.iterdir()), "it writes to the workspace only"
    idle = build_from_links()
    assert idle.trainings == 0
    assert idle.compiled == set()


def test_read_only_model_folder(project: Project) -> None:
    project.model.chmod(0o555)
    run = project.pio("run", "-e", BOARD, wrap=without_root_rights())
    assert run.trainings == 1
    assert "model.lock.json: can't be written" in run.output
    assert project.pio("run", "-e", BOARD, wrap=without_root_rights()).trainings == 0


def test_a_project_that_had_nothing_of_miniml(project: Project, tmp_path: Path) -> None:
    """As docs/BUILD_HOOK.md says under "In a project of yours"."""
    mine = tmp_path / "my project"
    (mine / "src").mkdir(parents=True)
    project.model.rename(mine / "model")
    (mine / "src" / "main.cpp").write_text(
        "#include <Arduino.h>\n#include <miniml.h>\n\n"
        f'#include "{NAME}_model.h"\n\n'
        "static float in[2], out[2];\nvoid setup() { Serial.begin(9600); }\n"
        f"void loop() {{ {NAME}_predict(in, out); Serial.println(out[0]); }}\n",
        encoding="utf-8",
    )
    scripts = project.folder / "pio_extra"
    (mine / "platformio.ini").write_text(
        f"[env:{BOARD}]\nplatform = raspberrypi\nboard = pico\nframework = arduino\n"
        f"extra_scripts =\n    pre:{scripts / 'generate.py'}\n    post:{scripts / 'verify.py'}\n"
        f"lib_extra_dirs =\n    {project.folder / 'firmware' / 'lib'}\n"
        "custom_miniml_model = model\n",
        encoding="utf-8",
    )
    yours = Project(mine, project.core)
    assert "copy MiniML's boards.ini" in yours.build(code=1).error
    (project.folder / "boards.ini").rename(mine / "boards.ini")
    # The packages come from the .venv of MiniML's checkout, PlatformIO's Python has none.
    log = tmp_path / "started"
    python = project.folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\necho yes > "{log}"\nexec "{sys.executable}" "$@"\n', "utf-8")
    python.chmod(0o755)
    run = yours.build()
    assert run.trainings == 1
    assert log.exists()
    assert "; without the link; " in run.output
    assert record(yours.out())["model"] == NAME
    log.unlink()
    assert yours.build().compiled == set()
    assert not log.exists(), "nothing changed, so nothing was started"
