"""Multipliers, requantization, bounds and rounding against plain Python numbers."""

from __future__ import annotations

import math
from fractions import Fraction

import integer_oracle as oracle
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from miniml.errors import ModelError
from miniml.fixed_point import (
    accumulator_bound,
    prove_row,
    quantize_multiplier,
    requantize,
    round_half_away,
)

BELOW_2_31 = 2**31 - 1


@given(st.floats(min_value=0.0, max_value=2.0**30 - 1))
@example(0.0)
@example(5e-324)
@example(2.0**-32)
@example(math.nextafter(2.0**-32, 0))
@example(math.nextafter(1.0, 0))  # rounds up to 2^31: halved, one shift more
@example(1.0)
@example((2.0**31 + 1) / 2.0**32 / 2)  # a tie: to even
@example((2.0**31 + 3) / 2.0**32 / 2)
def test_multiplier_matches_the_contract(real: float) -> None:
    assert quantize_multiplier(real) == oracle.multiplier(Fraction(real))
    m, shift = quantize_multiplier(real)
    assert 2**30 <= m < 2**31
    assert -31 <= shift <= 30


@pytest.mark.parametrize("real", [-1e-9, -math.inf, math.inf, math.nan, 2.0**30 - 0.25, 1e300])
def test_multiplier_refuses(real: float) -> None:
    with pytest.raises(ModelError, match="multiplier"):
        quantize_multiplier(real)


def accumulators(shift: int) -> st.SearchStrategy[int]:
    limit = BELOW_2_31 >> max(shift, 0)
    ends = st.sampled_from([0, 1, -1, limit, -limit])
    return (
        ends
        | st.integers(-limit, limit)
        | st.integers(-1000, 1000).map(lambda v: max(-limit, min(limit, v)))
    )


multipliers = st.sampled_from([2**30, BELOW_2_31, 2**30 + 2**29, 2**30 + 2**28]) | st.integers(
    2**30, BELOW_2_31
)
cases = st.integers(-31, 30).flatmap(
    lambda shift: st.tuples(accumulators(shift), multipliers, st.just(shift))
)


@given(st.lists(cases, min_size=1, max_size=50))
@example([(1, 2**30, 0), (-1, 2**30, 0)])  # ties of the first rounding go up: 1 and 0
@example([(3, 2**30, -1), (-3, 2**30, -1)])
@example([(BELOW_2_31, 2**30, -31), (-BELOW_2_31, 2**30, -31)])
@example([(BELOW_2_31, BELOW_2_31, 0), (-BELOW_2_31, BELOW_2_31, 0)])
def test_requantize_matches_the_contract(rows: list[tuple[int, int, int]]) -> None:
    accs, ms, shifts = zip(*rows, strict=True)
    got = requantize(np.array(accs, np.int64), np.array(ms, np.int32), np.array(shifts, np.int8))
    assert got.tolist() == [oracle.requantize(*row) for row in rows]


@given(st.integers(1, 24), st.integers(-(2**20), 2**20))
def test_requantize_at_forced_ties(n: int, odd: int) -> None:
    # M = 2^30 halves: every odd accumulator ties at the first rounding, and the odd
    # multiples of 2^n (doubled) tie at the second.
    for acc in (2 * odd + 1, (2 * odd + 1) << n if n < 10 else 2 * odd + 1):
        got = requantize(
            np.array([acc], np.int64), np.array([2**30], np.int32), np.array([-n], np.int8)
        )
        assert got.tolist() == [oracle.requantize(acc, 2**30, -n)]


def test_double_rounding_differs_from_single_rounding() -> None:
    # 1 * 0.5 -> 1, then 1 / 2 -> 1; a single rounding of 0.25 gives 0.
    acc, m, shift = 1, 2**30, -1
    assert oracle.half_away(Fraction(acc * m, 2**31) / 2) == 0
    got = requantize(np.array([acc], np.int64), np.array([m], np.int32), np.array([shift], np.int8))
    assert got.tolist() == [1]


@given(st.lists(st.integers(-127, 127), min_size=1, max_size=40), st.integers(-(2**30), 2**30))
def test_no_input_passes_the_bound(weights: list[int], bias: int) -> None:
    row = np.array([weights], np.int8)
    bound = int(accumulator_bound(row, np.array([bias], np.int32))[0])
    worst = [127 if (w > 0) == (bias >= 0) else -127 for w in weights]
    reached = abs(sum(w * x for w, x in zip(weights, worst, strict=True)) + bias)
    assert reached == bound


def test_proof_of_a_row() -> None:
    prove_row(BELOW_2_31, 0, "row")
    prove_row(BELOW_2_31, -31, "row")
    prove_row(2**21 - 1, 10, "row")
    with pytest.raises(ModelError, match=r"layer 2, row 7.*past 2\^31"):
        prove_row(2**31, -5, "layer 2, row 7")
    with pytest.raises(ModelError, match="left shift of 10"):
        prove_row(2**21, 10, "row")


@given(st.floats(-(2.0**22), 2.0**22, width=32))
@example(0.49999997)
@example(-0.49999997)
@example(0.5)
@example(-0.5)
@example(1.5)
@example(126.49999)
@example(126.5)
def test_round_half_away(value: float) -> None:
    got = round_half_away(np.array([value], np.float32))
    assert got.tolist() == [float(oracle.half_away(Fraction(value)))]


def test_round_half_away_keeps_nan() -> None:
    assert np.isnan(round_half_away(np.array([np.nan], np.float32))).all()
