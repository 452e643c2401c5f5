"""Bundles: the same run on a bench that has neither project nor compiler; spoilt ones refused."""

from __future__ import annotations

import io
import json
import random
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hil_bench import BOARDS, ROOT, SAMPLES, Bench, first_run

from miniml import __version__
from miniml.boards import load_boards
from miniml.cache import cache_dir
from miniml.errors import BundleError, FlashError
from miniml.hil.bundle.archive import MAX_BYTES, read_archive, write_archive
from miniml.hil.bundle.bundle_source import BundleSource
from miniml.hil.bundle.pack import pack
from miniml.hil.run import chosen_boards
from miniml.hil.run_options import RunOptions
from miniml.hil.source import open_source

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return first_run(tmp_path_factory).bench


@pytest.fixture(scope="module")
def bundle(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "boards.zip"
    done = bench.miniml("bundle", "-o", str(path))
    assert done.returncode == 0, done.stderr
    assert all(f"{board}: model " in done.stdout for board in BOARDS)
    return path


def run_bundle(folder: Path, *words: str) -> Any:
    """`miniml` on a bench: an empty folder, an empty home, and the system's flashing tools."""
    (folder / "home").mkdir()
    (folder / "bench").mkdir()
    return subprocess.run(
        [sys.executable, "-m", "miniml", *words],
        cwd=folder / "bench",
        env={
            "HOME": str(folder / "home"),
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            # Where the simulated boards' programs are compiled already.
            "XDG_CACHE_HOME": str(cache_dir().parent),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def figures(board: dict[str, Any]) -> dict[str, Any]:
    """A board of a report without what depends on when an interrupt or an answer comes."""
    cycles = {key: n for key, n in board["cycles"].items() if not key.startswith("unmasked")}
    rest = {key: value for key, value in board.items() if not key.startswith(("stack", "retries"))}
    return {**rest, "cycles": cycles}


def test_a_bench_without_project_and_compiler_says_the_same(
    bench: Bench, bundle: Path, tmp_path: Path
) -> None:
    done = run_bundle(tmp_path, "run", "--bundle", str(bundle), "--samples", str(SAMPLES), "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [board["verdict"] for board in report["boards"]] == ["PASS"] * len(BOARDS)
    # The same rows as `pio test` ran in the project.
    there = {board["name"]: board for board in bench.report()["boards"]}
    assert [board["name"] for board in report["boards"]] == list(BOARDS)
    for board in report["boards"]:
        assert figures(board) == figures(there[board["name"]])
    assert report["model"] == bench.report()["model"]
    logs = {name: (tmp_path / f"bench/.pio/miniml/log/{name}.log").read_text() for name in BOARDS}
    assert "/avrdude -p atmega328p" in logs["uno"]
    assert not any("nobuild" in log for log in logs.values())
    assert not any((tmp_path / "home").iterdir())


def test_the_same_builds_give_the_same_bytes(
    bench: Bench, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLATFORMIO_WORKSPACE_DIR", str(bench.workspace))
    assert pack(ROOT, [])[0] == bundle.read_bytes()
    with zipfile.ZipFile(bundle) as archive:
        assert archive.namelist() == sorted(archive.namelist())


def test_only_what_was_packed_can_run(bundle: Path, tmp_path: Path) -> None:
    with open_source(RunOptions(tmp_path, bundle=bundle)) as source:
        assert [board.name for board in source.built()] == list(BOARDS)
        assert set(source.boards) == set(load_boards(ROOT))
        with pytest.raises(FlashError, match="has no build for nucleo_f446re: it has nano"):
            source.build("nucleo_f446re")
        folder = source.folder
        assert (folder / "uno" / "firmware.hex").is_file()
    assert not folder.exists()


def test_the_bench_has_its_own_ports(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "boards.local.ini").write_text("[uno]\nport = /dev/bench-uno\n")
    with open_source(RunOptions(tmp_path, bundle=bundle)) as source:
        assert source.boards["uno"].port == "/dev/bench-uno"


def test_a_board_that_only_platformio_can_flash_is_told_at_once(
    bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "boards.local.ini").write_text("[pico]\nflash_method = pio\n")
    options = RunOptions(tmp_path, bundle=bundle)
    with open_source(options) as source:
        with pytest.raises(BundleError, match=r"pico needs PlatformIO's project.*--no-flash"):
            chosen_boards(options, source)
        assert len(chosen_boards(replace(options, flash=False), source)) == len(BOARDS)
        assert len(chosen_boards(replace(options, boards=("uno",)), source)) == 1


def load(path: Path, bench: Path, folder: Path) -> None:
    source = BundleSource(path, bench, folder)
    source.load_models(source.built())


def refused(data: bytes, folder: Path) -> str:
    """What the bench says to a bundle of these bytes, in one line."""
    path, unpacked = folder / "spoilt.zip", folder / "unpacked"
    path.write_bytes(data)
    unpacked.mkdir(exist_ok=True)
    with pytest.raises(BundleError) as caught:
        load(path, folder, unpacked)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip of these files, made by anybody."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a zip file"),
        (b"PK\x03\x04" + bytes(100), "not a zip file"),
        (zipped({"report.json": b"{}"}), "it has no manifest.json"),
        (zipped({"manifest.json": b"[]"}), "manifest.json is none"),
        (zipped({"manifest.json": b'{"format": "other/1"}'}), "its format is 'other/1'"),
        (zipped({"manifest.json": b"\xff{"}), "can't decode"),
        (zipped({"manifest.json": b"[" * 100_000}), "maximum recursion depth"),
        (zipped({"../../evil": b""}), "'../../evil' is not allowed"),
        (zipped({"/etc/evil": b""}), "'/etc/evil' is not allowed"),
        (zipped({"boards/uno/../evil": b""}), "is not allowed"),
        (zipped({"c:evil": b""}), "is not allowed"),
        (zipped({"a\\b": b""}), "is not allowed"),
        (zipped({"manifest.json": b"{}"}, zipfile.ZIP_DEFLATED), "is compressed"),
        (zipped({"manifest.json": bytes(10_000_000)}, zipfile.ZIP_DEFLATED), "larger than itself"),
        (zipped({f"f{number}": b"" for number in range(2001)}), "more than 2000 files"),
    ],
)
def test_foreign_files_are_refused(data: bytes, message: str, tmp_path: Path) -> None:
    assert message in refused(data, tmp_path)
    assert not any((tmp_path / "unpacked").iterdir())


def rewritten(bundle: Path, change: Callable[[Files], None]) -> bytes:
    """The bundle with other files, and a manifest that fits them."""
    boards, files = read_archive(bundle)
    change(files)
    return write_archive(__version__, boards, files)


def flip(name: str, place: int = -1) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        data = bytearray(files[name])
        data[place] ^= 0x7F
        files[name] = bytes(data)

    return change


def without(name: str) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        del files[name]

    return change


def replaced(name: str, old: bytes, new: bytes) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        assert old in files[name]
        files[name] = files[name].replace(old, new, 1)

    return change


def test_what_contradicts_itself_is_refused(bundle: Path, tmp_path: Path) -> None:
    boards, _ = read_archive(bundle)
    model = f"models/{boards['uno'].model_id}"
    build, cost = "boards/uno/build.json", "boards/uno/cost.json"
    changes: list[tuple[Callable[[Files], None], str]] = [
        (flip(f"{model}/test_expected_2.npy"), "expects other bytes of suite 'test', layer 2"),
        (flip(f"{model}/random_expected_3.npy"), "expects other bytes of suite 'random'"),
        (flip(f"{model}/float_expected_1.npy"), "expects other bytes of suite 'float'"),
        (flip(f"{model}/test_inputs.npy", 0), "is no array"),
        (without(f"{model}/test_labels.npy"), "test_labels.npy is missing"),
        (lambda files: files.update({f"{model}/test_labels.npy": b"\x80\x04."}), "is no array"),
        (replaced(f"{model}/model.lock.json", b'"generator"', b'"generatr"'), "checksum"),
        (without(f"{model}/model.lock.json"), "is missing"),
        (flip("boards/uno/firmware.elf"), "is not the one that build.json describes"),
        (replaced(build, b'"kit"', b'"kid"'), "says otherwise"),
        (without(build), "nothing is built for uno"),
        (replaced(cost, b'"exact"', b'"exakt"'), "cost.json is damaged"),
    ]
    for change, message in changes:
        shutil.rmtree(tmp_path / "unpacked", ignore_errors=True)
        assert message in refused(rewritten(bundle, change), tmp_path)


def test_any_damage_is_seen(bundle: Path, tmp_path: Path) -> None:
    whole, path = bundle.read_bytes(), tmp_path / "damaged.zip"
    content = read_archive(bundle)
    source = random.Random(6)
    for turn in range(120):
        data = bytearray(whole)
        if turn % 3:
            data[source.randrange(len(data))] ^= 1 << source.randrange(8)
        else:
            del data[source.randrange(len(data)) :]
        path.write_bytes(data)
        try:
            found = read_archive(path)
        except BundleError:
            continue
        # A date or a right in zip's own tables is all that may have changed.
        assert found == content


def test_a_giant_is_refused_unread(tmp_path: Path) -> None:
    giant = tmp_path / "giant.zip"
    with giant.open("wb") as file:
        file.truncate(MAX_BYTES + 1)  # a hole: it takes no room
    with pytest.raises(BundleError, match="it has more than 256 MB"):
        read_archive(giant)
    with pytest.raises(BundleError, match="there is no bundle"):
        read_archive(tmp_path)


def test_a_spoilt_bundle_touches_no_board(bundle: Path, tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt.zip"
    spoilt.write_bytes(bundle.read_bytes()[:-100])
    done = run_bundle(tmp_path, "run", "--bundle", str(spoilt))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "is no bundle that can be run" in done.stderr
    kept = tmp_path / "bench" / ".pio" / "miniml"
    assert {path.name for path in kept.iterdir()} <= {"report", "report.filelock"}
    assert json.loads((kept / "report/report.json").read_text())["error"]["name"] == "BundleError"
