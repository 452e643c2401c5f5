"""Locks of boards: across processes and users, with the holder named, and no one's trap."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from miniml.boards import load_boards
from miniml.errors import PortError
from miniml.hil.lock import lock_folder
from miniml.hil.lock.board_lock import board_lock
from miniml.hil.lock.lock_folder import PREFIX
from miniml.hil.place.port_place import PortPlace

HOLD = """
import sys
from miniml.hil.lock.board_lock import board_lock
with board_lock("port A", "port A", 0):
    print("held", flush=True)
    sys.stdin.read()
"""
NOBODY = 65534
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as /run/lock is: everybody's, sticky."""
    found = tmp_path / "locks"
    found.mkdir()
    found.chmod(0o1777)
    monkeypatch.setenv("MINIML_LOCK_DIR", str(found))
    return found


@contextmanager
def another_holder() -> Iterator[subprocess.Popen[str]]:
    """A process that has the lock of port A."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_who_waits_is_told_who_holds_and_gives_up(capsys: pytest.CaptureFixture[str]) -> None:
    with another_holder() as holder:
        with pytest.raises(PortError) as caught, board_lock("port A", "port A", 0.2):
            pass
        for text in (str(caught.value), capsys.readouterr().err):
            assert f"process {holder.pid} (-c)" in text, text
            assert "since 20" in text
        assert "--lock-timeout" in str(caught.value)
        with board_lock("port B", "port B", 0):  # another board is free
            pass


def test_waiting_can_be_interrupted() -> None:
    """As Ctrl-C does it, from another thread."""
    place = PortPlace(load_boards(ROOT)["uno"], "/dev/null", wait_s=60, world="official")
    with board_lock("port /dev/null", "port /dev/null", 0):
        threading.Timer(0.3, place.interrupt).start()
        start = time.monotonic()
        with pytest.raises(PortError, match="interrupted"), place.occupied():
            pass
    assert time.monotonic() - start < 50


def test_a_killed_holders_lock_is_free_at_once() -> None:
    with another_holder() as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with board_lock("port A", "port A", 0):
            pass


def test_files_are_for_all_users_whatever_the_umask(folder: Path) -> None:
    old = os.umask(0o077)
    try:
        with board_lock("port A", "port A", 0):
            files = sorted(folder.iterdir())
            assert [file.suffix for file in files] == [".holder", ".lock"]
            for file in files:
                assert file.name.startswith(PREFIX)
                assert stat.S_IMODE(file.stat().st_mode) == 0o666
    finally:
        os.umask(old)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
def test_another_user_waits_and_takes_over(folder: Path, tmp_path: Path) -> None:
    """Files that root made are locked and written by nobody, and the other way round."""
    for parent in tmp_path.parents:
        if parent.stat().st_uid == 0 and parent != Path("/") and parent != Path("/tmp"):
            parent.chmod(parent.stat().st_mode | 0o011)
    tmp_path.chmod(0o755)
    ask = HOLD.replace("sys.stdin.read()", "")
    outputs = []
    for user in (0, NOBODY, 0):
        if user == NOBODY:
            with board_lock("port A", "port A", 0):
                outputs.append(as_user(user, ask))
        outputs.append(as_user(user, ask))
    assert [output.returncode for output in outputs] == [0, 1, 0, 0], outputs
    assert f"port A is in use by root, process {os.getpid()}" in outputs[1].stderr


def as_user(user: int, code: str) -> subprocess.CompletedProcess[str]:
    # Loaded as root before it becomes the user, who may not read this checkout.
    start = f"import os, miniml.hil.lock.board_lock; os.setgid({user}); os.setuid({user})\n"
    return subprocess.run(
        [sys.executable, "-c", start + code],
        input="",
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent.parent,
    )


@pytest.mark.parametrize("suffix", [".lock", ".holder"])
@pytest.mark.parametrize("trap", ["symlink", "hard link", "folder"])
def test_a_link_laid_by_another_user_is_not_followed(
    folder: Path, tmp_path: Path, suffix: str, trap: str
) -> None:
    with board_lock("port A", "port A", 0):
        pass
    (file,) = folder.glob(f"*{suffix}")
    file.unlink()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    if trap == "symlink":
        file.symlink_to(victim)
    elif trap == "hard link":
        file.hardlink_to(victim)
    else:
        file.mkdir()
    with pytest.raises(PortError, match=r"lock file .*miniml-"), board_lock("port A", "port A", 0):
        pass
    assert victim.read_text() == "precious"


def test_what_another_user_notes_is_bounded_and_plain(folder: Path) -> None:
    with another_holder():
        (note,) = folder.glob("*.holder")
        note.write_text("\x1b[31m" + "x" * 5000)
        with pytest.raises(PortError) as caught, board_lock("port A", "port A", 0):
            pass
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_the_folder_is_the_same_for_every_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chosen by rights that all see: a folder that only its owner may write is passed over."""
    monkeypatch.delenv("MINIML_LOCK_DIR")
    own, shared = tmp_path / "own", tmp_path / "shared"
    own.mkdir(mode=0o755)
    shared.mkdir()
    shared.chmod(0o1777)
    names = [str(tmp_path / "missing"), str(own), str(shared)]
    monkeypatch.setattr(lock_folder, "SHARED", names)
    assert lock_folder.lock_folder() == shared
    monkeypatch.setattr(lock_folder, "SHARED", names[:2])
    with pytest.raises(PortError, match="MINIML_LOCK_DIR"):
        lock_folder.lock_folder()
