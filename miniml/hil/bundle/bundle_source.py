"""A bundle as the source of a run: no compiler, no PlatformIO project, no model's folder."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from miniml.boards import BOARDS_FILE, Board, load_boards
from miniml.cost import Cost
from miniml.errors import FlashError, ModelError
from miniml.float_net import DeviceModel, device_model
from miniml.hil.bundle.archive import read_archive, refusal
from miniml.hil.bundle.foretold import load_cost, of_rows
from miniml.hil.bundle.manifest import IMAGES, BoardEntry
from miniml.hil.bundle.vectors import Vectors, load_vectors
from miniml.hil.firmware_build import FirmwareBuild, read_build
from miniml.hil.proof.subject import Subject
from miniml.lock import parse_lock
from miniml.model import QuantizedModel


@dataclass(frozen=True, eq=False)
class _Packed:
    """A model of the bundle: as the boards compute it, as it was quantized, and its vectors."""

    device: DeviceModel
    quantized: QuantizedModel
    vectors: Vectors


class BundleSource:
    """The boards, builds and expected bytes of a bundle."""

    def __init__(self, file: Path, bench: Path, folder: Path) -> None:
        """Reads and checks the whole bundle, and unpacks its images.

        Args:
            file: the bundle.
            bench: where boards.local.ini may be.
            folder: an empty one, for as long as the source is used.

        Raises:
            BundleError: damaged, or no bundle of this version.
            SettingsError: boards.local.ini, or the bundle's boards.ini.
        """
        self._file, self.folder = file, folder
        self._entries, self._files = read_archive(file)
        self._models: dict[str, _Packed] = {}
        for name, entry in self._entries.items():
            for image in (*IMAGES, "build.json"):
                data = self._files.get(f"boards/{name}/{image}")
                if data is not None:
                    inner = "miniml/build.json" if image == "build.json" else image
                    path = folder / name / inner
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(data)
            try:
                if BoardEntry.of(self.build(name)) != entry:
                    raise ValueError(f"build.json of {name} says otherwise than manifest.json")
            except (FlashError, ValueError) as error:
                words = str(error).replace(f"{folder}{os.sep}", "")
                raise refusal(file, ValueError(words)) from error
        (folder / BOARDS_FILE).write_bytes(self._files.get(BOARDS_FILE, b""))
        self.boards: Mapping[str, Board] = load_boards(folder, bench)

    def built(self) -> list[Board]:
        """Its boards, in the order of boards.ini."""
        return [board for name, board in self.boards.items() if name in self._entries]

    def load_models(self, boards: Sequence[Board]) -> None:
        """Reads models and vectors of the boards, and has the reference say the same bytes."""
        for board in boards:
            entry = self._entries.get(board.name)
            if entry is not None and entry.model_id not in self._models:
                try:
                    self._models[entry.model_id] = self._load(entry)
                    self._cost(board.name)
                except (ValueError, ModelError) as error:
                    raise refusal(self._file, error) from error

    def model(self) -> QuantizedModel | None:
        """The first board's."""
        return next((packed.quantized for packed in self._models.values()), None)

    def build(self, board: str) -> FirmwareBuild:
        """From the unpacked bundle."""
        if board not in self._entries:
            there = ", ".join(self._entries)
            raise FlashError(f"{self._file} has no build for {board}: it has {there}")
        return read_build(self.folder / board, board, self.folder, "make the bundle anew")

    def subject(self, board: Board, build: FirmwareBuild, samples: int | None) -> Subject:
        """From the bundle; `load_models` has checked it."""
        packed = self._models[build.model_id]
        suites = packed.vectors.suites
        return Subject(
            model=packed.device,
            rows=suites["test"][:samples],
            features=np.empty((0, packed.device.widths[0]), np.float32),
            labels=packed.vectors.labels[:samples],
            cost=of_rows(self._cost(board.name), samples),
            packed=suites,
        )

    def _cost(self, board: str) -> Cost:
        return load_cost(self._file_of(f"boards/{board}/cost.json"))

    def _load(self, entry: BoardEntry) -> _Packed:
        place = f"models/{entry.model_id}/"
        lock = parse_lock(self._file_of(place + "model.lock.json"), Path("model.lock.json"))
        if lock is None:
            raise ValueError("another version of MiniML made its model")
        model = device_model(lock.model, lock.float_model, entry.mode)
        if model.model_id != entry.model_id:
            raise ValueError(f"its model is {model.model_id[:16]} here, not {entry.model_id[:16]}")
        arrays = {
            name.removeprefix(place): data
            for name, data in self._files.items()
            if name.startswith(place) and name.endswith(".npy")
        }
        return _Packed(model, lock.model, load_vectors(model, arrays))

    def _file_of(self, name: str) -> bytes:
        if name not in self._files:
            raise ValueError(f"{name!r} is missing")
        return self._files[name]
