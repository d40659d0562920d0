"""Columns as codes and as numbers."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from sparsectr.encoding.columns import as_table
from sparsectr.ensembles.columns import Columns, with_plain_columns

X = pd.DataFrame(
    {
        "city": ["Oslo", "Oslo", None, "Bergen"],
        "age": [30, 40, 30, 50],
        "price": [1.5, np.nan, np.inf, 2.0],
    }
)


def test_numbers_are_numbers_and_values_are_codes():
    columns = Columns().fit(X)
    assert columns.numeric == [1, 2]
    assert columns.names == ["city", "age", "price"]
    raw = columns.raw(X)
    np.testing.assert_array_equal(raw[:, 0], [0, 0, np.nan, 1])  # the most frequent value first
    np.testing.assert_array_equal(raw[:, 1], [30, 40, 30, 50])
    np.testing.assert_array_equal(raw[[0, 1, 3], 2], [1.5, np.nan, 2.0])
    assert np.isfinite(raw[2, 2])
    assert columns.categories(2) == [0]


def test_unknown_values_are_missing_to_trees():
    columns = Columns().fit(X)
    later = X.assign(city="Paris", age=-1)
    raw = columns.raw(later)
    assert np.isnan(raw[:, 0]).all()
    assert (raw[:, 1] == -1).all()


def test_arrays_and_objects():
    cells = np.array([[1, "a"], [2.5, "b"], [None, "a"]], dtype=object)
    columns = Columns().fit(as_table(cells))
    np.testing.assert_array_equal(columns.raw(as_table(cells)), [[1, 0], [2.5, 1], [np.nan, 0]])


def test_columns_without_any_value():
    empty = pd.DataFrame({"number": [np.nan] * 3, "text": [None] * 3, "x": [1, 2, 3]})
    raw = Columns().fit(empty).raw(empty.assign(number=5.0, text="new"))
    np.testing.assert_array_equal(raw, [[0, 0, 1], [0, 0, 2], [0, 0, 3]])


@pytest.mark.parametrize("convert", [pl.from_pandas, pa.Table.from_pandas])
def test_frames_of_other_libraries(convert):
    plain = with_plain_columns(as_table(convert(X)))
    assert isinstance(plain, pd.DataFrame)
    np.testing.assert_array_equal(Columns().fit(plain).raw(plain), Columns().fit(X).raw(X))
    assert with_plain_columns(X) is X


def test_many_values_are_no_categories():
    columns = Columns().fit(pd.DataFrame({"id": [f"u{i}" for i in range(9)], "age": range(9)}))
    assert columns.categories(8) == []
    assert columns.categories(9) == [0]


def test_a_column_of_numbers_stays_one():
    columns = Columns().fit(X)
    with pytest.raises(ValueError, match="Field 'age': a numeric field must hold numbers"):
        columns.raw(X.assign(age="old"))
