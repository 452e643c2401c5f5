"""Packs what `pio run` built, with all that a bench needs to judge it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from miniml import __version__
from miniml.atomic_file import write_atomically
from miniml.boards import BOARDS_FILE, LOCAL_FILE, Board, pick_board
from miniml.errors import BundleError, MiniMLError
from miniml.hil.bundle.archive import write_archive
from miniml.hil.bundle.bundle_source import BundleSource
from miniml.hil.bundle.foretold import dump_cost
from miniml.hil.bundle.manifest import IMAGES, BoardEntry
from miniml.hil.bundle.vectors import dump_vectors, make_vectors
from miniml.hil.source import ProjectSource


def pack(project: Path, names: Sequence[str]) -> tuple[bytes, dict[str, BoardEntry]]:
    """The bytes of a bundle, and what is in it.

    Args:
        project: folder of platformio.ini.
        names: boards; none: every one that was built.

    Raises:
        UsageError, ModelError: boards.ini, or a model's settings, data or lock.
        BoardError: nothing is built, or what is built is stale.
    """
    source = ProjectSource(project)
    chosen = [pick_board(source.boards, name) for name in names] or source.built()
    for board in chosen:
        source.build(board.name)  # `load_models` leaves a missing one for later
    source.load_models(chosen)
    files = {BOARDS_FILE: _read(project / BOARDS_FILE)}
    entries: dict[str, BoardEntry] = {}
    for board in chosen:
        build = source.build(board.name)
        subject = source.subject(board, build, None)
        entries[board.name] = BoardEntry.of(build)
        place = f"boards/{board.name}"
        files[f"{place}/build.json"] = _read(build.folder / "miniml" / "build.json")
        files[f"{place}/cost.json"] = dump_cost(subject.cost)
        for image in IMAGES:
            if (build.folder / image).is_file():
                files[f"{place}/{image}"] = _read(build.folder / image)
        model = f"models/{build.model_id}"
        if f"{model}/model.lock.json" not in files:
            files[f"{model}/model.lock.json"] = _read(source.prepared(build).lock_path)
            for name, data in dump_vectors(make_vectors(subject)).items():
                files[f"{model}/{name}"] = data
    data = write_archive(__version__, entries, files)
    _read_back(data, chosen)
    return data, entries


def _read_back(data: bytes, chosen: Sequence[Board]) -> None:
    """A bundle that no bench could run is not handed out."""
    with TemporaryDirectory(prefix="miniml-bundle-") as folder:
        file, unpacked = Path(folder) / "bundle.zip", Path(folder) / "unpacked"
        file.write_bytes(data)
        unpacked.mkdir()
        source = BundleSource(file, unpacked, unpacked)
        source.load_models(chosen)
        there = [board.name for board in source.built()]
    if absent := [board.name for board in chosen if board.name not in there]:
        raise BundleError(
            f"{BOARDS_FILE} has no section [{absent[0]}]: a bundle takes that file along and not "
            f"{LOCAL_FILE}: move the section"
        )


def write_bundle(path: Path, data: bytes) -> None:
    """Writes the file whole, or not at all.

    Raises:
        MiniMLError: no rights, no room, no such folder.
    """
    try:
        write_atomically(path, data)
    except OSError as error:
        raise MiniMLError(f"{path}: can't be written ({error.strerror}): check it") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: can't be read ({error.strerror}), so not packed") from error
