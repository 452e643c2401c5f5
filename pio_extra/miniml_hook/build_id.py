"""The build id: SHA-256 over ModelId, the firmware's sources, the compiler and its flags.

Folders of this machine are replaced by their roles, so that the same checkout gives the same
id elsewhere; what the compiler is called with, and which one it is, counts.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .interpreter import HookError
from .output_file import sha256_of, write_if_changed

# SCons variables that reach a compiler or the linker; include folders count by their content.
FLAG_VARIABLES = (
    "$CCFLAGS",
    "$CFLAGS",
    "$CXXFLAGS",
    "$ASFLAGS",
    "$ASPPFLAGS",
    "$_CPPDEFFLAGS",
    "$LINKFLAGS",
)


@dataclass(frozen=True)
class Compiler:
    """A compiler as it names itself.

    Attributes:
        banner: first line of `--version`, without the folder it was started from.
        version: such as 5.4.0.
        family: such as avr-gcc.
    """

    banner: str
    version: str
    family: str

    def toolchain(self, flags: str) -> str:
        """Compiler and what changes its code most, such as `avr-gcc-5.4.0 -Os -flto`."""
        words = flags.split()
        levels = [word for word in words if re.fullmatch(r"-O\w*", word)]
        lto = [word for word in words if re.fullmatch(r"-flto(=.*)?", word)]
        return " ".join(
            [f"{self.family}-{self.version}", *levels[-1:], *(["-flto"] if lto else [])]
        )


def find_compiler(program: str, search_path: str, memory: Path) -> Compiler:
    """Ask a compiler for its version; `memory` spares asking the same file again.

    Raises:
        HookError: it is not there or can't be started.
    """
    path = shutil.which(program, path=search_path)
    if path is None:
        raise HookError(f"the compiler {program} is not in PlatformIO's packages nor in PATH")
    facts = Path(path).stat()
    identity = [path, facts.st_size, facts.st_mtime_ns]
    try:
        known = json.loads(memory.read_text(encoding="utf-8"))
        if known["identity"] == identity:
            return Compiler(known["banner"], known["version"], known["family"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    found = _ask(path)
    content = {"identity": identity, **found.__dict__}
    write_if_changed(memory, (json.dumps(content, indent=1) + "\n").encode("utf-8"))
    return found


def _ask(path: str) -> Compiler:
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run([path, "--version"], env=environment, stdout=subprocess.PIPE)
    except OSError as error:
        raise HookError(f"can't start the compiler {path}: {error.strerror}") from None
    banner = done.stdout.decode("utf-8", "replace").partition("\n")[0].strip()
    # Brackets hold the packager's own version: "arm-none-eabi-gcc (15:12.2.rel1-1) 12.2.1".
    version = re.search(r"\d+\.\d+(\.\d+)?", re.sub(r"\([^)]*\)", "", banner))
    if done.returncode != 0 or version is None:
        raise HookError(f"{path} --version gave no version: is it a compiler?")
    family = re.sub(r"(\.exe)$", "", Path(path).name, flags=re.IGNORECASE)
    return Compiler(banner, version.group(), family)


def source_hashes(roots: Mapping[str, Path]) -> dict[str, str]:
    """`role/path/in/it` -> SHA-256, for every file below each root; hidden ones left out."""
    found = {}
    for role, root in roots.items():
        for folder, folders, files in os.walk(root):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in files:
                path = Path(folder, name)
                digest = None if name.startswith(".") else sha256_of(path)
                if digest is not None:
                    found[f"{role}/{path.relative_to(root).as_posix()}"] = digest
    return found


def without_folders(text: str, folders: Sequence[tuple[str, str]]) -> str:
    """`text` with each folder of this machine replaced by its role, the longest first."""
    text = text.replace("\\", "/")
    for folder, role in sorted(folders, key=lambda pair: -len(pair[0])):
        if len(folder) > 1:
            text = text.replace(folder.replace("\\", "/"), role)
    return text


def build_id(content: Mapping[str, Any]) -> str:
    """64 hex digits over plain JSON types."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def header_text(identity: str) -> str:
    """`miniml_build_id.h`, which only firmware/src/build_id.cpp includes."""
    return f'#pragma once\n\n#define MINIML_BUILD_ID "{identity}"\n'
