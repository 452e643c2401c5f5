"""A board of a lab is flashed over ssh; a stand-in for ssh runs the command here."""

from __future__ import annotations

from pathlib import Path

import pytest
from flash_bench import flash_job

from miniml.errors import FlashError
from miniml.hil.flash import FlashJob, flash
from miniml.hil.place.place import Exporter

BENCH_2 = Exporter("uno-1", "bench-2", "/dev/tty USB0")
SSH = """#!/bin/sh
for command; do :; done
echo "$@" >"$0.line"
exec /bin/sh -c "$command"
"""


def job(
    folder: Path, patch: pytest.MonkeyPatch, lab_flash: str, exporter: Exporter = BENCH_2
) -> FlashJob:
    tools = folder / "tools"
    tools.mkdir()
    (tools / "ssh").write_text(SSH)
    (tools / "ssh").chmod(0o755)
    patch.setenv("PATH", str(tools), prepend=":")
    return flash_job(folder, "uno", exporter=exporter, lab_flash=lab_flash)


def test_the_image_is_sent_used_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = tmp_path / "done"
    command = f"cp {{hex}} {done}.hex; echo {{port}} {{baud}} > {done}; echo {{hex}} > {done}.path"
    flash(job(tmp_path, monkeypatch, command))
    assert done.with_suffix(".hex").read_bytes() == b"image"
    assert done.read_text() == "/dev/tty USB0 115200\n"
    sent = Path(done.with_suffix(".path").read_text().strip())
    assert sent.name == "firmware.hex"
    assert not sent.parent.exists()
    assert " bench-2 sh -c " in (tmp_path / "tools" / "ssh.line").read_text()


def test_a_tool_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FlashError, match=r"ssh failed \(7\): error: no programmer"):
        flash(job(tmp_path, monkeypatch, "echo error: no programmer; cat {hex} >&2; exit 7"))


@pytest.mark.parametrize(
    ("lab_flash", "exporter", "words"),
    [
        ("", BENCH_2, "uno hangs on bench-2, and its section has no lab_flash"),
        ("x {hex} {port}", Exporter("uno-1", "bench-2", ""), "place uno-1 doesn't tell its device"),
        ("x {hex}", Exporter("uno-1", "-oProxyCommand=x", ""), "no name of a machine"),
    ],
)
def test_what_cannot_be_flashed_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lab_flash: str,
    exporter: Exporter,
    words: str,
) -> None:
    with pytest.raises(FlashError, match=words):
        flash(job(tmp_path, monkeypatch, lab_flash, exporter))
