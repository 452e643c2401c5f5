"""Folders that a user may not write, as that user: root passes every permission."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")

REPOSITORY = Path(__file__).parent.parent
XOR = REPOSITORY / "firmware" / "models" / "xor"

# Trains as root first, so that everything is imported: the interpreter may lie in root's home,
# out of reach for others.
AS_ANOTHER_USER = """
import contextlib, io, os, sys
from miniml.cli import main
if os.getuid() == 0:
    with contextlib.redirect_stdout(io.StringIO()):
        main(["train", sys.argv[1], "--cache", sys.argv[1], "--train", "auto"])
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that other users may pass, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        yield place
        for path in [place, *place.rglob("*")]:
            if path.is_dir():
                path.chmod(0o755)


def stale_model(place: Path, name: str = "model") -> Path:
    folder = place / name
    shutil.copytree(XOR, folder)
    toml = folder / "model.toml"
    toml.write_text(toml.read_text(encoding="utf-8").replace("seed = 1", "seed = 5"))
    return folder


def lock_away(folder: Path) -> None:
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)


def run(place: Path, *words: object) -> subprocess.CompletedProcess[str]:
    own = place / "own"
    if not own.exists():
        stale_model(place, "own")
    return subprocess.run(
        [sys.executable, "-c", AS_ANOTHER_USER, str(own), *map(str, words)],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        timeout=600,
        check=False,
    )


def test_a_read_only_model_is_built_from_the_cache(place: Path) -> None:
    folder, cache = stale_model(place), place / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    lock_away(folder)
    before = (folder / "model.lock.json").read_bytes()
    for deed in ("trained", "up to date"):
        result = run(place, "train", folder, "--cache", cache)
        assert result.returncode == 0, result.stderr
        assert deed in result.stdout
        assert "model.lock.json: can't be written, the model is kept in the cache" in result.stderr
    assert (folder / "model.lock.json").read_bytes() == before
    frozen = run(place, "train", folder, "--cache", cache, "--train", "frozen")
    assert frozen.returncode == 2
    assert "[training] seed (1, now 5)" in frozen.stderr


def test_files_that_may_not_be_read(place: Path) -> None:
    for name in ("xor.csv", "model.toml", "model.lock.json"):
        folder = stale_model(place)
        if os.getuid() == 0:
            (folder / name).chmod(0o600)
        else:
            (folder / name).chmod(0)
        result = run(place, "train", folder, "--cache", place / "none")
        assert result.returncode == 2
        assert f"{name}: can't be read (Permission denied): check its rights" in result.stderr
        assert result.stderr.count("\n") == 1
        shutil.rmtree(folder)


def test_a_cache_that_may_not_be_written(place: Path) -> None:
    folder, cache = stale_model(place), place / "cache"
    cache.mkdir()
    cache.chmod(0o555)
    result = run(place, "train", folder, "--cache", cache)
    assert result.returncode == 4
    assert "can't be written (Permission denied)" in result.stderr
    assert result.stderr.count("\n") == 1
