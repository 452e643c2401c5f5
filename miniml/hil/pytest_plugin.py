"""The pytest plugin: --hil-... options, and the `hil_report` fixture that runs the boards once.

Loaded in every pytest run where MiniML is installed, so nothing heavy is imported until a test
asks for a board.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of `miniml run`, with --hil- before them."""
    group = parser.getgroup("hil", "MiniML boards (hardware in the loop)")
    group.addoption(
        "--hil-board",
        action="append",
        default=[],
        metavar="NAME",
        help="a board of boards.ini; may be repeated (default: every board that was built)",
    )
    group.addoption("--hil-port", default="", help="the board's serial port or pyserial URL")
    group.addoption(
        "--hil-simulated",
        choices=("auto", "never", "always"),
        default="auto",
        help="whether a simulated board may stand in (default: auto)",
    )
    group.addoption("--hil-samples", type=int, metavar="N", help="only N rows of the test split")
    group.addoption(
        "--hil-lock-timeout",
        type=float,
        metavar="SECONDS",
        help="how long a board that another process has is waited for (default: 120)",
    )
    group.addoption(
        "--hil-optional", action="store_true", help="no board is a skip instead of a failure"
    )


@pytest.fixture(scope="session")
def hil_report(pytestconfig: pytest.Config) -> dict[str, Any]:
    """report.json of one run of the chosen boards (docs/HARNESS.md); written to disk as well."""
    from miniml.errors import MiniMLError
    from miniml.hil.harness import run_and_report
    from miniml.hil.project import find_project
    from miniml.hil.run_options import DEFAULT_WAIT_S, RunOptions

    names = pytestconfig.getoption("--hil-board")
    wait_s = pytestconfig.getoption("--hil-lock-timeout")
    try:
        options = RunOptions(
            project=find_project(Path(pytestconfig.rootpath)),
            boards=tuple(name for part in names for name in part.split(",") if name),
            port=pytestconfig.getoption("--hil-port"),
            simulated=pytestconfig.getoption("--hil-simulated"),
            wait_s=DEFAULT_WAIT_S if wait_s is None else wait_s,
            samples=pytestconfig.getoption("--hil-samples"),
        )
        report, _ = run_and_report(options, optional=pytestconfig.getoption("--hil-optional"))
    except MiniMLError as error:
        pytest.fail(f"{type(error).__name__}: {error}", pytrace=False)
    return report
