"""`from adapters.cmsis_nn.adapter import CMSISAdapter`, however the package was installed.

The name is the guide's. An unrelated distribution on PyPI has a package `adapters` too. Ours has
no adapters/__init__.py: alone it is a namespace, beside the other it lies in that package's folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
IMPORT = """
import adapters
from adapters.cmsis_nn.adapter import CMSISAdapter
from miniml.adapters.cmsis_nn.adapter import CMSISAdapter as ours
assert CMSISAdapter is ours
print(ours.__module__, getattr(adapters, "OTHER", "namespace"))
"""
OTHERS = {"regular": "adapters/__init__.py", "namespace": "adapters/other/__init__.py"}


def imported(python: Path | str, folder: Path, **environment: str) -> str:
    """What IMPORT says in an empty folder."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(python), "-c", IMPORT],
        cwd=folder,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.removeprefix("miniml.adapters.cmsis_nn.adapter ").rstrip()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that pip makes of a copy of the sources."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    # Without bytecode, which another process may be writing just now.
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "miniml", source / "miniml", ignore=ignored)
    options = ["-qq", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(target)]
    command = [sys.executable, "-m", "pip", "wheel", *options, str(source)]
    subprocess.run(command, check=True)
    (file,) = target.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Python and site-packages of a new virtual environment that pip installed the wheel into.

    What the package depends on comes from the environment that runs the tests.
    """
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-qq"]
    subprocess.run([*pip, "--no-deps", "--no-index", str(wheel)], check=True)
    (site,) = (folder / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return python, site


def test_the_wheel_has_no_package_named_adapters(wheel: Path) -> None:
    names = [name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("adapters/")]
    assert sorted(names) == ["adapters/cmsis_nn/__init__.py", "adapters/cmsis_nn/adapter.py"]
    assert not (ROOT / "adapters").exists()


def test_a_wheel_in_a_fresh_environment(fresh: tuple[Path, Path], tmp_path: Path) -> None:
    assert imported(fresh[0], tmp_path) == "namespace"


@pytest.mark.parametrize("kind", OTHERS)
def test_a_wheel_beside_the_other_distribution(
    fresh: tuple[Path, Path], tmp_path: Path, kind: str
) -> None:
    python, site = fresh
    other = site / OTHERS[kind]
    other.parent.mkdir(exist_ok=True)
    other.write_text('OTHER = "the other"\n', encoding="utf-8")
    try:
        assert imported(python, tmp_path) == ("the other" if kind == "regular" else "namespace")
    finally:
        other.unlink()


@pytest.mark.parametrize("kind", ["alone", *OTHERS])
def test_the_editable_install_of_make_setup(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "elsewhere"
    if kind != "alone":
        (path / OTHERS[kind]).parent.mkdir(parents=True)
        (path / OTHERS[kind]).write_text('OTHER = "the other"\n', encoding="utf-8")
    found = imported(sys.executable, tmp_path, PYTHONPATH=str(path))
    assert found == ("the other" if kind == "regular" else "namespace")
