"""From a model folder to a quantized model: train only if something changed.

model.toml + CSV -> (model.lock.json or cache, else train) -> quantize -> evaluate -> lock
"""

from __future__ import annotations

import errno
import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from miniml import __version__, reference
from miniml.atomic_file import write_atomically
from miniml.cache import cache_dir
from miniml.calibration import calibration_rows
from miniml.dataset import (
    Dataset,
    Split,
    fingerprint,
    load_dataset,
    read_bytes,
    split_rows,
)
from miniml.errors import LockError, MiniMLError
from miniml.evaluation import Metrics, check_gates, evaluate
from miniml.float_model import FloatModel
from miniml.lock import LOCK_FILE, Lock, differences, dump_lock, parse_lock, read_lock
from miniml.model import Float32Array, Int8Array, QuantizedModel, canonical_json
from miniml.post_training import quantize_trained
from miniml.settings import Settings, Train, load_settings
from miniml.training import TRAINER_VERSION, train

READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


@dataclass(frozen=True, eq=False)
class TestVectors:
    """The test rows, as a board gets them.

    Attributes:
        features: float32, (n, n_inputs), raw.
        inputs: int8, (n, n_inputs), quantized by the reference.
        labels: class indices, int64 (n,), or targets, float64 (n, n_outputs).
    """

    # pytest would take a class of this name for a test.
    __test__ = False

    features: Float32Array
    inputs: Int8Array
    labels: NDArray[Any]


@dataclass(eq=False)
class Prepared:
    """A model that is ready to be generated, run and judged.

    Attributes:
        settings: of model.toml.
        float_model: float32 weights.
        model: the quantized model.
        metrics: over the test rows.
        trained: this call trained it.
        lock_path: model.lock.json beside model.toml, whether it could be written or not.
        notes: one line each, for the user to see.
    """

    settings: Settings
    float_model: FloatModel
    model: QuantizedModel
    metrics: Metrics
    trained: bool
    lock_path: Path
    notes: tuple[str, ...]
    _content: bytes

    @cached_property
    def dataset(self) -> Dataset:
        """The parsed CSV; read when first asked for."""
        settings = self.settings
        return load_dataset(settings.data_path, settings.data, settings.model.task, self._content)

    @cached_property
    def split(self) -> Split:
        """Row indices of train, calibration and test."""
        return split_rows(self.dataset, self.settings.data)

    def test_vectors(self) -> TestVectors:
        """The test rows in the order of the CSV."""
        rows = self.split.test
        features = self.dataset.features[rows].astype(np.float32)
        regression = self.settings.model.task == "regression"
        return TestVectors(
            features=features,
            inputs=reference.quantize_inputs(self.model, features),
            labels=self.dataset.targets[rows] if regression else self.dataset.class_indices[rows],
        )


def prepare(
    model_dir: Path,
    *,
    train: Train | None = None,
    cache: Path | None = None,
    progress: bool = False,
    force: bool = False,
) -> Prepared:
    """Make the quantized model of a folder current, and return it.

    Args:
        model_dir: holds model.toml, the CSV and model.lock.json.
        train: "auto" trains if data or settings changed and rewrites the lock; "frozen"
            never does; None asks model.toml and the environment.
        cache: where training results are kept; None is `cache_dir()`.
        progress: show the epochs on stderr, if that is a terminal.
        force: train even if lock or cache are current.

    Raises:
        SettingsError, DataError: the user's files.
        LockError: damaged; or frozen and missing or not current (names what differs).
        BudgetError: a gate of model.toml is missed.
        ModelError: training diverged, or the contract can't carry the weights.
        MiniMLError: a file can't be written.
    """
    settings = load_settings(model_dir)
    content = read_bytes(settings.data_path)
    work = _Work(settings, content, cache, progress)
    lock = read_lock(work.lock_path)
    if lock is not None and work.is_current(lock) and not force:
        return work.finish(lock, trained=False)
    if settings.resolve_train(train) == "frozen":
        raise LockError(work.why_frozen(lock))
    with work.exclusively():
        return work.make_current(force=force)


class _Work:
    """One call of `prepare` that found its lock stale or missing."""

    def __init__(
        self, settings: Settings, content: bytes, cache: Path | None, progress: bool
    ) -> None:
        self.settings = settings
        self.content = content
        self.lock_path = settings.model_dir / LOCK_FILE
        self.data_sha256 = fingerprint(content)
        self.training = settings.training_content()
        self.quantization = settings.quantization_content()
        self.cache = cache
        self.progress = progress
        self.notes: list[str] = []

    def is_current(self, lock: Lock) -> bool:
        to_train, to_quantize = self.differences(lock)
        return not to_train and not to_quantize

    def differences(self, lock: Lock) -> tuple[list[str], list[str]]:
        return differences(lock, self.data_sha256, self.training, self.quantization)

    def why_frozen(self, lock: Lock | None) -> str:
        advice = "run `miniml train` where train isn't frozen, and commit the lock"
        if lock is None:
            return f"{self.lock_path}: missing or of another version, and train is frozen: {advice}"
        to_train, to_quantize = self.differences(lock)
        reasons = [*to_train, *to_quantize]
        shown = ", ".join(reasons[:4]) + (", ..." if len(reasons) > 4 else "")
        return f"{self.lock_path}: made from other data or settings: {shown}: {advice}"

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """One process at a time for one model folder, so that it is trained once."""
        try:
            folder = (self.cache or cache_dir()) / "training"
            folder.mkdir(parents=True, exist_ok=True)
            self.folder = folder
            place = hashlib.sha256(str(self.settings.model_dir.resolve()).encode()).hexdigest()
            lock = FileLock(folder / f"{place[:16]}.filelock")
            lock.acquire()
        except OSError as error:
            raise _unwritable(error, "the cache", "free it, or set another one") from error
        try:
            yield
        finally:
            lock.release()

    @property
    def cached_path(self) -> Path:
        key = canonical_json([self.data_sha256, self.training, TRAINER_VERSION, __version__])
        return self.folder / f"{hashlib.sha256(key).hexdigest()[:32]}.json"

    def make_current(self, *, force: bool) -> Prepared:
        """Reuse what the lock or the cache has (unless forced), make the rest, and save it."""
        candidates = [] if force else [read_lock(self.lock_path), self._read_cached()]
        locks = [lock for lock in candidates if lock is not None]
        for lock in locks:
            if self.is_current(lock):
                return self._save(lock, trained=False)
        dataset = load_dataset(
            self.settings.data_path, self.settings.data, self.settings.model.task, self.content
        )
        self.notes += dataset.warnings
        split = split_rows(dataset, self.settings.data)
        usable = [lock for lock in locks if not self.differences(lock)[0]]
        if usable:
            float_model = usable[0].float_model
        else:
            show = progress_line(self.settings.model.name) if self.progress else _silent
            float_model = train(dataset, split, self.settings, show)
        lock = make_lock(self.settings, self.data_sha256, dataset, split, float_model)
        return self._save(lock, trained=not usable)

    def _read_cached(self) -> Lock | None:
        try:
            return parse_lock(self.cached_path.read_bytes(), self.cached_path)
        except (OSError, LockError):
            return None

    def _save(self, lock: Lock, *, trained: bool) -> Prepared:
        self._write(self.cached_path, dump_lock(lock))
        # A missed gate keeps the old lock; the cache remembers what was trained.
        prepared = self.finish(lock, trained=trained)
        try:
            save_lock(self.lock_path, lock)
        except OSError as error:
            if error.errno not in READ_ONLY:
                raise _unwritable(error, self.lock_path, "make room") from error
            note = f"{self.lock_path}: can't be written, the model is kept in the cache only"
            prepared.notes += (note,)
        return prepared

    def _write(self, path: Path, content: bytes) -> None:
        try:
            write_atomically(path, content)
        except OSError as error:
            raise _unwritable(error, path, "make room, or set another cache") from error

    def finish(self, lock: Lock, *, trained: bool) -> Prepared:
        metrics = Metrics(**lock.metrics)
        check_gates(metrics, self.settings)
        return Prepared(
            settings=self.settings,
            float_model=lock.float_model,
            model=lock.model,
            metrics=metrics,
            trained=trained,
            lock_path=self.lock_path,
            notes=tuple(self.notes),
            _content=self.content,
        )


def make_lock(
    settings: Settings, data_sha256: str, dataset: Dataset, split: Split, float_model: FloatModel
) -> Lock:
    """Quantize and evaluate a float model: the same bytes on every machine."""
    calibrated = dataset.features[calibration_rows(split, settings)]
    model = quantize_trained(float_model, calibrated, settings)
    return Lock(
        data_sha256=data_sha256,
        training=settings.training_content(),
        quantization=settings.quantization_content(),
        float_model=float_model,
        model=model,
        metrics=evaluate(float_model, model, dataset, split.test).to_dict(),
    )


def save_lock(path: Path, lock: Lock) -> bool:
    """Write a lock unless the file has these bytes already; True if it was written.

    Raises:
        OSError: no permission, no space; the old file is as it was.
    """
    content = dump_lock(lock)
    if path.exists() and path.read_bytes() == content:
        return False
    write_atomically(path, content)
    return True


def progress_line(name: str) -> Callable[[int, int, float], None]:
    """A line on stderr that is overwritten each epoch; nothing where that is no terminal."""
    if not sys.stderr.isatty():
        return _silent

    def show(epoch: int, epochs: int, loss: float) -> None:
        end = "\n" if epoch == epochs else ""
        line = f"\r{name}: epoch {epoch}/{epochs}, loss {loss:.4f}"
        print(line, end=end, file=sys.stderr, flush=True)

    return show


def _silent(epoch: int, epochs: int, loss: float) -> None:
    """Show nothing: stderr is a pipe, or the caller asked for silence."""


def _unwritable(error: OSError, path: Path | str, advice: str) -> MiniMLError:
    return MiniMLError(f"{error.filename or path}: can't be written ({error.strerror}): {advice}")
