"""examples/ci: by the servers' schemas, and every command in them by the real parsers and runs."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from check_jsonschema import main as check_jsonschema
from click.testing import CliRunner
from hil_bench import ROOT, Bench, first_run

from miniml.cli import build_parser
from miniml.hil.pytest_plugin import pytest_addoption

EXAMPLES = ROOT / "examples" / "ci"
BENCH = "miniml-bench-1"


def github() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((EXAMPLES / "github-actions.yml").read_text())
    # YAML 1.1, which PyYAML reads, takes the key `on` for a truth value.
    return {**content, "on": content[True]}  # type: ignore[index]


def gitlab() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((EXAMPLES / "gitlab-ci.yml").read_text())
    return content


def jenkins() -> str:
    return (EXAMPLES / "Jenkinsfile").read_text()


def commands() -> dict[str, list[str]]:
    """The shell lines of each example, in their order."""
    jobs = github()["jobs"]
    server = gitlab()
    found = {
        "github": [s["run"] for job in jobs.values() for s in job["steps"] if "run" in s],
        "gitlab": [*server["build"]["script"], *server["bench"]["script"]],
        "jenkins": re.findall(r"\bsh '([^']*)'", jenkins()),
    }
    ours = ("miniml", "pytest", "pio")
    return {
        name: [line for line in lines if shlex.split(line)[0] in ours]
        for name, lines in found.items()
    }


@pytest.mark.parametrize(
    ("schema", "example", "more"),
    [
        ("vendor.github-workflows", "github-actions.yml", ()),
        ("vendor.gitlab-ci", "gitlab-ci.yml", ("--data-transform", "gitlab-ci")),
    ],
)
def test_examples_have_their_servers_schema(
    schema: str, example: str, more: tuple[str, ...], tmp_path: Path
) -> None:
    check = ["--builtin-schema", schema, *more]
    done = CliRunner().invoke(check_jsonschema, [*check, str(EXAMPLES / example)])
    assert done.exit_code == 0, done.output
    # The check can fail.
    wrong = tmp_path / example
    text = (EXAMPLES / example).read_text()
    wrong.write_text(re.sub(r"(?m)^(\s+)(runs-on|script):", r"\1\2x:", text))
    refused = CliRunner().invoke(check_jsonschema, [*check, str(wrong)])
    assert (refused.exit_code, "Schema validation errors" in refused.output) == (1, True)


def test_github_keeps_forks_and_other_runs_from_the_bench() -> None:
    workflow = github()
    assert "pull_request_target" not in workflow["on"]
    assert workflow["permissions"] == {"contents": "read"}
    build, bench = workflow["jobs"]["build"], workflow["jobs"]["bench"]
    assert build["runs-on"] == "ubuntu-latest"
    assert bench["needs"] == "build"
    assert bench["if"] == (
        "github.event_name != 'pull_request' || "
        "github.event.pull_request.head.repo.full_name == github.repository"
    )
    assert bench["runs-on"] == ["self-hosted", BENCH]
    assert bench["concurrency"] == {"group": BENCH, "cancel-in-progress": False}
    assert not any("checkout" in step.get("uses", "") for step in bench["steps"])
    assert bench["steps"][-1]["if"] == "always()"


def test_gitlab_keeps_forks_and_other_runs_from_the_bench() -> None:
    bench = gitlab()["bench"]
    # Without rules it would be left out of merge requests' pipelines, and `needs` fail there.
    assert gitlab()["build"]["rules"] == [{"when": "on_success"}]
    assert [rule.get("when") for rule in gitlab()["workflow"]["rules"]] == [None, "never", None]
    assert (bench["tags"], bench["resource_group"]) == ([BENCH], BENCH)
    first, last = bench["rules"]
    assert "$CI_MERGE_REQUEST_SOURCE_PROJECT_ID != $CI_PROJECT_ID" in first["if"]
    assert (first["when"], last) == ("never", {"when": "on_success"})
    assert bench["artifacts"]["reports"]["junit"] == ".pio/miniml/report/junit.xml"
    assert bench["artifacts"]["when"] == "always"


def test_jenkins_keeps_forks_and_other_runs_from_the_bench() -> None:
    # No linter of Jenkinsfiles works without a server or Java: this looks at the blocks alone.
    text = re.sub(r"//.*", "", jenkins())
    assert all(text.count(left) == text.count(right) for left, right in ("{}", "()", "[]"))
    bench = text[text.index("stage('bench')") :]
    for words in ("expression { !env.CHANGE_FORK }", f"lock(resource: '{BENCH}')", "unstash"):
        assert words in bench
    assert f"agent {{ label '{BENCH}' }}" in bench
    assert "junit testResults: '.pio/miniml/report/junit.xml'" in bench[bench.index("always") :]


def test_no_server_collects_the_report_of_the_run_before() -> None:
    steps = [step.get("run") for step in github()["jobs"]["bench"]["steps"]]
    for lines in (steps, gitlab()["bench"]["script"], re.findall(r"\bsh '([^']*)'", jenkins())):
        clean = lines.index("rm -rf .pio/miniml/report")
        assert any(line and line.startswith("miniml run") for line in lines[clean:])


def known_options(words: list[str]) -> None:
    """Parses a command line by the program's own parser, or looks its names up."""
    program, *options = words
    if program == "miniml":
        build_parser().parse_args(options)
    elif program == "pytest":
        parser = pytest.Parser(_ispytest=True)
        pytest_addoption(parser)
        parser.addoption("--junitxml")
        assert parser.parse_known_and_unknown_args(options)[1] == []
    else:
        assert (program, options[0]) == ("pio", "run")
        settings = configparser.ConfigParser()
        settings.read(ROOT / "platformio.ini")
        for flag, name in zip(options[1::2], options[2::2], strict=True):
            assert flag == "-e"
            assert f"env:{name}" in settings


def test_every_command_is_known_and_the_servers_run_the_same() -> None:
    found = commands()
    assert [len(lines) for lines in found.values()] == [3, 3, 3]
    assert found["github"] == found["gitlab"] == found["jenkins"]
    for line in found["github"]:
        known_options(shlex.split(line))


def test_commands_of_the_page_are_known() -> None:
    page = (ROOT / "docs" / "CI.md").read_text(encoding="utf-8")
    lines = re.findall(r"(?m)^    ((?:pio run && )?(?:miniml|pytest) [^#\n]*)", page)
    assert len(lines) >= 3
    for line in lines:
        for part in line.split("&&"):
            known_options(shlex.split(part))


def test_the_bench_s_commands_run(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    bench: Bench = first_run(tmp_path_factory).bench
    for name in ("platformio.ini", "boards.ini", "firmware"):
        (tmp_path / name).symlink_to(ROOT / name)
    job = tmp_path / "job"
    job.mkdir()
    _, pack, run = commands()["github"]

    def shell(line: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            ["bash", "-e", "-c", line],
            cwd=folder,
            env={**os.environ, "PATH": programs, **more},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    packed = shell(pack, tmp_path, PLATFORMIO_WORKSPACE_DIR=str(bench.workspace))
    assert packed.returncode == 0, packed.stderr
    (tmp_path / "miniml-bundle.zip").rename(job / "miniml-bundle.zip")
    page = tmp_path / "page.md"
    # No real board hangs here: the very line says so and fails.
    absent = shell(run, job, GITHUB_STEP_SUMMARY=str(page))
    assert absent.returncode == 3
    assert "required board pico did not run: no pico is attached" in absent.stdout
    assert page.read_text().startswith("## MiniML: digits: 0 of 2 boards pass (2 ERROR)\n")
    short = run.replace("--simulated never", "--simulated always --samples 2")
    passed = shell(short, job, GITHUB_STEP_SUMMARY=str(page))
    assert passed.returncode == 0, passed.stdout
    assert "## MiniML: digits: 2 of 2 boards pass (all simulated)\n" in page.read_text()
    # What the servers collect.
    report = job / ".pio" / "miniml" / "report"
    assert ElementTree.parse(report / "junit.xml").getroot()[0].get("name") == "uno (simulated)"
    assert json.loads((report / "report.json").read_text())["unmet"] == []
    assert {file.name for file in (job / ".pio/miniml/log").iterdir()} == {"uno.log", "pico.log"}
