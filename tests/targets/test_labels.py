"""Class labels of every type."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp

from sparsectr.targets.labels import (
    as_labels,
    check_same_classes,
    find_classes,
    label_numbers,
    settle_classes,
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
