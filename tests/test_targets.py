"""Labels, weights and the validation split."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsectr.targets import (
    as_labels,
    balance,
    check_same_classes,
    check_weights,
    class_factors,
    find_classes,
    label_numbers,
    split_rows,
)

LABELS = ["no", "yes", "no", "maybe"]


@pytest.mark.parametrize(
    "labels",
    [
        LABELS,
        np.array(LABELS),
        np.array(LABELS, dtype=object),
        pd.Series(LABELS),
        pd.Series(LABELS, dtype="category"),
        pl.Series(LABELS),
        [True, False, True, True],
        pd.Series([True, False, True, True], dtype="boolean"),
        np.array([7, -3, 7, 2**40]),
        pd.Series([5, 9, 5, 5], dtype="Int64"),
        np.array([0.0, 1.0, 0.0, 3.0]),
        np.array([True, False, True, True], dtype=object),
        np.array([7, -3, 7, 7], dtype=object),
    ],
    ids=lambda labels: type(labels).__name__,
)
def test_labels_of_any_type_are_found_again(labels):
    array = as_labels(labels)
    classes = find_classes(array)
    numbers = label_numbers(array, classes)
    assert numbers.dtype == np.int64
    assert classes[numbers].tolist() == list(labels)
    assert sorted(classes) == classes.tolist()


@pytest.mark.parametrize(
    "labels",
    [
        [0.5, 1.5, 2.5],
        [0.0, 1.0, np.nan],
        [0.0, np.inf, 1.0],
        [[0, 1], [1, 0]],
        np.array(["a", np.nan, "b"], dtype=object),
        pd.Series(["a", None, "b"]),
        np.array(["a", None, "b"], dtype=object),
        np.array(["a", 1, "b"], dtype=object),
    ],
)
def test_bad_labels(labels):
    with pytest.raises(ValueError):  # noqa: PT011 - the words are scikit-learn's
        find_classes(as_labels(labels))


def test_one_class_and_strangers():
    with pytest.raises(ValueError, match="at least two classes, got 1 class"):
        find_classes(np.array(["a", "a"]))
    classes = np.array([1, 3])
    for stranger in (0, 2, 4):
        with pytest.raises(ValueError, match=rf"only the classes \[1, 3\], got \[{stranger}\]"):
            label_numbers(np.array([1, 3, stranger]), classes)
    check_same_classes(np.array([3, 1, 3]), classes)
    with pytest.raises(ValueError, match="must be those of the first call"):
        check_same_classes(np.array([1, 2]), classes)


def test_weights_pass_unchanged():
    assert check_weights(None, 3).tolist() == [1, 1, 1]
    assert check_weights(2, 3).tolist() == [2, 2, 2]
    assert check_weights(pd.Series([0, 1, 2]), 3).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2], "one weight per row"),
        ([[1], [2], [3]], "one weight per row"),
        ([1, -1, 1], "not negative"),
        ([1, np.nan, 1], "finite"),
        ([1, np.inf, 1], "finite"),
        ([0, 0, 0], "must not be zero for every row"),
    ],
)
def test_bad_weights(weights, message):
    with pytest.raises(ValueError, match=message):
        check_weights(weights, 3)


CLASSES = np.array(["a", "b", "c"])
NUMBERS = np.array([0, 0, 0, 1, 1, 2])


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


@pytest.mark.parametrize("wrong", [{"a": 1, "z": 1}, {"a": -1.0}, {"a": np.nan}, "even", 3])
def test_bad_class_weights(wrong):
    with pytest.raises(ValueError, match=r"class_weight|not in"):
        class_factors(wrong, CLASSES, NUMBERS, np.ones(6))


def test_balance_scales_to_mean_one():
    weights = balance(np.array([1.0, 3.0]), np.array([2.0, 1.0]))
    assert weights.mean() == 1
    assert weights[1] == pytest.approx(1.5 * weights[0])
    assert balance(np.array([1.0, 0.0, 3.0]), np.ones(3)).tolist() == [0.5, 0, 1.5]
    with pytest.raises(ValueError, match="must not be zero for every row"):
        balance(np.array([1.0, 0.0]), np.array([0.0, 1.0]))


@given(st.lists(st.integers(0, 3), min_size=2, max_size=60), st.floats(0.05, 0.9))
def test_split_is_disjoint_and_complete(numbers, fraction):
    numbers = np.array(numbers)
    n_validation = int(np.ceil(fraction * len(numbers)))
    if n_validation == len(numbers):
        return
    train, validation = split_rows(numbers, fraction, np.random.RandomState(0))
    assert len(validation) == n_validation
    assert sorted([*train, *validation]) == list(range(len(numbers)))
    assert (np.diff(train) > 0).all()
    assert (np.diff(validation) > 0).all()


def test_split_keeps_class_shares_and_the_only_row_of_a_class():
    numbers = np.repeat([0, 1, 2], [80, 20, 1])
    train, validation = split_rows(numbers, 0.1, np.random.RandomState(0))
    assert np.bincount(numbers[validation], minlength=3).tolist() == [9, 2, 0]
    assert 100 in train
