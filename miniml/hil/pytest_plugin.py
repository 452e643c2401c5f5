"""The pytest plugin: --hil-... options, `hil_report`, `hil_board`, the marker `hil` (docs/CI.md).

Loaded in every pytest run where MiniML is installed, so nothing heavy is imported until a test
asks for a board. The boards run once a session, also under pytest-xdist.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from miniml.errors import MiniMLError
from miniml.hil.run_arguments import add_board_options, add_run_options, names, options_of
from miniml.hil.run_options import RunOptions

FIXTURES = {"hil_report", "hil_board"}
# What stands for the boards where they can't be told; the fixture says why.
UNKNOWN = "boards"
_REPORT = pytest.StashKey[dict[str, Any]]()
_UNMET = pytest.StashKey[list[str]]()
_WORKER_KEY = "miniml_hil_report"


class _Group:
    """pytest's parser, as `miniml run` fills argparse's."""

    def __init__(self, group: pytest.OptionGroup) -> None:
        self._group = group

    def add_argument(self, name: str, /, **settings: Any) -> None:
        self._group.addoption("--hil-" + name.removeprefix("--"), **settings)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of `miniml run`, with --hil- before them."""
    group = _Group(parser.getgroup("hil", "MiniML boards (hardware in the loop)"))
    group.add_argument(
        "--project-dir",
        type=Path,
        metavar="DIR",
        help="where platformio.ini is, here or above (default: pytest's root; with a bundle the "
        "working directory)",
    )
    add_board_options(group)
    add_run_options(group)


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known."""
    config.addinivalue_line("markers", "hil: needs boards (set on every test that asks for them)")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Marks the tests that need boards, so that -m "not hil" leaves them out."""
    if FIXTURES & set(getattr(item, "fixturenames", ())):
        item.add_marker("hil")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a board for whoever asks for `hil_board`."""
    if "hil_board" in metafunc.fixturenames:
        boards = _board_names(metafunc.config)
        metafunc.parametrize("hil_board", boards, indirect=True, scope="session")


@pytest.fixture(scope="session")
def hil_report(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """report.json of one run of the chosen boards (docs/HARNESS.md); written to disk as well."""
    try:
        report = _shared_report(pytestconfig, tmp_path_factory)
    except MiniMLError as error:
        pytest.fail(f"{type(error).__name__}: {error}", pytrace=False)
    pytestconfig.stash[_REPORT] = report
    return report


@pytest.fixture(scope="session")
def hil_board(request: pytest.FixtureRequest, hil_report: dict[str, Any]) -> Any:
    """A board of the report that ran and passed; a test of any other fails, or is skipped."""
    from miniml.hil.report.where import title

    boards = {board["name"]: board for board in hil_report["boards"]}
    board = boards.get(request.param)
    if board is None:
        pytest.fail(f"{request.param}: nothing was tested", pytrace=False)
    line = f"{title(board)}: {board['verdict']}: {'; '.join(board['reasons'])}"
    if board["verdict"] in ("SKIP", "QUARANTINED"):
        pytest.skip(line)
    if board["verdict"] != "PASS":
        pytest.fail(line, pytrace=False)
    return board


def pytest_runtest_call(item: pytest.Item) -> None:
    """Says in pytest's own reports which board it was, and whether it was simulated."""
    board = getattr(item, "funcargs", {}).get("hil_board")
    if board is not None:
        from miniml.hil.report.where import title

        item.user_properties.append(("board", title(board)))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A required board that did not run and pass fails the session, whatever tests there were."""
    config = session.config
    report = config.stash.get(_REPORT, None)
    if hasattr(config, "workeroutput"):
        config.workeroutput[_WORKER_KEY] = json.dumps(report) if report else ""
        return
    required = names(config.getoption("--hil-require"))
    unmet = [f"required board {name} did not run: no test asked for it" for name in required]
    if report is not None:
        unmet = report["unmet"]
    config.stash[_UNMET] = unmet
    passed = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    if unmet and session.exitstatus in passed and not config.getoption("collectonly"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object | None) -> None:
    """Takes the report over from the worker of pytest-xdist that has it."""
    if text := getattr(node, "workeroutput", {}).get(_WORKER_KEY):
        node.config.stash[_REPORT] = json.loads(text)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Boards in words; simulated ones are called that."""
    report = config.stash.get(_REPORT, None)
    unmet = config.stash.get(_UNMET, [])
    if report is None and not unmet:
        return
    from miniml.hil.report.where import title

    terminalreporter.section("MiniML boards")
    for board in report["boards"] if report else ():
        terminalreporter.line(f"{title(board)}: {board['verdict']}")
    for line in unmet:
        terminalreporter.line(f"hil-require: {line}", red=True)


def _options(config: pytest.Config) -> RunOptions:
    values = {
        name.removeprefix("hil_"): value
        for name, value in vars(config.option).items()
        if name.startswith("hil_")
    }
    folder = values["project_dir"]
    if folder is None:
        folder = config.invocation_params.dir if values["bundle"] else config.rootpath
    return options_of(values, Path(folder))


def _board_names(config: pytest.Config) -> list[str]:
    if chosen := names(config.getoption("--hil-board")):
        return list(chosen)
    from miniml.hil.source import open_source

    try:
        with open_source(_options(config)) as source:
            return [board.name for board in source.built()]
    except MiniMLError:
        return [UNKNOWN]  # told by the run, in the test that asks for it


def _shared_report(config: pytest.Config, factory: pytest.TempPathFactory) -> dict[str, Any]:
    from filelock import FileLock

    from miniml.hil.harness import run_and_report

    if not hasattr(config, "workerinput"):
        return run_and_report(_options(config))[0]
    # The workers' base folders are neighbours, and belong to this session alone.
    file = factory.getbasetemp().parent / "miniml-hil-report.json"
    with FileLock(file.with_suffix(".filelock")):
        if not file.exists():
            file.write_text(json.dumps(run_and_report(_options(config))[0]), encoding="utf-8")
        report: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return report
