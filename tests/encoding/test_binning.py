"""Bins: the three rules, the cuts, numbers never seen."""

import math
from collections import Counter
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsectr.encoding.binning import as_numbers, learn_bins, log_square, log_squared

NUMBERS = st.one_of(
    st.floats(allow_nan=False), st.integers(-5, 5).map(float), st.floats(0, 1000, width=32)
)
RULES = st.sampled_from(["quantile", "log_squared", "log_square"])


def learn(numbers, rule="quantile", n_bins=64, min_count=1, max_categories=None):
    counter = Counter(numbers)
    values = np.array(list(counter), dtype=np.float64)
    counts = np.array(list(counter.values()), dtype=np.int64)
    return learn_bins(values, counts, min_count, max_categories, rule=rule, n_bins=n_bins)


@given(st.lists(NUMBERS, min_size=1), RULES, st.integers(1, 9), NUMBERS)
def test_every_number_falls_into_a_bin(numbers, rule, n_bins, unseen):
    bins = learn(numbers, rule, n_bins)
    codes = bins.codes(np.array([*numbers, unseen]))
    assert codes.dtype == np.int32
    assert codes.min() >= 2
    assert codes.max() < bins.size
    assert set(codes[:-1].tolist()) == set(range(2, bins.size))


@given(st.lists(NUMBERS, min_size=1), RULES, st.integers(1, 9))
def test_codes_fall_with_frequency_and_values_lie_in_their_bins(numbers, rule, n_bins):
    bins = learn(numbers, rule, n_bins)
    counts = np.bincount(bins.codes(np.array(numbers)), minlength=bins.size)[2:]
    assert np.all(np.diff(counts) <= 0)
    assert set(bins.values.tolist()) <= set(numbers)
    np.testing.assert_array_equal(bins.codes(bins.values), np.arange(2, bins.size))


@given(st.lists(NUMBERS, min_size=1, max_size=300), st.integers(1, 64))
def test_quantile_bins_are_intervals_no_more_than_asked(numbers, n_bins):
    bins = learn(numbers, n_bins=n_bins)
    codes = bins.codes(np.sort(np.array(numbers)))
    assert bins.size - 2 <= n_bins
    assert np.count_nonzero(np.diff(codes)) == bins.size - 3  # each code is one run


@given(st.integers(1, 40), st.integers(1, 40))
def test_quantile_bins_of_different_numbers_hold_equally_many_rows(n_bins, rows_per_bin):
    numbers = np.random.default_rng(0).permutation(n_bins * rows_per_bin).astype(float)
    bins = learn(numbers.tolist(), n_bins=n_bins)
    counts = np.bincount(bins.codes(numbers))[2:]
    assert counts.tolist() == [rows_per_bin] * n_bins


def test_a_number_that_most_rows_have_takes_one_bin_and_leaves_the_others():
    rare = np.arange(1.0, 1001.0)
    bins = learn([0.0] * 90_000 + rare.tolist() * 10, n_bins=11)
    codes = bins.codes(np.concatenate([[0.0], rare]))
    assert codes[0] == 2
    assert np.bincount(codes[1:])[3:].tolist() == [100] * 10


@given(st.lists(st.integers(0, 30), min_size=1, max_size=300), st.integers(1, 20))
def test_bins_of_several_numbers_hold_no_more_than_their_share_and_its_last_number(numbers, n_bins):
    counts = Counter(float(number) for number in numbers)
    bins = learn(list(counts.elements()), n_bins=n_bins)
    codes = bins.codes(np.array(list(counts)))
    capped = np.minimum(list(counts.values()), fair_share(counts.values(), n_bins))
    for code in set(codes.tolist()):
        inside = capped[codes == code]
        assert inside.sum() <= sum(capped) / n_bins + inside.max()


def fair_share(counts, n_bins):
    """The share c with sum(min(count, c)) = n_bins * c, to whole rows, by trying all."""
    shares = range(1, sum(counts) + 1)
    return max((c for c in shares if sum(min(n, c) for n in counts) >= n_bins * c), default=1)


def test_few_numbers_have_a_bin_each_and_an_unseen_one_joins_the_nearest():
    bins = learn([0.0] * 3 + [1.0] * 2 + [10.0])
    assert bins.codes(np.array([-5.0, 0.4, 0.6, 5.0, 6.0, 1e300])).tolist() == [2, 2, 3, 3, 4, 4]


def test_infinities_are_ordinary_numbers_at_the_ends():
    bins = learn([-np.inf, -np.inf, -np.inf, 0.0, 1.0, 1.0, np.inf, np.inf, np.inf, np.inf])
    codes = bins.codes(np.array([np.inf, -np.inf, 1.0, 0.0, 1e308, -1e308]))
    assert codes.tolist() == [2, 3, 4, 5, 4, 5]
    outer = learn([0.0, 0.0, 1.0]).codes(np.array([-np.inf, np.inf]))
    assert outer.tolist() == [2, 3]


def test_adjacent_and_huge_numbers_stay_apart():
    adjacent = [1.0, np.nextafter(1.0, 2.0), 5e-324, 0.0, 1.7e308, -1.7e308, 1.6e308]
    assert learn(adjacent).size == 2 + len(adjacent)


def test_rare_quantile_bins_are_avoided_where_the_rows_allow_it():
    numbers = np.arange(1000.0)
    bins = learn(numbers.tolist(), n_bins=64, min_count=50)
    assert bins.size == 2 + 20
    assert bins.codes(numbers).min() == 2
    assert learn(numbers.tolist(), max_categories=5).codes(numbers).min() == 2


def test_rare_bins_are_unknown():
    bins = learn([1.0] * 5 + [2.0] + [3.0] * 5, min_count=2)
    assert bins.codes(np.array([1.0, 2.0, 3.0])).tolist() == [2, 0, 3]


def test_no_numbers_make_no_bin():
    bins = learn([])
    assert bins.size == 2
    assert bins.codes(np.array([1.0, np.inf])).tolist() == [0, 0]


@given(st.floats(-1e6, 1e6))
def test_log_squared_is_its_definition(v):
    expected = math.floor(math.log(v) ** 2) if v > 2 else int(v)
    assert log_squared(np.array([v]))[0] == expected


@given(st.integers(-1000, 1000))
def test_log_square_is_its_definition_and_blind_to_the_sign(v):
    level = log_square(np.array([v, -v], dtype=np.float64))
    assert level.tolist() == [math.floor(math.log(v * v + 1))] * 2


def test_log_square_does_not_overflow():
    assert log_square(np.array([1e300, np.inf])).tolist() == [
        math.floor(600 * math.log(10)),
        np.inf,
    ]


def test_a_log_level_never_seen_joins_the_nearest_seen_level():
    bins = learn([0.0, 0.0, 100.0], rule="log_square")  # levels 0 and 9
    assert bins.codes(np.array([1.0, 9.0, 10.0, 1e9, -1e9])).tolist() == [2, 2, 2, 3, 3]


@pytest.mark.parametrize("value", ["1.5", (1,), None])
def test_only_numbers_are_numeric(value):
    cells = np.empty(2, dtype=object)
    cells[:] = [1, value]
    with pytest.raises(ValueError, match="a numeric field must hold numbers, got"):
        as_numbers(cells)


def test_numbers_of_every_type_become_floats():
    cells = np.array([1, 2.5, True, Decimal("0.5"), np.float32(4)], dtype=object)
    assert as_numbers(cells).tolist() == [1.0, 2.5, 1.0, 0.5, 4.0]
    with pytest.raises(ValueError, match="got datetime64"):
        as_numbers(np.array(["2020"], dtype="M8[ns]"))
