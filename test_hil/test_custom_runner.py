"""PlatformIO's custom test runner: `pio test -e uno` does what `miniml run --board uno` does.

PlatformIO would build a test program of its own (UNIT_TEST is defined, the sketch left out) and
finds "Nothing to build" here; so the plain targets are built, and the package itself, in an
interpreter that has its packages, flashes and judges. It runs in PlatformIO's own Python: only
the standard library and PlatformIO may be imported. pytest leaves this file alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
from platformio.exception import ReturnErrorCode
from platformio.test.exception import UnitTestSuiteError
from platformio.test.result import TestCase, TestStatus
from platformio.test.runners.base import TestRunnerBase

__test__ = False
# Lives as long as one call of `pio test`: its environments share one report.
_REPORTED = __name__ + ".reported"
_STATUS = {
    "PASS": TestStatus.PASSED,
    "SKIP": TestStatus.SKIPPED,
    "QUARANTINED": TestStatus.SKIPPED,
    "FAIL": TestStatus.FAILED,
    "FLAKY": TestStatus.FAILED,
}


class CustomTestRunner(TestRunnerBase):  # type: ignore[misc]  # PlatformIO has no types
    """Builds by the plain targets, tests by the package."""

    def stage_building(self) -> None:
        """What `pio run -e ENV` does, so that the same ELF is tested."""
        if self.options.without_building:
            return
        click.secho("Building...", bold=True)
        try:
            self.run_project_targets([])
        except ReturnErrorCode as error:
            raise UnitTestSuiteError("Building stage has failed, see errors above.") from error

    def stage_uploading(self) -> None:
        """Left to the testing stage: a simulated board must be started first."""

    def stage_testing(self) -> None:
        """Runs the package and turns its report into test cases.

        With --without-testing the board is still flashed, as PlatformIO does.
        """
        if self.options.without_testing and self.options.without_uploading:
            return
        click.secho("Testing..." if not self.options.without_testing else "Uploading...", bold=True)
        status = self._run_package(self._arguments())
        if self.options.without_testing:
            if status:
                raise UnitTestSuiteError(f"uploading failed (miniml flash: exit code {status})")
            return
        boards = self._reported_boards()
        for board in boards:
            self._add_case(board)
        told = self.test_suite.status in (TestStatus.FAILED, TestStatus.ERRORED)
        if not boards or (status and not told):
            why = "; ".join(self._report_content().get("unmet", ())) or "nothing was tested"
            raise UnitTestSuiteError(f"{why} (miniml run: exit code {status})")

    def _arguments(self) -> list[str]:
        board = self.test_suite.env_name
        project = str(Path(self.project_config.path).absolute().parent)
        verb = "flash" if self.options.without_testing else "run"
        arguments = [verb, "--project-dir", project, "--board", board]
        if port := self.get_test_port() or self.options.upload_port:
            arguments += ["--port", port]
        if self.options.verbose:
            arguments.append("--verbose")
        if verb == "run":
            arguments += ["--no-flash"] if self.options.without_uploading else []
            arguments += ["--append"] if self.cmd_ctx.meta.get(_REPORTED) else []
            self.cmd_ctx.meta[_REPORTED] = True
            self._report().unlink(missing_ok=True) if "--append" not in arguments else None
        return [*arguments, *(self.options.program_args or ())]

    def _run_package(self, arguments: list[str]) -> int:
        python, environment = self._python(), self._environment()
        process = subprocess.Popen(
            [python, "-m", "miniml", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                self.on_testing_data_output(line)
            return process.wait()
        finally:
            # Ctrl-C reached the package too; it ends its boards before itself.
            process.stdout.close()
            process.wait()

    def _python(self) -> str:
        """The order of the build hook: custom_miniml_python, .venv, PlatformIO's own."""
        project = Path(self.project_config.path).absolute().parent
        section = f"env:{self.test_suite.env_name}"
        chosen = self.project_config.get(section, "custom_miniml_python", "")
        if chosen:
            return str(project / Path(chosen).expanduser())
        for python in (project / ".venv/bin/python", project / ".venv/Scripts/python.exe"):
            if python.is_file():
                return str(python)
        return sys.executable

    def _environment(self) -> dict[str, str]:
        environment = dict(os.environ)
        environment.pop("PYTHONHOME", None)
        checkout = Path(__file__).absolute().parent.parent
        if (checkout / "miniml" / "__init__.py").is_file():
            paths = [str(checkout), environment.get("PYTHONPATH", "")]
            environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        environment["PYTHONIOENCODING"] = "utf-8"
        environment["PYTHONUNBUFFERED"] = "1"
        return environment

    def _report(self) -> Path:
        workspace = Path(self.project_config.get("platformio", "workspace_dir"))
        return workspace / "miniml" / "report" / "report.json"

    def _report_content(self) -> dict[str, Any]:
        try:
            content: dict[str, Any] = json.loads(self._report().read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content

    def _reported_boards(self) -> list[dict[str, Any]]:
        name = self.test_suite.env_name
        boards = self._report_content().get("boards", [])
        return [board for board in boards if board.get("name") == name]

    def _add_case(self, board: dict[str, Any]) -> None:
        status = _STATUS.get(board["verdict"], TestStatus.ERRORED)
        # None: no board was found, or nothing tells.
        where = {True: "simulated", False: "real board"}.get(board["simulated"], "unknown")
        message = "; ".join(board["reasons"]) or f"{board['samples']} samples, {where}"
        self.test_suite.add_case(
            TestCase(
                name=f"{board['name']} ({where})",
                status=status,
                message=message,
                exception=UnitTestSuiteError(message) if status == TestStatus.ERRORED else None,
            )
        )
