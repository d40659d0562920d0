"""Weights of rows and of classes."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sparsectr.targets.weights import balance, check_weights, class_factors

CLASSES = np.array(["a", "b", "c"])
NUMBERS = np.array([0, 0, 0, 1, 1, 2])


def objects(*values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def test_weights_pass_unchanged():
    assert check_weights(None, 3).tolist() == [1, 1, 1]
    assert check_weights(2, 3).tolist() == [2, 2, 2]
    assert check_weights(pd.Series([0, 1, 2]), 3).tolist() == [0, 1, 2]


def test_weights_may_be_numbers_of_any_kind():
    kinds = ([True, False, True], objects(Decimal("0.5"), 1, Fraction(1, 4)), pl.Series([1, 2, 3]))
    for weights in kinds:
        assert check_weights(weights, 3).tolist() == [float(weight) for weight in weights]
    unmasked = np.ma.masked_array([1.0, 2.0, 3.0], mask=False)
    assert check_weights(unmasked, 3).tolist() == [1, 2, 3]


@pytest.mark.parametrize("unit", [1e308, 1e200, 1.0, 1e-200, 1e-308])
def test_the_unit_of_weights_does_not_matter(unit):
    numbers, shares = np.array([0, 0, 1, 1]), np.array([1.0, 0.5, 0.0, 0.25])
    classes, weights = np.array([0, 1]), check_weights(unit * shares, 4)
    np.testing.assert_allclose(balance(weights, np.ones(4)), shares / (1.75 / 3))
    balanced = class_factors("balanced", classes, numbers, weights)
    np.testing.assert_allclose(balanced[1] / balanced[0], 6)
    given = class_factors({0: unit, 1: unit / 2}, classes, numbers, weights)
    np.testing.assert_allclose(given[1] / given[0], 0.5)
    assert np.isfinite(balance(weights, given[numbers])).all()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (["1", "1", "1"], "must hold real numbers, got str"),
        ([1j, 1, 1], "must hold real numbers, got complex128"),
        (np.array(["2020"] * 3, dtype="M8[D]"), "must hold real numbers, got datetime64"),
        (np.array([1, 2, 3], dtype="m8[D]"), "must hold real numbers, got timedelta64"),
        (objects(1, (2,), 3), "must hold real numbers, got tuple"),
        (objects(1, None, 3), "a weight in every row, got 1 missing"),
        (np.ma.masked_array([1, 1, 1], mask=[1, 1, 0]), "a weight in every row, got 2 masked"),
        ([[1], [2, 3], [4]], "one column of weights that NumPy can read"),
        ({0: 1.0}, r"one weight per row, got \{0: 1\.0\}"),
        ([1, 2], "one weight per row"),
        ([[1], [2], [3]], "one weight per row"),
        ([1, -1, 1], "not negative"),
        ([1, np.nan, 1], "got 1 missing"),
        ([1, np.inf, 1], "finite"),
        ([0, 0, 0], "must not be zero for every row"),
    ],
)
def test_bad_weights(weights, message):
    with pytest.raises(ValueError, match=message):
        check_weights(weights, 3)


def test_balanced_classes_weigh_the_same():
    weights = np.array([1.0, 2.0, 0.5, 1.0, 1.0, 3.0])
    factors = class_factors("balanced", CLASSES, NUMBERS, weights)
    sums = np.bincount(NUMBERS, balance(weights, factors[NUMBERS]))
    np.testing.assert_allclose(sums, sums[0])
    # A row of weight 2 counts as two rows.
    twice = np.array([0, 0, 1])
    np.testing.assert_allclose(
        class_factors("balanced", CLASSES[:2], twice, np.ones(3)),
        class_factors("balanced", CLASSES[:2], np.array([0, 1]), np.array([2.0, 1.0])),
    )


def test_a_class_without_rows_has_a_factor():
    factors = class_factors("balanced", CLASSES, np.array([0, 1, 1]), np.ones(3))
    assert factors[2] == 1


def test_class_weight_by_name():
    factors = class_factors({"a": 2.0, "c": 0.5}, CLASSES, NUMBERS, np.ones(6))
    assert factors.tolist() == [2.0, 1.0, 0.5]
    assert class_factors(None, CLASSES, NUMBERS, np.ones(6)).tolist() == [1, 1, 1]


def test_a_dict_may_name_a_class_more_if_it_names_all():
    more = {"a": 2.0, "b": 1.0, "c": 0.5, "d": 3.0}
    assert class_factors(more, CLASSES, NUMBERS, np.ones(6)).tolist() == [2.0, 1.0, 0.5]


@pytest.mark.parametrize(
    "wrong",
    [{"a": 1, "z": 1}, {"a": -1.0}, {"a": np.nan}, {"a": "b"}, dict.fromkeys("abc", 0), "even", 3],
)
def test_bad_class_weights(wrong):
    with pytest.raises(ValueError, match=r"^class_weight\S* must .*, got .*\.$"):
        class_factors(wrong, CLASSES, NUMBERS, np.ones(6))


def test_balance_scales_to_mean_one():
    weights = balance(np.array([1.0, 3.0]), np.array([2.0, 1.0]))
    assert weights.mean() == 1
    assert weights[1] == pytest.approx(1.5 * weights[0])
    assert balance(np.array([1.0, 0.0, 3.0]), np.ones(3)).tolist() == [0.5, 0, 1.5]
    with pytest.raises(ValueError, match="must not be zero for every row"):
        balance(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
