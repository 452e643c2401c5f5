"""The file of a bundle: a zip, equal bytes for equal content; anybody may have made it."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path

from miniml.errors import BundleError
from miniml.hil.bundle.manifest import (
    MANIFEST_FILE,
    MAX_NAME,
    NAME,
    BoardEntry,
    make_manifest,
    parse_manifest,
)

# Far above what boards can hold: ELFs with debug information have a few MB each.
MAX_BYTES = 256 << 20
MAX_FILES = 2000
# Zip's own beginning of time: a date would make every bundle another one.
_NO_DATE = (1980, 1, 1, 0, 0, 0)
# What zipfile raises on spoilt bytes is more than it says.
_SPOILT = (
    zipfile.BadZipFile,
    ValueError,
    EOFError,
    OSError,
    RuntimeError,
    OverflowError,
    IndexError,
)


def write_archive(version: str, boards: Mapping[str, BoardEntry], files: dict[str, bytes]) -> bytes:
    """The bundle's bytes. Nothing is compressed: zlib's output depends on its version."""
    content = {**files, MANIFEST_FILE: make_manifest(version, boards, files)}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(content):
            info = zipfile.ZipInfo(name, _NO_DATE)
            info.create_system = 3  # Unix, on every system
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(info, content[name])
    return stream.getvalue()


def read_archive(path: Path) -> tuple[dict[str, BoardEntry], dict[str, bytes]]:
    """Its boards, and its files by name, all as the manifest says; nothing is written.

    Raises:
        BundleError: it can't be read, or isn't one; in one line.
    """
    try:
        if not path.is_file():
            raise BundleError(f"there is no bundle {path}: make one by `miniml bundle -o FILE`")
        if path.stat().st_size > MAX_BYTES:
            raise refusal(path, ValueError(f"it has more than {MAX_BYTES >> 20} MB"))
        with path.open("rb") as file:
            data = file.read(MAX_BYTES)
    except OSError as error:
        raise BundleError(f"{path}: can't be read ({error.strerror}): check its rights") from error
    try:
        files = _files(data)
        if MANIFEST_FILE not in files:
            raise ValueError(f"it has no {MANIFEST_FILE}")
        _, boards = parse_manifest(files.pop(MANIFEST_FILE), files)
    except _SPOILT as error:
        raise refusal(path, error) from error
    return boards, files


def refusal(path: Path, error: Exception) -> BundleError:
    """The one line for whatever is wrong with a bundle."""
    words = " ".join(str(error).split())[:200] or type(error).__name__
    what = words if isinstance(error, ValueError | zipfile.BadZipFile) else f"damaged: {words}"
    return BundleError(
        f"{path} is no bundle that can be run: {what}: make it anew by `miniml bundle`"
    )


def _files(data: bytes) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if len(entries) > MAX_FILES:
            raise ValueError(f"it has more than {MAX_FILES} files")
        # Nothing is compressed or shared, so a file that claims more than this is none of ours.
        if sum(entry.file_size for entry in entries) > len(data):
            raise ValueError("its files are larger than itself")
        for entry in entries:
            name = entry.orig_filename
            if len(name) > MAX_NAME or not NAME.fullmatch(name):
                raise ValueError(f"the name {name[:60]!r} is not allowed")
            if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
                raise ValueError(f"{name!r} is compressed or encrypted")
            if name in files:
                raise ValueError(f"{name!r} is there twice")
            files[name] = archive.read(entry)
    return files
