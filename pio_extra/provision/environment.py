"""The virtual environment `.venv`: made once, remade when the lock file changes."""

from __future__ import annotations

import hashlib
import subprocess
import sys

from pio_extra.provision.errors import SetupError
from pio_extra.provision.surroundings import BIN, PYTHON, ROOT, VENV, child_environment

LOCK = ROOT / "requirements.lock"
STAMP = VENV / "miniml-setup.txt"
INCOMPLETE = "incomplete"


def ensure() -> bool:
    """Make `.venv` hold exactly the locked packages and the project; False if it did.

    Raises:
        SetupError: pip can't be run, or could not install.
    """
    digest = _digest()
    stamp = STAMP.read_text(encoding="utf-8").strip() if STAMP.is_file() else None
    if stamp == digest and PYTHON.exists():
        return False
    if stamp == INCOMPLETE or not _has_pip():
        # Killed half-way, moved, or its Python is gone: what is there can't be trusted.
        print(f"making the virtual environment {VENV}", flush=True)
        _run([sys.executable, "-m", "venv", "--clear", str(VENV)], "can't make .venv")
    STAMP.write_text(INCOMPLETE, encoding="utf-8")
    print("installing the locked Python packages (may take a minute)", flush=True)
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--retries", "2"]
    pip += ["install", "-qq"]
    _run(
        [*pip, "--require-hashes", "--only-binary", ":all:", "-r", str(LOCK)],
        "pip could not install the packages of requirements.lock (its words are above)",
    )
    _run(
        [*pip, "--no-deps", "--no-build-isolation", "--no-index", "--editable", str(ROOT)],
        "pip could not install MiniML itself (its words are above)",
    )
    STAMP.write_text(digest + "\n", encoding="utf-8")
    return True


def _digest() -> str:
    # The path counts: scripts in .venv/bin name their Python by it.
    digest = hashlib.sha256(str(ROOT).encode())
    for file in (LOCK, ROOT / "pyproject.toml"):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _has_pip() -> bool:
    if not PYTHON.exists() or not (BIN / "activate").exists():
        return False
    # A script of this very checkout: after a move they name a Python that isn't here.
    command = [str(PYTHON), "-c", "import sys, pip; print(sys.prefix)"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    moved = str(VENV) not in (BIN / "activate").read_text(encoding="utf-8")
    return result.returncode == 0 and not moved


def _run(command: list[str], failure: str) -> None:
    result = subprocess.run(command, cwd=ROOT, env=child_environment(), check=False)
    if result.returncode:
        raise SetupError(failure)
