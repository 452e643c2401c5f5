"""Where a run has its boards, builds and expected bytes from: a project, or a bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from miniml.boards import Board, load_boards
from miniml.errors import FlashError
from miniml.hil.bundle.bundle_source import BundleSource
from miniml.hil.firmware_build import FirmwareBuild, load_build
from miniml.hil.project import build_dir
from miniml.hil.proof.subject import Subject, subject_of
from miniml.hil.run_options import RunOptions
from miniml.model import QuantizedModel
from miniml.pipeline import Prepared, prepare


class Source(Protocol):
    """What a run tests.

    Attributes:
        boards: all known boards by name, also those without a build.
        folder: where flashing tools are called: the project, or a place that is none, from
            where they are called without PlatformIO.
    """

    @property
    def folder(self) -> Path:
        """See above."""

    @property
    def boards(self) -> Mapping[str, Board]:
        """In the order of boards.ini."""

    def built(self) -> list[Board]:
        """The boards that there is a build for.

        Raises:
            FlashError: there is none for any board.
        """

    def load_models(self, boards: Sequence[Board]) -> None:
        """Reads what the boards' builds compute, so that a wrong file is told before the run.

        Raises:
            UsageError, ModelError: settings, data or lock are wrong.
        """

    def model(self) -> QuantizedModel | None:
        """The model that the report is headed by; None: no board has a build."""

    def build(self, board: str) -> FirmwareBuild:
        """A board's build, its files checked.

        Raises:
            FlashError: there is none, or it is damaged.
        """

    def subject(self, board: Board, build: FirmwareBuild, samples: int | None) -> Subject:
        """What the build computes, and what is foretold for it.

        Raises:
            StaleFirmwareError: the build is another model's.
        """


class ProjectSource:
    """A PlatformIO project: what `pio run` built, and the models' folders."""

    def __init__(self, project: Path) -> None:
        """Reads boards.ini and boards.local.ini of the project.

        Raises:
            SettingsError: a wrong file, section, key or value.
        """
        self._project = self.folder = project
        self.boards: Mapping[str, Board] = load_boards(project)
        self._prepared: dict[str, Prepared] = {}

    def built(self) -> list[Board]:
        """The boards that have a build.json."""
        built = [
            board
            for name, board in self.boards.items()
            if (build_dir(self._project, name) / "miniml" / "build.json").is_file()
        ]
        if not built:
            raise FlashError(f"nothing is built in {self._project}: run `pio run`")
        return built

    def load_models(self, boards: Sequence[Board]) -> None:
        """Prepares the locked model of each build's folder once; never trains."""
        for board in boards:
            try:
                folder = self.build(board.name).model_dir
            except FlashError:
                continue  # told as this board's result
            if str(folder) not in self._prepared:
                self._prepared[str(folder)] = prepare(folder, train="frozen")

    def model(self) -> QuantizedModel | None:
        """The first board's."""
        return next((prepared.model for prepared in self._prepared.values()), None)

    def build(self, board: str) -> FirmwareBuild:
        """From the project's build folder."""
        return load_build(self._project, board)

    def subject(self, board: Board, build: FirmwareBuild, samples: int | None) -> Subject:
        """Of the model in the build's folder; `load_models` was called."""
        return subject_of(self.prepared(build), board, build, samples)

    def prepared(self, build: FirmwareBuild) -> Prepared:
        """The locked model of a build that `load_models` has seen."""
        return self._prepared[str(build.model_dir)]


@contextmanager
def open_source(options: RunOptions) -> Iterator[Source]:
    """The source that the options name, until the run is over.

    Raises:
        UsageError: boards.ini, or the bundle.
    """
    if options.bundle is None:
        yield ProjectSource(options.project)
        return
    with TemporaryDirectory(prefix="miniml-bundle-") as folder:
        yield BundleSource(options.bundle, options.project, Path(folder))
