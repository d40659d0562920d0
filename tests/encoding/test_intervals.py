"""Bins as intervals."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsectr.encoding.binning import RULES, learn_bins
from sparsectr.encoding.intervals import Interval, intervals_of, name_intervals

NUMBERS = st.one_of(
    st.integers(-30, 30).map(float),
    st.floats(-6, 6),
    st.floats(-1e6, 1e6),
    st.sampled_from([0.5, 1.5, 2.0, 2.5, np.nextafter(2, 3), -0.5]),
)


def learn(numbers, rule, n_bins=4, min_count=1):
    values, counts = np.unique(numbers, return_counts=True)
    return learn_bins(values, counts, min_count, None, rule=rule, n_bins=n_bins)


def holds(parts, number, rule):
    return any((abs(number) if rule == "log_square" else number) in part for part in parts)


@given(
    st.lists(NUMBERS, min_size=1, max_size=30),
    st.lists(NUMBERS, min_size=1, max_size=30),
    st.sampled_from(RULES),
    st.sampled_from([1, 2]),
)
@settings(max_examples=300)
def test_a_number_lies_in_the_intervals_of_its_bin_only(train, later, rule, min_count):
    bins = learn(train, rule, min_count=min_count)
    intervals = intervals_of(bins)
    assert len(intervals) == bins.size - 2
    for number in (*train, *later):
        (code,) = bins.codes(np.array([number])).tolist()
        # A bound of a logarithmic bin is known up to its last digits.
        near = [number * (1 - 1e-12), number * (1 + 1e-12)]
        if rule != "quantile" and len(set(bins.codes(np.array(near)).tolist())) > 1:
            continue
        found = [c for c, parts in enumerate(intervals, start=2) if holds(parts, number, rule)]
        assert found == ([code] if code else [])


@given(st.lists(NUMBERS, min_size=1, max_size=60), st.sampled_from(RULES))
def test_names_are_different(numbers, rule):
    bins = learn(numbers, rule, n_bins=60)
    names = name_intervals(bins)
    assert len(set(names)) == len(names) == bins.size - 2


def test_names_of_quantile_bins_are_their_bounds():
    bins = learn([1.0, 2.0, 3.0, 4.0, 4.02, 4.021], "quantile", n_bins=6)
    bounds = [re.fullmatch(r"\((.+), (.+)([\])])", n).groups() for n in name_intervals(bins)]
    assert [b[2] for b in bounds] == ["]"] * 5 + [")"]
    left, right = (sorted(float(b[side]) for b in bounds) for side in (0, 1))
    assert left == [-np.inf, *right[:-1]]
    np.testing.assert_allclose(right, [1.5, 2.5, 3.5, 4.01, 4.0205, np.inf], rtol=1e-12)


@pytest.mark.parametrize(
    ("numbers", "rule", "names"),
    [
        ([7.0], "quantile", ["(-inf, inf)"]),
        ([1.0, 1.0, 2.0], "quantile", ["(-inf, 1.5]", "(1.5, inf)"]),
        ([], "quantile", []),
        (
            [-2.0, -1.0, 0.0, 1.0, 3.0],
            "quantile",
            ["(-inf, -1.5]", "-1", "0", "(0.5, 2]", "(2, inf)"],
        ),
        (
            [-np.inf, 1.0, 2.0, 3.0],
            "quantile",
            ["(-inf, -inf]", "(-inf, 1.5]", "2", "(2.5, inf)"],
        ),
        (
            [7.0, 8.0, 9.25, 10.0, 11.0],
            "quantile",
            ["(-inf, 7.5]", "(7.5, 8.625]", "(8.625, 9.625]", "(9.625, 10.5]", "(10.5, inf)"],
        ),
        (
            [8.5, 9.0, 9.5, 10.0],
            "quantile",
            ["(-inf, 8.75]", "(8.75, 9.25]", "(9.25, 9.75]", "(9.75, inf)"],
        ),
        ([0.0, 0.0, 5.0], "log_square", ["|x| in [0, 2.528)", "|x| in [2.528, inf)"]),
        ([0.0, 0.0, 1.0], "log_squared", ["(-inf, 1) or (2, 2.718)", "[1, 2] or [2.718, inf)"]),
        ([-3.0, -3.0, 100.0], "log_squared", ["(-inf, 23.62)", "[23.62, inf)"]),
    ],
)
def test_names(numbers, rule, names):
    assert name_intervals(learn(np.array(numbers), rule, n_bins=5)) == names


def test_the_name_of_a_whole_number_is_that_of_its_bin():
    rng = np.random.default_rng(0)
    numbers = rng.poisson(40, 500).astype(float)
    bins = learn(numbers, "quantile", n_bins=30)
    names = name_intervals(bins)
    alone = [name for name in names if name[0] != "("]
    assert len(alone) > 10
    codes = bins.codes(numbers)
    for name in alone:
        assert set(numbers[codes == names.index(name) + 2]) == {float(name)}


def test_bounds_belong_or_not():
    assert 1.0 in Interval(1.0, 2.0, True, False)
    assert 2.0 not in Interval(1.0, 2.0, True, False)
    assert 2.0 in Interval(1.0, 2.0, False, True)
    assert 1.0 not in Interval(1.0, 2.0, False, True)
