"""A copy of the project's set-up in a folder of its own, with programs that only pretend."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# A project that builds itself: what setuptools a new environment has differs by Python.
PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "stand-in"
version = "0"
"""
BACKEND = """\
import zipfile
def build_editable(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(folder + "/stand_in-0-py3-none-any.whl", "w") as wheel:
        info = "stand_in-0.dist-info/"
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: stand-in\\nVersion: 0\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\n")
        wheel.writestr(info + "RECORD", "")
    return "stand_in-0-py3-none-any.whl"
"""


class Checkout:
    """`pio_extra` and platformio.ini, in a path with a space and an umlaut."""

    def __init__(self, root: Path) -> None:
        self.root = root
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "pio_extra", root / "pio_extra", ignore=ignored)
        shutil.copy(ROOT / "platformio.ini", root)
        (root / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
        (root / "backend.py").write_text(BACKEND, encoding="utf-8")
        (root / "requirements.lock").write_text("", encoding="utf-8")

    def program(self, name: str, text: str) -> Path:
        """An executable shell script in .venv/bin."""
        return script(self.root / ".venv" / "bin" / name, text)

    def run(self, code: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Python code with this copy's pio_extra."""
        return subprocess.run(
            [sys.executable, "-c", code],
            cwd=self.root,
            env={**environment(), "PYTHONPATH": str(self.root), **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    def bootstrap(self, task: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """What make calls."""
        return subprocess.run(
            [sys.executable, str(self.root / "pio_extra" / "bootstrap.py"), task],
            env={**environment(), **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )


def environment() -> dict[str, str]:
    """This process's, without what would lead to another PlatformIO or another choice."""
    hidden = ("PLATFORMIO_CORE_DIR", "MINIML_WORLD", "PYTHONPATH", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if name not in hidden}


def script(path: Path, text: str) -> Path:
    """An executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + text, encoding="utf-8")
    path.chmod(0o755)
    return path
