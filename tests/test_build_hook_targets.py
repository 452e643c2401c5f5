"""What pio does without compiling trains nothing: an IDE asks for such things all the time."""

from pathlib import Path

import pytest
from build_hook_project import BOARD, NAME, STARTED, Project, make_project

TARGETS = ["clean", "fullclean", "idedata", "compiledb", "envdump"]


@pytest.fixture
def project(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path / "project", tmp_path_factory)


def assert_untouched(project: Project, output: str) -> None:
    assert STARTED not in output
    assert not project.lock.exists()
    assert not project.header().exists()


@pytest.mark.parametrize("target", TARGETS)
def test_target_trains_nothing(project: Project, target: str) -> None:
    assert_untouched(project, project.pio("run", "-e", BOARD, "-t", target).output)


def test_project_metadata_trains_nothing_and_knows_the_headers_folder(project: Project) -> None:
    metadata = project.pio("project", "metadata", "-e", BOARD, "--json-output").output
    assert_untouched(project, metadata)
    assert str(project.out()) in metadata


def test_list_of_targets_trains_nothing(project: Project) -> None:
    assert_untouched(project, project.pio("run", "-e", BOARD, "--list-targets").output)


def test_clean_removes_the_headers_and_the_next_run_does_not_train(project: Project) -> None:
    project.build()
    text = project.header().read_bytes()
    assert STARTED not in project.pio("run", "-e", BOARD, "-t", "clean").output
    assert not project.header().exists()
    assert project.build().trainings == 0
    assert project.header().read_bytes() == text


def contents(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_nobuild_leaves_everything_as_it_was(project: Project) -> None:
    project.build()
    before = contents(project.out())
    project.append(f"firmware/models/{NAME}/{NAME}.csv", "9,1,right\n")
    assert STARTED not in project.pio("run", "-e", BOARD, "-t", "nobuild").output
    assert contents(project.out()) == before


def test_a_program_is_still_compiled_when_something_else_is_asked_for_too(
    project: Project,
) -> None:
    run = project.pio("run", "-e", BOARD, "-t", "compiledb", "-t", "size")
    assert run.trainings == 1
    assert "main.cpp" in run.compiled
