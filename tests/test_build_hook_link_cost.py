"""What the build says that the link costs is what leaving it out saves."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from build_hook_project import BOARD, Project, make_project


@pytest.fixture
def project(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path / "project", tmp_path_factory)


def record(project: Project, env: str) -> dict[str, Any]:
    text = (project.out(env) / "build.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.mark.parametrize("env", ["uno", BOARD])
def test_measured_by_leaving_it_out(project: Project, env: str) -> None:
    run = project.build(env)
    with_link = record(project, env)
    link = with_link["link"]
    assert link["method"] == "measured"
    said = f"the link takes {link['flash']:,} and {link['sram']:,} of them (measured), float input "
    assert f"{said}{link['float_input']:,};" in run.output

    project.edit("platformio.ini", f"[env:{env}]", f"[env:{env}]\nbuild_flags = -DMINIML_LINK=0")
    project.build(env)
    without = record(project, env)
    assert with_link["flash"] - without["flash"] == link["flash"] + link["float_input"]
    assert link["flash"] > 1000
    assert link["float_input"] > 500
    if env == "uno":
        # What an application may rely on: under 3 KB of flash and 200 bytes of SRAM.
        assert link["flash"] < 3 * 1024
        assert link["sram"] < 200
    assert with_link["sram"] - without["sram"] == link["sram"] > 50
    assert without["link"] == {
        "flash": 0,
        "sram": 0,
        "float_input": 0,
        "method": "measured",
    }


def test_by_symbols_where_the_sketch_has_no_switch(project: Project) -> None:
    sketch = project.folder / "firmware" / "src" / "main.cpp"
    text, switches = re.subn(r"\bMINIML_LINK\b", "WITH_LINK", sketch.read_text(encoding="utf-8"))
    assert switches
    sketch.write_text(text, encoding="utf-8")
    run = project.build()
    assert record(project, BOARD)["link"]["method"] == "by symbols"
    found = record(project, BOARD)
    assert 0 < found["link"]["flash"] < found["flash"]
    assert "of them (by symbols)" in run.output


def test_a_sketch_that_needs_the_link_still_builds(project: Project) -> None:
    project.append("firmware/src/main.cpp", "#if !MINIML_LINK\n#error not without it\n#endif\n")
    run = project.build()
    assert record(project, BOARD)["link"]["method"] == "by symbols"
    assert "not without it" not in run.output
