"""prepare(): when it trains, what it writes, and what it says when something is wrong."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from miniml import atomic_file, pipeline, reference
from miniml import lock as lock_module
from miniml.errors import AccuracyLossError, BudgetError, DataError, LockError, MiniMLError
from miniml.evaluation import Metrics, check_gates
from miniml.lock import LOCK_FILE, dump_lock, read_lock
from miniml.pipeline import Prepared, make_lock, prepare

REPOSITORY = Path(__file__).parent.parent
MODELS = REPOSITORY / "firmware" / "models"
TOML = """
[model]
name = "two"
hidden = [4]
[training]
epochs = 3
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder with 60 rows of two classes, not trained yet."""
    folder = tmp_path / "mödel with space"
    folder.mkdir()
    (folder / "model.toml").write_text(TOML, encoding="utf-8")
    rows = "".join(f"{i % 7},{i % 5},{'yes' if i % 7 > 3 else 'no'}\n" for i in range(60))
    (folder / "data.csv").write_text(f"a,b,label\n{rows}", encoding="utf-8")
    return folder


def append(file: Path, text: str) -> None:
    file.write_text(file.read_text(encoding="utf-8") + text, encoding="utf-8")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_trains_once_and_says_so(folder: Path) -> None:
    first = prepare(folder)
    assert first.trained
    assert first.lock_path == folder / LOCK_FILE
    written = first.lock_path.read_bytes()
    stamp = first.lock_path.stat().st_mtime_ns
    again = prepare(folder)
    assert not again.trained
    assert again.model.model_id == first.model.model_id
    assert first.lock_path.read_bytes() == written
    assert first.lock_path.stat().st_mtime_ns == stamp
    assert names(folder) == ["data.csv", LOCK_FILE, "model.toml"]


def test_the_lock_alone_gives_the_same_model(folder: Path, tmp_path: Path) -> None:
    first = prepare(folder)
    again = prepare(folder, train="frozen", cache=tmp_path / "another cache")
    assert not again.trained
    assert again.model.model_id == first.model.model_id
    for one, two in zip(first.float_model.layers, again.float_model.layers, strict=True):
        assert one.weights.tobytes() == two.weights.tobytes()
        assert one.bias.tobytes() == two.bias.tobytes()
    assert not (tmp_path / "another cache").exists()


def test_the_cache_gives_back_a_deleted_lock(folder: Path) -> None:
    first = prepare(folder)
    written = first.lock_path.read_bytes()
    first.lock_path.unlink()
    again = prepare(folder)
    assert not again.trained
    assert again.lock_path.read_bytes() == written


def test_training_can_be_repeated(folder: Path) -> None:
    written = prepare(folder).lock_path.read_bytes()
    again = prepare(folder, force=True)
    assert again.trained
    assert again.lock_path.read_bytes() == written


def test_changed_data_trains_again(folder: Path) -> None:
    first = prepare(folder)
    append(folder / "data.csv", "1,1,no\n")
    again = prepare(folder)
    assert again.trained
    assert again.model.model_id != first.model.model_id


def test_changed_training_trains_and_changed_quantization_does_not(folder: Path) -> None:
    first = prepare(folder)
    append(folder / "model.toml", "seed = 2\n")
    second = prepare(folder)
    assert second.trained
    append(folder / "model.toml", "[quantization]\nper_channel = false\n")
    third = prepare(folder)
    assert not third.trained
    assert len({p.model.model_id for p in (first, second, third)}) == 3
    assert len(set(third.model.layers[0].weight_scales.tolist())) == 1
    assert prepare(folder, train="frozen").model.model_id == third.model.model_id


def test_gates_and_comments_change_nothing(folder: Path) -> None:
    written = prepare(folder).lock_path.read_bytes()
    append(folder / "model.toml", "# a comment\n[gates]\nmin_accuracy = 1\n")
    assert not prepare(folder).trained
    assert (folder / LOCK_FILE).read_bytes() == written


def test_a_missed_gate_keeps_the_old_lock_and_trains_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = prepare(folder).lock_path.read_bytes()
    append(folder / "model.toml", "seed = 2\n[gates]\nmax_accuracy_loss = 0\nmin_accuracy = 100\n")
    with pytest.raises(BudgetError, match=r"right in \d+\.\d+ % .*min_accuracy asks for 100 %"):
        prepare(folder)
    assert (folder / LOCK_FILE).read_bytes() == written

    def never(*_: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(pipeline, "train", never)
    with pytest.raises(BudgetError):
        prepare(folder)


def test_the_gate_of_accuracy_loss_is_an_error_of_its_own(folder: Path) -> None:
    prepared = prepare(folder)
    gates = dataclasses.replace(prepared.settings.gates, max_accuracy_loss=2.0)
    settings = dataclasses.replace(prepared.settings, gates=gates)
    check_gates(
        Metrics(rows=50, float_accuracy=98.0, int8_accuracy=96.0, accuracy_loss=2.0), settings
    )
    worse = Metrics(rows=50, float_accuracy=98.0, int8_accuracy=95.9, accuracy_loss=2.1)
    with pytest.raises(AccuracyLossError, match=r"costs 2.10 points.*allows 2: .*--advise"):
        check_gates(worse, settings)


def test_qat_trains_again_when_quantization_changes(folder: Path) -> None:
    append(folder / "model.toml", "qat_epochs = 2\n")
    first = prepare(folder)
    assert first.trained
    assert not prepare(folder).trained
    append(folder / "model.toml", "[quantization]\nper_channel = false\n")
    again = prepare(folder)
    assert again.trained
    assert again.model.model_id != first.model.model_id


def test_frozen_names_what_differs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LockError, match=r"model\.lock\.json: missing.*train is frozen"):
        prepare(folder, train="frozen")
    prepare(folder)
    monkeypatch.setenv("CI", "true")
    assert not prepare(folder).trained
    append(folder / "data.csv", "1,1,no\n")
    append(folder / "model.toml", "batch_size = 8\n[quantization]\nper_channel = false\n")
    with pytest.raises(LockError) as caught:
        prepare(folder)
    message = str(caught.value)
    assert "the data" in message
    assert "[training] batch_size (32, now 8)" in message
    assert "[quantization] per_channel (true, now false)" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"{", b"<<<<<<< HEAD\n{"),
        (b'"shifts": [-', b'"shifts": [-1'),
        (b'"checksum": "', b'"checksum": "0'),
        (b'"format": "miniml.lock/1",', b""),
    ],
)
def test_a_damaged_lock_is_an_error(folder: Path, old: bytes, new: bytes) -> None:
    path = prepare(folder).lock_path
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    with pytest.raises(LockError, match=r"damaged \(.*\): restore it .* or delete it"):
        prepare(folder)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_a_lock_that_is_none(folder: Path, content: bytes) -> None:
    (folder / LOCK_FILE).write_bytes(content)
    with pytest.raises(LockError, match="damaged"):
        prepare(folder)


def test_a_lock_of_another_format_is_made_again(folder: Path) -> None:
    path = prepare(folder).lock_path
    written = path.read_bytes()
    path.write_bytes(written.replace(b"miniml.lock/1", b"miniml.lock/0"))
    with pytest.raises(LockError, match="of another version"):
        prepare(folder, train="frozen")
    prepare(folder)
    assert path.read_bytes() == written


def test_another_generator_quantizes_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(folder)
    monkeypatch.setattr(lock_module, "GENERATOR_VERSION", 999)
    with pytest.raises(LockError, match=r"the generator \(1, now 999\)"):
        prepare(folder, train="frozen")


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_a_read_only_tree_uses_the_cache(
    folder: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    deny(monkeypatch, folder, code)
    first = prepare(folder)
    assert first.trained
    assert "can't be written, the model is kept in the cache only" in first.notes[-1]
    again = prepare(folder)
    assert not again.trained
    assert again.model.model_id == first.model.model_id
    assert names(folder) == ["data.csv", "model.toml"]


def deny(monkeypatch: pytest.MonkeyPatch, folder: Path, code: int) -> None:
    """Let every write into the folder fail; root passes real permissions."""
    real = atomic_file.write_atomically

    def write(path: Path, content: bytes) -> None:
        if path.is_relative_to(folder):
            raise OSError(code, os.strerror(code), str(path))
        real(path, content)

    monkeypatch.setattr(pipeline, "write_atomically", write)


def test_a_full_disk_leaves_the_old_lock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = prepare(folder).lock_path.read_bytes()
    append(folder / "model.toml", "seed = 2\n")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(MiniMLError, match=r"can't be written \(No space left.*make room"):
            prepare(folder)
    assert (folder / LOCK_FILE).read_bytes() == written
    assert names(folder) == ["data.csv", LOCK_FILE, "model.toml"]
    assert prepare(folder).trained


def test_a_killed_run_leaves_nothing_that_stays(folder: Path) -> None:
    (folder / f".{LOCK_FILE}.0123abcd.tmp").write_bytes(b"half")
    prepare(folder)
    assert names(folder) == ["data.csv", LOCK_FILE, "model.toml"]


def test_a_killed_training_leaves_the_next_run_free(folder: Path) -> None:
    append(folder / "model.toml", "batch_size = 1\n")
    slow = (
        (folder / "model.toml").read_text(encoding="utf-8").replace("epochs = 3", "epochs = 9999")
    )
    (folder / "model.toml").write_text(slow, encoding="utf-8")
    child = start(folder)
    assert child.stdout is not None
    assert child.stdout.readline() == b"training\n"
    child.kill()
    child.wait()
    child.stdout.close()
    quick = slow.replace("epochs = 9999", "epochs = 2")
    (folder / "model.toml").write_text(quick, encoding="utf-8")
    assert prepare(folder).trained
    assert names(folder) == ["data.csv", LOCK_FILE, "model.toml"]


CHILD = """
import sys
from pathlib import Path
from miniml import pipeline
real = pipeline.train
def train(*arguments):
    print("training", flush=True)
    return real(*arguments)
pipeline.train = train
print(pipeline.prepare(Path(sys.argv[1])).model.model_id, flush=True)
"""


def start(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder)], stdout=subprocess.PIPE, cwd=REPOSITORY
    )


def test_parallel_builds_train_once(folder: Path) -> None:
    children = [start(folder) for _ in range(4)]
    outputs = [child.communicate(timeout=600)[0].decode().split() for child in children]
    assert all(child.returncode == 0 for child in children)
    assert sum("training" in output for output in outputs) == 1
    assert len({output[-1] for output in outputs}) == 1


def test_test_vectors_are_the_test_rows(folder: Path) -> None:
    prepared = prepare(folder)
    vectors = prepared.test_vectors()
    rows = prepared.split.test
    assert vectors.features.dtype == np.float32
    assert vectors.inputs.dtype == np.int8
    assert vectors.features.tolist() == prepared.dataset.features[rows].tolist()
    assert vectors.labels.tolist() == prepared.dataset.class_indices[rows].tolist()
    wanted = reference.quantize_inputs(prepared.model, vectors.features)
    assert vectors.inputs.tobytes() == wanted.tobytes()


def test_warnings_of_the_data_are_passed_on(folder: Path) -> None:
    text = (folder / "data.csv").read_text(encoding="utf-8").splitlines()
    lines = [text[0] + ",same", *(line + ",1" for line in text[1:])]
    (folder / "data.csv").write_text("\n".join(lines), encoding="utf-8")
    assert "column 'same' is constant" in prepare(folder).notes[0]


def test_bad_data_trains_nothing(folder: Path) -> None:
    written = prepare(folder).lock_path.read_bytes()
    append(folder / "data.csv", "1,oops,no\n")
    with pytest.raises(DataError, match="row 62, column 'b'"):
        prepare(folder)
    assert (folder / LOCK_FILE).read_bytes() == written


def committed(name: str) -> Prepared:
    return prepare(MODELS / name, train="frozen")


@pytest.mark.parametrize("name", ["digits", "xor", "sine"])
def test_committed_locks_are_current_and_reproducible(name: str) -> None:
    prepared = committed(name)
    lock = read_lock(prepared.lock_path)
    assert lock is not None
    made = make_lock(
        prepared.settings,
        lock.data_sha256,
        prepared.dataset,
        prepared.split,
        prepared.float_model,
    )
    assert dump_lock(made) == prepared.lock_path.read_bytes()


def test_digits_keeps_its_promise() -> None:
    prepared = committed("digits")
    assert prepared.model.widths == (64, 32, 16, 10)
    assert prepared.metrics.rows >= 359
    assert (prepared.metrics.float_accuracy or 0) >= 96.5
    assert (prepared.metrics.accuracy_loss or 0) <= 0.5


def test_the_lock_is_readable(folder: Path) -> None:
    text = prepare(folder).lock_path.read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert json.loads(text)["data_sha256"]
    rows = [line for line in text.splitlines() if line.strip().startswith("[-") or "[0." in line]
    assert len(rows) >= 4
