"""Labels, weights and the validation split."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from sparsectr.targets import (
    as_labels,
    balance,
    check_same_classes,
    check_weights,
    class_factors,
    find_classes,
    label_numbers,
    settle_classes,
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


def objects(*values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0.5, 1.5, 2.5], r"got numbers such as 0\.5 .*continuous.* take a regressor"),
        (objects(0.5, 1.5), "got numbers such as 0.5"),
        ([0.0, 1.0, np.nan], "a label in every row, got 1 missing"),
        (objects("a", np.nan, "b"), "got 1 missing"),
        (objects("a", None, None), "got 2 missing"),
        (pd.Series(["a", None, "b"]), "got 1 missing"),
        (pd.array([1, None, 0], dtype="Int64"), "got 1 missing"),
        (pd.to_datetime(["2020", None]), "got 1 missing"),
        (pl.Series([1, None]), "got 1 missing"),
        (np.ma.masked_array([0, 1, 1], mask=[0, 0, 1]), "in every row, got 1 masked"),
        ([0.0, np.inf, 1.0], "must hold finite labels"),
        ([[0, 1], [1, 0]], r"one label per row, got an array of shape \(2, 2\)"),
        ([[0], [1, 0]], r"one column of labels that NumPy can read, got \[\[0\], \[1, 0\]\]"),
        (objects("a", 1, "b"), "labels of one type, got int, str"),
        (objects(True, 1), "labels of one type, got bool, int"),
        (objects((1, 2), (3, 4)), r"got tuple such as \(1, 2\); turn them into strings"),
        (objects(2**70, 1), "integers of 64 bits"),
        ([1j, 2j], "must hold real labels, got complex"),
        ([b"a", b"b"], "got bytes; turn them into strings"),
        ("yes", "one label per row, got 'yes'"),
        ({0, 1}, r"one label per row, got \{0, 1\}"),
        ((label for label in "ab"), "one label per row, got a generator"),
        (sp.csr_array([[0, 1]]), r"one label per row, got a csr_array of shape \(1, 2\)"),
    ],
)
def test_bad_labels(labels, message):
    with pytest.raises(ValueError, match=rf"\bq\b.*{message}"):
        as_labels(labels, name="q")


def test_objects_of_numpy_are_their_values():
    assert as_labels(objects(1, np.int64(0))).tolist() == [1, 0]
    assert as_labels(objects("a", np.str_("b"))).tolist() == ["a", "b"]
    big = as_labels(objects(2**63, 2**63 + 1))  # exact, not floats
    assert big.tolist() == [2**63, 2**63 + 1]


def test_number_of_labels():
    with pytest.raises(ValueError, match="y must have one label per row, got 3 for 4 rows"):
        as_labels([0, 1, 1], n_rows=4)


def test_a_class_for_every_row_may_be_a_regression():
    with pytest.warns(UserWarning, match="30 classes in 40 rows.*take a regressor"):
        find_classes(np.arange(40) % 30)
    find_classes(np.arange(20))
    find_classes(np.arange(40), name="classes")  # a list of classes, not of rows


def test_one_class_and_strangers():
    with pytest.raises(ValueError, match="at least two classes, got 1 class"):
        find_classes(np.array(["a", "a"]))
    classes = np.array([1, 3])
    for strangers in (["1", "3"], np.array(["2020"], "M8[D]")):
        with pytest.raises(ValueError, match=r"y_val must hold only the classes \[1, 3\], got"):
            label_numbers(np.array(strangers), classes, "y_val")
    assert label_numbers(np.array([True]), classes).tolist() == [0]
    with pytest.raises(ValueError, match="must be those of the first call"):
        check_same_classes(np.array(["1", "3"]), classes)
    for stranger in (0, 2, 4):
        with pytest.raises(ValueError, match=rf"only the classes \[1, 3\], got \[{stranger}\]"):
            label_numbers(np.array([1, 3, stranger]), classes)
    check_same_classes(np.array([3, 1, 3]), classes)
    with pytest.raises(ValueError, match="must be those of the first call"):
        check_same_classes(np.array([1, 2]), classes)


def test_classes_are_listed_once_or_those_of_y():
    labels = np.array([1, 3, 1])
    assert settle_classes(labels, None, None).tolist() == [1, 3]
    assert settle_classes(labels, [5, 3, 1], None).tolist() == [1, 3, 5]
    known = np.array([1, 3, 5])
    for listed in (None, [3, 5, 1]):
        assert settle_classes(labels, listed, known).tolist() == [1, 3, 5]
    with pytest.raises(ValueError, match="classes must be those of the first call"):
        settle_classes(labels, [1, 3], known)
    with pytest.raises(ValueError, match="classes must hold at least two classes, got 1 class, 3"):
        settle_classes(labels, [3], None)


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


@given(
    numbers=st.lists(st.sampled_from([0, 0, 0, 1, 1, 3, 4]), min_size=2, max_size=60),
    fraction=st.floats(0.05, 0.95),
    seed=st.integers(0, 1000),
)
def test_split_draws_the_rows_of_scikit_learn(numbers, fraction, seed):
    numbers = np.array(numbers)
    n_validation = int(np.ceil(fraction * len(numbers)))
    if n_validation == len(numbers):
        return
    counts = np.bincount(numbers)
    rows = np.flatnonzero(counts[numbers] > 1)
    if n_validation >= len(rows):
        rows = np.arange(len(numbers))
    of_rows = numbers[rows]
    fewest = min(n_validation, len(rows) - n_validation)
    stratify = counts[of_rows].min() > 1 and fewest >= len(np.unique(of_rows))
    ours, theirs = np.random.RandomState(seed), np.random.RandomState(seed)
    expected = train_test_split(
        rows, test_size=n_validation, stratify=of_rows if stratify else None, random_state=theirs
    )[1]
    assert split_rows(numbers, fraction, ours)[1].tolist() == sorted(expected)
    # The source is left alike: what is drawn next stays what it was.
    assert ours.randint(2**31) == theirs.randint(2**31)


def test_split_keeps_class_shares_and_the_only_row_of_a_class():
    numbers = np.repeat([0, 1, 2], [80, 20, 1])
    train, validation = split_rows(numbers, 0.1, np.random.RandomState(0))
    assert np.bincount(numbers[validation], minlength=3).tolist() == [9, 2, 0]
    assert 100 in train
