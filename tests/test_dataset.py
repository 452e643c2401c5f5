"""The CSV: what is accepted, every complaint, and the split."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniml.dataset import (
    Dataset,
    fingerprint,
    load_dataset,
    read_bytes,
    split_rows,
)
from miniml.errors import DataError
from miniml.settings import DataSettings, load_settings

DIGITS = Path(__file__).parent.parent / "firmware" / "models" / "digits"
GOOD = "a,b,label\n1,2,x\n3,4.5,y\n-1e3,.5,x\n"


def load(
    path: Path,
    content: bytes | str,
    task: Literal["classification", "regression"] = "classification",
    **data: Any,
) -> Dataset:
    path = path / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_dataset(path, DataSettings(**data), task)


def test_a_good_table(tmp_path: Path) -> None:
    dataset = load(tmp_path, GOOD)
    assert dataset.feature_names == ("a", "b")
    assert dataset.features.tolist() == [[1, 2], [3, 4.5], [-1000, 0.5]]
    assert dataset.classes == ("x", "y")
    assert dataset.class_indices.tolist() == [0, 1, 0]
    assert dataset.warnings == ()


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + GOOD.encode(),
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.replace("\n", "\r").encode(),
        GOOD.replace(",", ";").encode(),
        GOOD.replace(",", "\t").encode(),
        GOOD.replace(",", " , ").encode(),
        GOOD.replace("\n", "\n\n").encode(),
        GOOD.rstrip("\n").encode(),
        b'"a","b","label"\n"1","2","x"\n3,4.5,"y"\n-1e3,.5,x\n',
    ],
)
def test_other_ways_to_write_the_same(tmp_path: Path, content: bytes) -> None:
    dataset = load(tmp_path, content)
    assert dataset.features.tolist() == [[1, 2], [3, 4.5], [-1000, 0.5]]
    assert dataset.classes == ("x", "y")


def test_line_ends_do_not_change_the_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    hashes = set()
    for content in (
        GOOD.encode(),
        GOOD.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + GOOD.encode(),
    ):
        path.write_bytes(content)
        hashes.add(fingerprint(read_bytes(path)))
    path.write_bytes(GOOD.replace("4.5", "4.6").encode())
    assert len(hashes) == 1
    assert fingerprint(read_bytes(path)) not in hashes


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "empty: give it a header line and rows"),
        (b" \n\r\n", "empty: give it a header line and rows"),
        (b"\x89PNG\r\n\x1a\n\0\0", "binary, not a CSV"),
        ("a,label\n1,x\n".encode("utf-16"), "binary, not a CSV"),
        (b"a,label\n1,x\n2,\xfc\n", "row 3: not UTF-8"),
        (b"a,label\n", "a header without rows"),
        (b"a,label\n1,x\n1,2,x\n", "row 3: 3 cells, but the header has 2"),
        (b"a,label\n1,x\n\n1\n", "row 4: 1 cells, but the header has 2"),
        (b"1,2\n3,4\n", "row 1: only numbers, no header"),
        (b"a,,label\n1,2,x\n", "row 1, column 2: no name in the header"),
        (b"a,a,label\n1,2,x\n", "row 1, column 2: a second column 'a'"),
        (b"a,lable\n1,x\n2,y\n", r"no column 'label': did you mean 'lable'\?"),
        (b"a,b\n1,x\n2,y\n", "no column 'label': the columns are a, b"),
        (b"label\nx\ny\n", "no column left as a feature"),
        (b"a,label\n1,x\nhello,y\n", "row 3, column 'a': 'hello' is not a number"),
        (b"a,label\n1,x\n1_000,y\n", "row 3, column 'a': '1_000' is not a number"),
        (b"a,label\n1,x\nnan,y\n", "row 3, column 'a': 'nan' is not a finite number"),
        (b"a,label\n1,x\n-inf,y\n", "row 3, column 'a': '-inf' is not a finite number"),
        (b"a,label\n1,x\n1e400,y\n", "'1e400' is not a finite number"),
        (b"a,label\n1,x\n1e39,y\n", "'1e39' is beyond the range of a 32-bit float"),
        (b"a,label\n1,x\n,y\n", "row 3, column 'a': an empty cell"),
        (b"a;label\n1;x\n2,5;y\n", "row 3, column 'a': '2,5' has a decimal comma"),
        (b"a,label\n1,x\n2,\n", "row 3, column 'label': an empty label"),
        (b"a,label\n1,x\n2,x\n", r"column 'label': one class only \('x'\)"),
        (b'a,label\n1,"x\n2,y\n', "row 3: .*quotation marks"),
    ],
)
def test_complaints_name_file_row_and_column(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    with pytest.raises(DataError, match=complaint) as caught:
        load(tmp_path, content)
    assert str(caught.value).startswith(str(tmp_path / "t.csv"))
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv: not found"):
        read_bytes(tmp_path / "none.csv")
    with pytest.raises(DataError, match="can't be read"):
        read_bytes(tmp_path)


def test_rows_are_counted_as_lines_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="row 6, column 'a'"):
        load(tmp_path, "a,label\n\n1,x\n\n2,y\noops,x\n")


def test_constant_columns_are_allowed_with_a_warning(tmp_path: Path) -> None:
    dataset = load(tmp_path, "a,b,c,label\n1,5,7,x\n2,5,7,y\n")
    assert len(dataset.warnings) == 1
    assert "2 columns are constant (b, c)" in dataset.warnings[0]
    (warning,) = load(tmp_path, "a,b,label\n1,5,x\n2,5,y\n").warnings
    assert "column 'b' is constant" in warning


def test_ignored_columns_may_hold_anything(tmp_path: Path) -> None:
    dataset = load(tmp_path, "id,a,label\nq,1,x\nr,2,y\n", ignore=("id",))
    assert dataset.feature_names == ("a",)
    with pytest.raises(DataError, match=r"no column 'idd': did you mean 'id'\?.*ignore"):
        load(tmp_path, "id,a,label\nq,1,x\nr,2,y\n", ignore=("idd",))


def test_numeric_classes_are_ordered_by_value(tmp_path: Path) -> None:
    dataset = load(tmp_path, "a,label\n1,10\n2,9\n3,9.0\n4,-1\n5,0.5\n")
    assert dataset.classes == ("-1", "0.5", "9", "10")
    assert dataset.class_indices.tolist() == [3, 2, 2, 0, 1]


def test_regression_takes_several_targets(tmp_path: Path) -> None:
    dataset = load(tmp_path, "a,y,z\n1,2,3\n4,5,6\n", "regression", label=("z", "y"))
    assert dataset.targets.tolist() == [[3, 2], [6, 5]]
    assert dataset.feature_names == ("a",)
    with pytest.raises(DataError, match="row 2, column 'z': 'x' is not a number"):
        load(tmp_path, "a,z\n1,x\n", "regression", label=("z",))


def table(counts: list[int]) -> Dataset:
    indices = np.repeat(np.arange(len(counts)), counts)
    return Dataset(
        path=Path("t.csv"),
        feature_names=("a",),
        features=np.zeros((len(indices), 1)),
        label_names=("label",),
        classes=tuple(map(str, range(len(counts)))),
        class_indices=indices,
        targets=np.zeros((len(indices), 0)),
        warnings=(),
    )


@given(st.lists(st.integers(3, 60), min_size=2, max_size=6), st.integers(0, 99))
def test_a_split_is_a_stratified_partition(counts: list[int], seed: int) -> None:
    dataset, data = table(counts), DataSettings(seed=seed)
    if sum(counts) < 10:
        with pytest.raises(DataError, match="too few to split"):
            split_rows(table([2, 2]), data)
        return
    split = split_rows(dataset, data)
    rows = [*split.train.tolist(), *split.calibration.tolist(), *split.test.tolist()]
    assert sorted(rows) == list(range(sum(counts)))
    assert len(split.test) == round(sum(counts) * 0.2)
    assert len(split.calibration) == round(sum(counts) * 0.1)
    shares = Counter(dataset.class_indices[split.test].tolist())
    for index, count in enumerate(counts):
        assert abs(shares[index] - len(split.test) * count / sum(counts)) < 1
    assert split_rows(dataset, data).test.tolist() == split.test.tolist()


def test_another_seed_gives_another_split() -> None:
    one, two = (split_rows(table([50, 50]), DataSettings(seed=s)).test.tolist() for s in (1, 2))
    assert one != two


def test_the_split_of_digits_is_written_down() -> None:
    settings = load_settings(DIGITS)
    dataset = load_dataset(settings.data_path, settings.data, settings.model.task)
    split = split_rows(dataset, settings.data)
    assert (dataset.rows, len(dataset.feature_names)) == (1797, 64)
    assert (len(split.train), len(split.calibration), len(split.test)) == (1258, 180, 359)
    # The same rows on every machine and with every version of numpy.
    assert split.test[:8].tolist() == [27, 29, 30, 35, 38, 39, 42, 44]


def test_all_uses_every_row_for_everything() -> None:
    split = split_rows(table([2, 2]), DataSettings(split="all"))
    for part in (split.train, split.calibration, split.test):
        assert part.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("counts", [[1, 1, 1], [2, 2], [1] * 10])
def test_too_few_rows_to_split(counts: list[int]) -> None:
    with pytest.raises(DataError, match=r"rows for \d+ classes are too few to split: add rows"):
        split_rows(table(counts), DataSettings())


def test_the_only_row_of_a_class_is_for_training() -> None:
    assert 100 in split_rows(table([100, 1]), DataSettings()).train.tolist()


def test_a_separator_in_a_quoted_name_is_none(tmp_path: Path) -> None:
    content = '"heat, C";"force, N";label\n1;2;x\n3;4;y\n'
    assert load(tmp_path, content).feature_names == ("heat, C", "force, N")


def test_a_missing_label_is_told_with_the_headers_own_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"t\.csv, row 3: no column 'label': did you mean 'Label'"):
        load(tmp_path, "\n\na,Label\n1,x\n2,y\n")


def test_nothing_but_constant_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"t\.csv: every column but the label is constant"):
        load(tmp_path, "a,b,label\n1,2,x\n1,2,y\n")
