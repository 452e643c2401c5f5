"""What the hook costs where nothing has changed: `pytest -s` shows the figure."""

import os
import re
import shutil
from pathlib import Path

import pytest
from build_hook_project import BOARD, NAME, Project, make_project

# A busy machine's caches are others' too: more rounds, until the least of each is what it costs.
ROUNDS, MORE_ROUNDS = 3, 15
LIMIT_S = 0.5


@pytest.fixture
def project(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path / "project", tmp_path_factory)


def without_hook(project: Project, folder: Path) -> Project:
    """The same project with the generated headers among its own, and no scripts."""
    shutil.copytree(project.folder, folder, ignore=shutil.ignore_patterns(".pio"))
    shutil.copytree(project.out(), folder / "firmware" / "include")
    plain = Project(folder, project.core)
    ini = (folder / "platformio.ini").read_text(encoding="utf-8")
    ini, scripts = re.subn(r"(?m)^extra_scripts =\n(    .*\n)+", "", ini)
    assert scripts == 1
    (folder / "platformio.ini").write_text(ini, encoding="utf-8")
    return plain


def seconds(project: Project) -> float:
    """Processor time of one build, which other work on the machine hardly changes."""
    before = os.times()
    run = project.build()
    after = os.times()
    assert run.compiled == set()
    spent = after.children_user + after.children_system
    return spent - before.children_user - before.children_system


@pytest.mark.skipif(os.name != "posix", reason="only POSIX systems count a child's time")
def test_hook_costs_little_where_nothing_changed(project: Project, tmp_path: Path) -> None:
    # Generated kernels are compiled by the hook: without it there would be none to link.
    settings = project.folder / "firmware" / "models" / NAME / "model.toml"
    settings.write_text(settings.read_text() + '\n[code]\nkernels = "portable"\n')
    project.build()
    plain = without_hook(project, tmp_path / "plain")
    plain.build()
    pairs: list[tuple[float, float]] = []
    cost = LIMIT_S
    while len(pairs) < ROUNDS or (cost >= LIMIT_S and len(pairs) < MORE_ROUNDS):
        pairs.append((seconds(project), seconds(plain)))
        cost = min(hook for hook, _ in pairs) - min(without for _, without in pairs)
    print(f"\n{BOARD}: {pairs}: the hook costs {cost:.2f} s")
    assert cost < LIMIT_S
