"""Make the kit: a PlatformIO core directory with stand-ins under the official names.

Everything in it is derived, so it is remade as a whole whenever what it was made from has
changed. A directory that the kit did not make is never filled nor touched.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pio_extra.offline.manifests import (
    MARK,
    PLATFORMS,
    Json,
    Platform,
    appstate,
    package_json,
    piopm,
    platform_json,
)
from pio_extra.offline.toolchains import KitError, Toolchain, find_avr_core, find_toolchain

HERE = Path(__file__).resolve().parent
MARKER = "miniml_kit.json"
SCHEMA = "miniml.kit/1"
AVR_PARTS = ("cores/arduino", "variants/standard", "variants/eightanaloginputs", "libraries")


def prepare(core_dir: Path) -> bool:
    """Make or renew the kit in `core_dir`; False if it was up to date.

    Raises:
        KitError: a compiler is missing, or `core_dir` holds something else.
    """
    _refuse_foreign(core_dir)
    tools = {p.name: find_toolchain(p.toolchain, p.compiler) for p in PLATFORMS}
    avr_core = find_avr_core()
    scons = _scons_facts()
    digest = _digest(tools, avr_core, scons)
    if _read_marker(core_dir).get("digest") == digest:
        return False
    core_dir.mkdir(parents=True, exist_ok=True)
    # First without a digest: a kit that was killed half-way is ours, and is made again.
    _write_json(core_dir / MARKER, {"schema": SCHEMA, "digest": None})
    for platform in PLATFORMS:
        _make_platform(core_dir, platform, tools[platform.name], avr_core)
    _make_scons(core_dir, scons)
    if not (core_dir / "appstate.json").exists():
        _write_json(core_dir / "appstate.json", appstate(scons["platformio"]))
    _write_json(
        core_dir / MARKER,
        {
            "schema": SCHEMA,
            "digest": digest,
            "toolchains": {t.package: f"{t.compiler} {t.version}" for t in tools.values()},
        },
    )
    return True


def is_kit(core_dir: Path) -> bool:
    """Whether `core_dir` is a complete kit (perhaps an outdated one)."""
    return bool(_read_marker(core_dir).get("digest"))


def _refuse_foreign(core_dir: Path) -> None:
    if not core_dir.exists():
        return
    if not core_dir.is_dir():
        raise KitError(f"{core_dir} is in the way of the offline kit: move it")
    if _read_marker(core_dir).get("schema") != SCHEMA and any(core_dir.iterdir()):
        raise KitError(f"{core_dir} was not made by MiniML and stays untouched: move it away")


def _read_marker(core_dir: Path) -> Json:
    try:
        marker = json.loads((core_dir / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return marker if isinstance(marker, dict) else {}


def _scons_facts() -> dict[str, str]:
    """Versions of PlatformIO and SCons, and where SCons lies, in this Python."""
    try:
        import platformio
        import SCons
        from platformio.dependencies import get_core_dependencies
    except ImportError as error:
        raise KitError(f"{error.name} is missing in {sys.executable}: run make setup") from error
    wanted = re.search(r"\d+\.\d+\.\d+", get_core_dependencies()["tool-scons"])
    assert wanted is not None
    return {
        "platformio": platformio.__version__,
        "package": wanted.group(),
        "scons": SCons.__version__,
        "location": str(Path(SCons.__file__).resolve().parent.parent),
    }


def _digest(tools: dict[str, Toolchain], avr_core: Path, scons: dict[str, str]) -> str:
    digest = hashlib.sha256(repr((sorted(tools.items()), str(avr_core), scons)).encode())
    for file in _files(HERE):
        digest.update(f"\0{file.relative_to(HERE).as_posix()}\0".encode() + file.read_bytes())
    for part in AVR_PARTS:
        for file in _files(avr_core / part):
            digest.update(f"\0{file}\0{file.stat().st_size}\0{file.stat().st_mtime_ns}".encode())
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    return (
        file
        for file in sorted(folder.rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    )


def _make_platform(core: Path, platform: Platform, tools: Toolchain, avr_core: Path) -> None:
    version = f"{platform.version}+{MARK}"
    folder = _fresh(core / "platforms" / platform.name)
    # Without bytecode, which another process may be writing just now.
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(HERE / "platforms" / platform.name, folder / "builder", ignore=ignored)
    for file in sorted((HERE / "platforms" / "shared").glob("*.py")):
        shutil.copy(file, folder / "builder")
    (folder / "boards").mkdir()
    for board, facts in platform.boards.items():
        _write_json(folder / "boards" / f"{board}.json", facts)
    _write_json(folder / "platform.json", platform_json(platform))
    # The last one: only now PlatformIO and the hook take the folder for a platform.
    _write_json(folder / ".piopm", piopm("platform", platform.name, version))
    _write_json(
        folder / MARKER,
        {
            "schema": SCHEMA,
            "world": "kit",
            "compiler": tools.compiler,
            "toolchain_bin": str(tools.bin_dir),
            "toolchain_version": tools.version,
            "cxxflags": _cxxflags(tools),
        },
    )
    _make_framework(core / "packages", platform, avr_core)
    _make_package(core / "packages", platform.toolchain, f"{tools.version}+{MARK}")
    _make_package(core / "packages", platform.uploader, f"1.0.0+{MARK}")


def _cxxflags(tools: Toolchain) -> list[str]:
    # GCC before 6 hides DECIMAL_DIG from C++11; the AVR core's WString.cpp uses it.
    old = tools.compiler == "avr-gcc" and int(tools.version.split(".")[0]) < 6
    return ["-DDECIMAL_DIG=__DECIMAL_DIG__"] if old else []


def _make_framework(packages: Path, platform: Platform, avr_core: Path) -> None:
    folder = _fresh(packages / platform.framework)
    if platform.core is None:
        for part in AVR_PARTS:
            if (avr_core / part).is_dir():
                shutil.copytree(avr_core / part, folder / part)
    else:
        shutil.copytree(HERE / "cores" / "arm", folder / "core")
        chip = HERE / "cores" / platform.core
        shutil.copytree(chip, folder / "chip", ignore=shutil.ignore_patterns("boot2.S"))
        if (chip / "boot2.S").is_file():
            (folder / "boot2").mkdir()
            shutil.copy(chip / "boot2.S", folder / "boot2")
    _write_manifests(folder, platform.framework, f"{platform.version}+{MARK}")


def _make_scons(core: Path, scons: dict[str, str]) -> None:
    folder = _fresh(core / "packages" / "tool-scons")
    shutil.copy(HERE / "scons_stub.py", folder / "scons.py")
    _write_json(folder / "location.json", scons["location"])
    _write_manifests(folder, "tool-scons", f"{scons['package']}+{MARK}")


def _make_package(packages: Path, name: str, version: str) -> None:
    _write_manifests(_fresh(packages / name), name, version)


def _write_manifests(folder: Path, name: str, version: str) -> None:
    _write_json(folder / "package.json", package_json(name, version))
    _write_json(folder / ".piopm", piopm("tool", name, version))


def _fresh(folder: Path) -> Path:
    """An empty `folder`; what was there is renamed away first, so that it goes at once."""
    if folder.exists():
        doomed = folder.with_name(f".old-{folder.name}-{os.getpid()}")
        folder.rename(doomed)
        shutil.rmtree(doomed)
    folder.mkdir(parents=True)
    return folder


def _write_json(path: Path, content: Any) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)
