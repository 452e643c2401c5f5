"""Where things are kept that can be made again."""

import os
import tempfile
from pathlib import Path

import pytest

from miniml.cache import cache_dir
from miniml.errors import MiniMLError


@pytest.fixture
def homeless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Neither a cache nor a home that could be made; returns what stands for /tmp."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    return tmp_path


def test_the_first_that_can_be_written(homeless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fallback = homeless / f"miniml-{os.getuid()}"
    assert cache_dir() == fallback
    assert fallback.stat().st_mode & 0o777 == 0o700
    monkeypatch.setenv("HOME", str(homeless / "home"))
    assert cache_dir() == homeless / "home" / ".cache" / "miniml"
    monkeypatch.setenv("XDG_CACHE_HOME", str(homeless / "xdg"))
    assert cache_dir() == homeless / "xdg" / "miniml"


def test_another_users_folder_is_not_taken(homeless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    me = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: me + 1)
    with pytest.raises(MiniMLError, match="another user's: set XDG_CACHE_HOME"):
        cache_dir()
