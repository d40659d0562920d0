"""Reading columns: every dtype, without a detour through float."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sparsectr.encoding.columns import as_table, iterate_columns, read_column

BIG = 2**53 + 1
HUGE = 2**64 - 1


def only_column(table):
    (cells,) = iterate_columns(as_table(table))
    return read_column(cells)


def cells_of(column):
    """Put the cells together again, None where missing."""
    values = pd.Series(column.values).astype(object).tolist()
    return [None if p < 0 else values[p] for p in column.positions.tolist()]


STAMP = pd.Timestamp("2020-01-01")
OSLO = pd.Timestamp("2020-01-01", tz="Europe/Oslo")
PANDAS = {
    "int8": (np.array([1, -2, 1], dtype=np.int8), "integer", np.int64),
    "uint64": (np.array([HUGE, 1], dtype=np.uint64), "integer", np.uint64),
    "uint8": (np.array([255, 1], dtype=np.uint8), "integer", np.int64),
    "bool": (np.array([True, False]), "other", np.bool_),
    "float32": (np.array([1.5, 2.5], dtype=np.float32), "float", np.float64),
    "Int64": (pd.array([BIG, None, BIG + 1], dtype="Int64"), "integer", np.int64),
    "UInt64": (pd.array([HUGE, None], dtype="UInt64"), "integer", np.uint64),
    "boolean": (pd.array([True, None], dtype="boolean"), "other", np.bool_),
    "Float64": (pd.array([1.5, None], dtype="Float64"), "float", np.float64),
    "string": (pd.array(["a", None, ""], dtype="string[python]"), "other", object),
    "object": (np.array(["a", None, 1, 2.5, (1, 2)], dtype=object), "other", object),
    "category": (pd.Categorical(["b", None, "b"], categories=["a", "b"]), "other", object),
    "category of int": (pd.Categorical([BIG, None]), "other", np.int64),
    "category of float": (pd.Categorical([1.5, None]), "other", np.float64),
    "datetime": (pd.array([STAMP, None], dtype="M8[us]"), "other", "M8[us]"),
    "with time zone": (pd.array([OSLO, None]), "other", object),
    "timedelta": (pd.array([pd.Timedelta(1, "D"), None], dtype="m8[s]"), "other", "m8[us]"),
    "period": (pd.array([pd.Period("2020-01"), None]), "other", object),
    "sparse": (pd.arrays.SparseArray([0, 1, 0]), "integer", np.int64),
}


@pytest.mark.parametrize("name", PANDAS)
def test_pandas_columns(name):
    cells, kind, dtype = PANDAS[name]
    column = only_column(pd.DataFrame({"a": cells}))
    expected = [None if pd.api.types.is_scalar(v) and pd.isna(v) else v for v in list(cells)]
    assert cells_of(column) == expected
    assert column.kind == kind
    assert column.values.dtype == dtype


@pytest.mark.parametrize("storage", ["python", "pyarrow"])
@pytest.mark.parametrize("na_value", [pd.NA, np.nan])
def test_pandas_strings(storage, na_value):
    if storage == "pyarrow":
        pytest.importorskip("pyarrow")
    try:
        dtype = pd.StringDtype(storage, na_value)
    except TypeError:
        pytest.skip("pandas before 2.3 has no strings with NaN")
    column = only_column(pd.DataFrame({"a": pd.array(["a", None, "ü"], dtype=dtype)}))
    assert cells_of(column) == ["a", None, "ü"]
    assert column.values.dtype == object


def arrow_cases():
    pa = pytest.importorskip("pyarrow")
    return [
        ([BIG, None], pa.int64(), "integer"),
        ([HUGE, None], pa.uint64(), "integer"),
        ([1.5, None], pa.float32(), "float"),
        (["a", None], pa.string(), "other"),
        (["a", None], pa.dictionary(pa.int32(), pa.string()), "other"),
        ([True, None], pa.bool_(), "other"),
        ([dt.date(2020, 1, 1), None], pa.date32(), "other"),
        ([STAMP, None], pa.timestamp("us"), "other"),
        ([OSLO, None], pa.timestamp("us", "Europe/Oslo"), "other"),
        ([Decimal("1.50"), None], pa.decimal128(10, 2), "float"),
        ([Decimal("15"), None], pa.decimal128(10, 0), "integer"),
    ]


def test_pandas_columns_backed_by_arrow():
    pa = pytest.importorskip("pyarrow")
    for cells, arrow_type, kind in arrow_cases():
        array = pd.array(pa.array(cells, arrow_type), dtype=pd.ArrowDtype(arrow_type))
        column = only_column(pd.DataFrame({"a": array}))
        assert cells_of(column) == ([STAMP, None] if arrow_type == pa.date32() else cells)
        assert column.kind == kind


def test_categories_backed_by_arrow():
    pa = pytest.importorskip("pyarrow")
    for cells, arrow_type, _ in arrow_cases():
        if arrow_type == pa.dictionary(pa.int32(), pa.string()):
            continue  # pandas makes no categories of these
        array = pd.array(pa.array(cells, arrow_type), dtype=pd.ArrowDtype(arrow_type))
        column = only_column(pd.DataFrame({"a": pd.Series(array).astype("category")}))
        assert cells_of(column) == ([STAMP, None] if arrow_type == pa.date32() else cells)
        assert column.kind == "other"


def test_arrow_tables():
    pa = pytest.importorskip("pyarrow")
    for cells, arrow_type, kind in arrow_cases():
        column = only_column(pa.table({"a": pa.array(cells, arrow_type)}))
        assert cells_of(column) == ([STAMP, None] if arrow_type == pa.date32() else cells)
        assert column.kind == kind


POLARS = {
    "i64": (pl.Series([BIG, None, BIG + 1]), "integer"),
    "u64": (pl.Series([HUGE, None], dtype=pl.UInt64), "integer"),
    "i8": (pl.Series([1, 2], dtype=pl.Int8), "integer"),
    "i128": (pl.Series([2**100, None], dtype=pl.Int128), "integer"),
    "f32": (pl.Series([1.5, None, float("nan")], dtype=pl.Float32), "float"),
    "bool": (pl.Series([True, None, False]), "other"),
    "str": (pl.Series(["a", None, ""]), "other"),
    "categorical": (pl.Series(["b", None, "a"], dtype=pl.Categorical), "other"),
    "enum": (pl.Series(["b", None], dtype=pl.Enum(["a", "b"])), "other"),
    "datetime": (pl.Series([STAMP.to_pydatetime(), None]), "other"),
    "zone": (pl.Series([STAMP, None]).dt.replace_time_zone("Europe/Oslo"), "other"),
    "date": (pl.Series([dt.date(2020, 1, 1), None]), "other"),
    "time": (pl.Series([dt.time(1), None]), "other"),
    "duration": (pl.Series([dt.timedelta(1), None]), "other"),
    "decimal": (pl.Series([Decimal("1.5"), None]), "float"),
    "null": (pl.Series([None, None]), "none"),
    "binary": (pl.Series([b"a", None]), "other"),
}


@pytest.mark.parametrize("name", POLARS)
def test_polars_columns(name):
    series, kind = POLARS[name]
    column = only_column(pl.DataFrame({"a": series}))
    expected = [None if v is None or v != v else v for v in series.to_list()]
    if name == "date":  # the codes of dates are those of their midnights
        expected = [STAMP, None]
    assert cells_of(column) == expected
    assert column.kind == kind


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f8", "g", "i1", ">i4", "u8", "U1", "S1", "?"])
def test_arrays_of_every_dtype(dtype):
    array = np.array([[0], [1], [0]]).astype(dtype)
    column = only_column(array)
    assert cells_of(column) == array[:, 0].tolist()
    assert column.kind == {"f": "float", "i": "integer", "u": "integer"}.get(
        array.dtype.kind, "other"
    )


def test_missing_values_of_every_sort():
    cells = [None, np.nan, float("nan"), pd.NaT, pd.NA, Decimal("nan"), np.datetime64("NaT"), "a"]
    column = only_column(pd.DataFrame({"a": pd.Series(cells, dtype=object)}))
    assert column.positions.tolist() == [-1] * 7 + [0]
    both = pd.arrays.FloatingArray(np.array([1.0, np.nan, 2.0]), np.array([True, False, False]))
    assert cells_of(only_column(pd.DataFrame({"a": both}))) == [None, None, 2.0]


SHARED = np.array(["b", None, "a", float("nan"), 3, 3.0, "bb", pd.NA, ("t", 1)] * 500, dtype=object)


@pytest.mark.parametrize(
    "cells",
    [
        SHARED,
        SHARED[::-2],
        np.stack([SHARED, SHARED], axis=1)[:, 1],
        np.array([str(i % 700) for i in range(5_000)], dtype=object),  # no cell shares its object
        SHARED[:40],
    ],
    ids=["shared", "backwards", "a column of many", "not shared", "few rows"],
)
def test_cells_that_share_their_objects_are_read_as_any_others(cells):
    column = read_column(cells)
    positions, values = pd.factorize(cells)
    assert np.array_equal(column.positions, positions)
    assert list(column.values) == list(values)


def test_counts_leave_missing_cells_out():
    column = only_column(pd.DataFrame({"a": ["x", None, "y", "x"]}, dtype=object))
    assert dict(zip(column.values, column.counts(), strict=True)) == {"x": 2, "y": 1}


def test_a_list_keeps_the_type_of_each_column():
    table = as_table([[BIG, 0.5, "a"], [None, 2, None], [BIG + 1, None, "b"]])
    columns = [read_column(cells) for cells in iterate_columns(table)]
    assert [c.kind for c in columns] == ["integer", "float", "other"]
    assert cells_of(columns[0]) == [BIG, None, BIG + 1]
    assert cells_of(columns[1]) == [0.5, 2.0, None]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.zeros((0, 2)), "0 sample"),
        (pd.DataFrame({"a": []}), "0 sample"),
        (pd.DataFrame(index=range(3)), "0 feature"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), r"different names, repeated: \['a'\]"),
    ],
)
def test_tables_without_cells_or_names(table, message):
    with pytest.raises(ValueError, match=message):
        as_table(table)


@pytest.mark.parametrize("cell", [{"a": 1}, [1], {1}])
def test_cells_must_be_hashable(cell):
    cells = np.empty(2, dtype=object)
    cells[:] = ["a", cell]
    with pytest.raises(TypeError, match=f"must be hashable .* '{type(cell).__name__}'; turn"):
        read_column(cells)


def test_complex_numbers_are_refused():
    with pytest.raises(ValueError, match="Complex data not supported"):
        read_column(np.array([1j]))
