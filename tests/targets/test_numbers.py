"""Numbers as a target: what is read, what is taken out, what comes back."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sparsectr.targets.numbers import NumberTarget, as_numbers

Y = np.array([3.0, 5.0, 10.0, 2.0])
W = np.array([1.0, 2.0, 0.0, 1.0])


@pytest.mark.parametrize(
    "y",
    [
        [1, 2, 3],
        np.array([1, 2, 3], dtype=np.uint8),
        pd.Series([1, 2, 3], dtype="Int64"),
        pl.Series([1, 2, 3]),
        [Decimal(1), Fraction(2), 3.0],
        np.array([1, 2, 3], dtype=object),
    ],
    ids=lambda y: type(y).__name__,
)
def test_numbers_of_any_kind_are_floats(y):
    values = as_numbers(y, n_rows=3)
    assert values.dtype == np.float64
    assert values.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a", "b"], "y must hold real numbers, got str"),
        ([1.0, None], "y must have a number in every row, got 1 missing"),
        ([1.0, np.nan], "y must have a number in every row, got 1 missing"),
        ([1.0, np.inf], "y must hold finite numbers, got infinity"),
        ([1.0, 1e200], r"y must hold numbers of at most 1e\+150, got 1e\+200"),
        ([1.0, 1j], "Complex data not supported"),
        ([[1.0, 2.0], [3.0, 4.0]], r"one number per row, got an array of shape \(2, 2\)"),
        ([1.0], "one number per row, got 1 for 2 rows"),
        (np.array(["2020", "2021"], dtype="M8[D]"), "must hold real numbers, got datetime64"),
        (5, "y must be an array, list or Series of one number per row, got 5"),
    ],
)
def test_bad_numbers(y, message):
    with pytest.raises(ValueError, match=message):
        as_numbers(y, n_rows=2)


def test_counts_must_not_be_negative():
    with pytest.raises(ValueError, match=r"y_val must hold numbers that are not negative.*got -1"):
        NumberTarget("poisson", 0, 1).read([1, -1], None, 2, "_val")


def test_squared_error_takes_out_mean_and_standard_deviation():
    target = NumberTarget.settle("squared_error", Y, W)
    rows = target.read(Y, W, 4)
    assert target.mean == pytest.approx(np.average(Y, weights=W))
    assert np.average(rows.values, weights=W) == pytest.approx(0, abs=1e-6)
    assert np.average(rows.values**2, weights=W) == pytest.approx(1, rel=1e-6)
    assert rows.weights.tolist() == [0.75, 1.5, 0, 0.75]  # of mean 1 where there is one
    np.testing.assert_allclose(target.predict(rows.values[:, None]), Y, rtol=1e-6)


def test_counts_are_divided_by_their_dispersion():
    """A rate counts for as many rows as it has exposure, whatever the unit of exposure."""
    rng = np.random.default_rng(0)
    exposure = rng.exponential(size=100_000)
    counts = rng.poisson(0.3 * exposure)
    for unit in (1.0, 365.0):
        rates, weights = counts / (unit * exposure), unit * exposure
        target = NumberTarget.settle("poisson", rates, weights)
        assert target.mean == 0
        # Of Poisson counts: one over the mean exposure.
        assert target.scale * weights.mean() == pytest.approx(1, rel=0.05)
        np.testing.assert_allclose(target.predict(np.zeros((1, 1))), target.scale)
    equal = NumberTarget.settle("poisson", np.zeros(3), np.ones(3))
    assert equal.scale == 1


def test_equal_numbers_stay_finite():
    target = NumberTarget.settle("squared_error", np.full(4, 7.0), W)
    assert (target.mean, target.scale) == (7.0, 1.0)


def test_scores_are_in_units_of_the_target():
    logits = np.arange(6.0).reshape(2, 3, 1)
    number, count = NumberTarget("squared_error", 5.0, 2.0), NumberTarget("poisson", 0.0, 2.0)
    outputs = number.choose_outputs(logits[0])
    np.testing.assert_array_equal(number.to_scores(logits, outputs), 2 * logits[:, :, 0])
    np.testing.assert_array_equal(count.to_scores(logits, outputs), logits[:, :, 0])
    # The score of a row is that of its logit and the offset.
    one = np.array([[0.5]])
    assert number.predict(one) == number.to_scores(one[None], outputs)[0] + number.offset
    assert np.log(count.predict(one)) == count.to_scores(one[None], outputs)[0] + count.offset
    with pytest.raises(ValueError, match="class_label must be None, as numbers have no classes"):
        number.choose_output("late")


def test_extreme_logarithms_have_finite_means():
    target = NumberTarget("poisson", 0.0, 1.0)
    predicted = target.predict(np.array([[-1e5], [1e5]]))
    assert (predicted > 0).all()
    assert np.isfinite(predicted**2).all()
    assert target.find_fault(np.array([[100.0]]))
    assert target.find_fault(np.array([[3.0]])) is None


def test_the_split_is_disjoint_and_complete():
    train, validation = NumberTarget("squared_error", 0, 1).split(
        np.arange(25.0), 0.1, np.random.RandomState(0)
    )
    assert len(validation) == 3
    assert sorted([*train, *validation]) == list(range(25))
