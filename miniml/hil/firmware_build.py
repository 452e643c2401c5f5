"""What `pio run` built for an environment, as build.json beside the ELF describes it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from miniml.errors import FlashError
from miniml.hil.project import build_dir


@dataclass(frozen=True)
class FirmwareBuild:
    """A firmware on disk.

    Attributes:
        environment: PlatformIO's.
        folder: holds firmware.elf and what was made from it.
        build_id, model_id: 64 hex digits each.
        model: name of the model.
        model_dir: folder of its model.toml.
        mode: how the model computes, a name of `miniml.board_keys.MODES`.
        kernels_sha256: of <name>_kernels.S, 64 hex digits; None: it has no generated kernels.
        world: "kit" (the offline kit's packages) or "official".
        platform: such as "atmelavr@5.2.0".
        toolchain: such as "avr-gcc-5.4.0 -Os -flto"; key of the calibration.
        elf_sha256: of firmware.elf, 64 hex digits; recomputed when this was made.
        flash, sram: bytes of the whole firmware.
        link_flash, link_sram: bytes of these that the link takes; None: not recorded.
    """

    environment: str
    folder: Path
    build_id: str
    model_id: str
    model: str
    model_dir: Path
    mode: str
    kernels_sha256: str | None
    world: str
    platform: str
    toolchain: str
    elf_sha256: str
    flash: int
    sram: int
    link_flash: int | None
    link_sram: int | None

    @property
    def elf(self) -> Path:
        """The linked program."""
        return self.folder / "firmware.elf"

    def image(self, suffix: str) -> Path:
        """firmware.hex, .bin or .uf2.

        Raises:
            FlashError: it isn't there.
        """
        path = self.folder / f"firmware{suffix}"
        if not path.is_file():
            raise FlashError(f"{path} is missing: build {self.environment} anew")
        return path


def load_build(project: Path, environment: str) -> FirmwareBuild:
    """The build of an environment of a PlatformIO project, its ELF's hash checked.

    Raises:
        FlashError: nothing was built, the record is damaged, or the ELF is another one.
    """
    again = f"run `pio run -e {environment}`"
    return read_build(build_dir(project, environment), environment, project, again)


def read_build(folder: Path, environment: str, project: Path, again: str) -> FirmwareBuild:
    """The build in a folder, its ELF's hash checked.

    Args:
        folder: holds firmware.elf and miniml/build.json.
        environment: of which it is.
        project: what the model's folder is relative to.
        again: what to do about a damaged one, for messages.

    Raises:
        FlashError: there is none, the record is damaged, or the ELF is another one.
    """
    record, elf = folder / "miniml" / "build.json", folder / "firmware.elf"
    try:
        content: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
        link = content.get("link") or {}
        build = FirmwareBuild(
            environment=environment,
            folder=folder,
            build_id=str(content["build_id"]),
            model_id=str(content["model_id"]),
            model=str(content.get("model", "")),
            model_dir=project / str(content["model_dir"]),
            mode=str(content.get("mode", "int8")),
            kernels_sha256=content.get("kernels_sha256"),
            world=str(content["world"]),
            platform=str(content["platform"]),
            toolchain=str(content["toolchain"]),
            elf_sha256=str(content["elf_sha256"]),
            flash=int(content["flash"]),
            sram=int(content["sram"]),
            link_flash=link.get("flash"),
            link_sram=link.get("sram"),
        )
        found = hashlib.sha256(elf.read_bytes()).hexdigest()
    except FileNotFoundError as error:
        raise FlashError(f"nothing is built for {environment} in {folder}: {again}") from error
    except OSError as error:
        raise FlashError(f"can't read the build of {environment}: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FlashError(f"{record} is damaged ({error}): {again}") from error
    if found != build.elf_sha256:
        raise FlashError(f"{elf} is not the one that {record.name} describes: {again}")
    return build
