"""Ranges by four rules, against slow exact arithmetic; how sure they are; which rows set them."""

from __future__ import annotations

import dataclasses
import math
from decimal import Decimal, getcontext
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import settings as budget
from hypothesis import strategies as st
from test_training import load

from miniml import elementary, ranges
from miniml.calibration import Observed, calibrate, calibration_rows
from miniml.calibration_report import report_ranges
from miniml.dataset import load_dataset
from miniml.errors import CalibrationError, SettingsError
from miniml.pipeline import prepare
from miniml.ranges import BINS, find_range, histogram, least_divergence, least_squares
from miniml.settings import DataSettings, Settings, parse_settings

MODELS = Path(__file__).parent.parent / "firmware" / "models"


@budget(deadline=None)
@given(st.floats(2.0**-1022, 1.7e308))
@example(1.0)
@example(math.nextafter(1.0, 2.0))
@example(math.nextafter(1.0, 0.0))
@example(0.7071067811865475)
@example(0.7071067811865476)
@example(2.0**-1022)
def test_log_is_within_four_ulp(x: float) -> None:
    getcontext().prec = 40
    wanted = float(Decimal(x).ln())
    assert abs(float(elementary.log(np.array([x]))[0]) - wanted) <= 4 * math.ulp(wanted)


def test_log_of_many_values() -> None:
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.uniform(0.4, 2.1, 20_000), np.exp(rng.uniform(-700, 700, 20_000))])
    for got, x in zip(elementary.log(values).tolist(), values.tolist(), strict=True):
        assert abs(got - math.log(x)) <= 4 * math.ulp(math.log(x))


def slow_squares(counts: list[int]) -> int:
    """`least_squares` by fractions of the absolute maximum."""
    best, chosen = None, 0
    for k in range(8, 129):
        reach = Fraction(k, 128)
        step, total = reach / 127, Fraction(0)
        for index, count in enumerate(counts):
            if count:
                value = Fraction(2 * index + 1, 2 * BINS)
                total += count * (value - min(round(value / step), 127) * step) ** 2
        if best is None or total <= best:
            best, chosen = total, k
    return chosen


def slow_divergence(counts: list[int]) -> int:
    """`least_divergence` with 40 digits."""
    getcontext().prec = 40
    best, chosen = None, 0
    whole = sum(counts)
    for k in range(8, 129):
        width = k * BINS // 128
        filled = [index for index in range(width) if counts[index]]
        level_of = {
            index: min(round(Fraction(127 * (2 * index + 1) * 64, BINS * k)), 127)
            for index in filled
        }
        levels: dict[int, list[int]] = {}
        for index in filled:
            levels.setdefault(level_of[index], []).append(counts[index])
        q = {i: Fraction(sum(levels[v]), len(levels[v])) for i, v in level_of.items()}
        p = {index: counts[index] for index in filled}
        beyond = whole - sum(p.values())
        if beyond:
            p[width - 1] = p.get(width - 1, 0) + beyond
            q.setdefault(width - 1, Fraction(1, 2))
        total = Decimal(0)
        for index, count in p.items():
            ratio = Fraction(count) * sum(q.values()) / (q[index] * whole)
            total += count * (Decimal(ratio.numerator) / Decimal(ratio.denominator)).ln()
        if best is None or total <= best + Decimal("1e-12"):
            best, chosen = total, k
    return chosen


@pytest.mark.parametrize("seed", range(3))
def test_mse_is_what_fractions_say(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.append(rng.normal(0, 1, 300), [6.0 + 4 * seed])
    counts = histogram(np.abs(values), float(np.abs(values).max()))
    assert int(counts.sum()) == 301
    assert least_squares(counts) == slow_squares(counts.tolist())


@pytest.mark.parametrize("seed", range(2))
def test_kl_is_what_forty_digits_say(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.abs(np.append(rng.normal(0, 1, 30), [6.0]))
    counts = histogram(values, float(values.max()))
    assert least_divergence(counts) == slow_divergence(counts.tolist())


def test_more_values_than_63_bits_hold_are_scaled_down() -> None:
    counts = np.zeros(BINS, np.int64)
    counts[:1400:50] = 2**20
    counts[-1] = 1
    small = counts.copy()
    small[:1400:50] = 2**10
    assert least_squares(counts) == slow_squares(counts.tolist()) == least_squares(small)


@budget(max_examples=25, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.floats(50, 100))
@example([0.0], 99.0)
@example([5e-324, 0.0], 50.0)
def test_every_rule_stays_inside_and_scales(values: list[float], percent: float) -> None:
    array = np.array(values)
    largest = float(np.abs(array).max())
    for method in ("minmax", "percentile", "mse", "kl"):
        found = find_range(array, method, percent)
        assert 0.0 <= found <= largest
        # A power of two changes no digit.
        assume(largest == 0.0 or largest > 1e-300)
        assert find_range(array * 4.0, method, percent) == 4.0 * found
        assert find_range(array[::-1], method, percent) == found


def test_an_outlier_moves_mse_and_kl_less_than_the_maximum() -> None:
    rng = np.random.default_rng(3)
    values = np.append(rng.normal(0, 1, 20_000), [30.0])
    assert find_range(values, "minmax", 100) == 30.0
    assert find_range(values, "kl", 100) < 15.0
    many = np.append(rng.normal(0, 1, 400_000), [30.0])
    assert find_range(many, "mse", 100) < 15.0
    assert find_range(values, "percentile", 99.9) < 5.0


@pytest.mark.parametrize("bad", [[], [1.0, math.nan], [math.inf]])
def test_no_values_and_no_numbers_are_refused(bad: list[float]) -> None:
    with pytest.raises(CalibrationError, match="calibration saw"):
        find_range(np.array(bad), "mse", 100)


def using(settings: Settings, **values: Any) -> Settings:
    quantization = dataclasses.replace(settings.quantization, **values)
    return dataclasses.replace(settings, quantization=quantization)


def test_calibration_rows_of_nothing_but_zeros_are_refused() -> None:
    settings, dataset, split = load("sine")
    model = prepare(MODELS / "sine", train="frozen").float_model
    zero = dataclasses.replace(model, scaler=dataclasses.replace(model.scaler, shift=np.zeros(1)))
    dark = dataclasses.replace(dataset, features=np.zeros_like(dataset.features))
    with pytest.raises(CalibrationError, match="every calibration row is 0 after scaling"):
        calibrate(zero, dark, split, settings)
    nobody = dataclasses.replace(split, calibration=np.zeros(0, np.int64))
    with pytest.raises(CalibrationError, match="no calibration row"):
        calibrate(model, dataset, nobody, settings)


@pytest.mark.parametrize("method", ["minmax", "percentile", "mse", "kl"])
@pytest.mark.parametrize("name", ["digits", "sine"])
def test_the_report_names_the_range_and_the_rows(name: str, method: Any) -> None:
    settings, dataset, split = load(name)
    chosen = using(settings, range=method, percentile=99.0 if method == "percentile" else 100.0)
    model = prepare(MODELS / name, train="frozen").float_model
    found = calibrate(model, dataset, split, chosen)
    reports = report_ranges(model, dataset, split, chosen)
    assert [report.range for report in reports] == [found.input, *found.layers]
    assert [report.name for report in reports][:2] == ["input", "layer 1"]
    lines = {dataset.line_of(row) for row in calibration_rows(split, chosen).tolist()}
    for report in reports:
        assert report.low is not None
        assert report.high is not None
        assert 0.0 < report.low <= report.high
        assert set(report.rows) <= lines
        assert list(report.sizes) == sorted(report.sizes, reverse=True)
        assert report.name in report.line()
    if method == "percentile":
        assert any(report.clipped > 0 for report in reports)


def test_a_row_of_its_own_is_named_and_makes_the_range_unsure(tmp_path: Path) -> None:
    rows = [f"{i % 7 / 10},{i % 5}" for i in range(40)]
    rows[17] = "9,1"
    path = tmp_path / "t.csv"
    path.write_text("x,y\n\n" + "\n".join(rows) + "\n")
    dataset = load_dataset(path, DataSettings(label=("y",)), "regression")
    assert dataset.line_of(17) == 20
    observed = Observed("input", dataset.features, "minmax")
    assert observed.range(100) == 9.0
    assert observed.of_rows(np.arange(40) != 17).range(100) == 0.6


def test_one_row_is_enough_to_calibrate_and_the_report_says_so() -> None:
    settings, dataset, split = load("digits")
    one = dataclasses.replace(split, calibration=split.calibration[:1])
    alone = using(settings, calibration="calibration")
    model = prepare(MODELS / "digits", train="frozen").float_model
    report = report_ranges(model, dataset, one, alone)[1]
    assert (report.low, report.high, report.unseen) == (None, None, None)
    assert "from one row" in report.line()
    assert report.rows == (dataset.line_of(int(split.calibration[0])),)


def test_a_percentile_with_another_range_is_refused() -> None:
    content = {"quantization": {"range": "mse", "percentile": 99.0}}
    with pytest.raises(SettingsError, match="percentile is for range 'percentile'"):
        parse_settings(content, Path("model.toml"))
    alone = parse_settings({"quantization": {"percentile": 99.0}}, Path("model.toml"))
    assert alone.quantization.range_method == "percentile"
    assert ranges.SMALLEST == 8
