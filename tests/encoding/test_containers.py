"""What can be a table, and what is said about everything else."""

from collections import deque

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import torch

from sparsectr.encoding.columns import as_table, take_rows
from sparsectr.encoding.containers import unmask
from sparsectr.encoding.field_encoder import FieldEncoder

pa = pytest.importorskip("pyarrow")

ROWS = [["x", 1], ["y", 2], [None, 1]]
FRAME = pd.DataFrame({"a": ["x", "y", None], "b": [1, 2, 1]})
TABLE = pa.table({"a": ["x", "y", None], "b": [1, 2, 1]})
NAMED = {
    "pandas": FRAME,
    "polars": pl.DataFrame(TABLE),
    "pyarrow": TABLE,
    "record batch": TABLE.to_batches()[0],
    "narwhals of polars": nw.from_native(pl.DataFrame(TABLE)),
    "narwhals of pandas": nw.from_native(FRAME),
    "narwhals of pyarrow": nw.from_native(TABLE),
}
NAMELESS = {
    "lists": ROWS,
    "tuples": tuple(map(tuple, ROWS)),
    "deque": deque(ROWS),
    "arrays": list(np.array(ROWS, dtype=object)),
    "array": np.array(ROWS, dtype=object),
    "masked": np.ma.masked_array([["x", 1], ["y", 2], ["?", 1]], [[0, 0], [0, 0], [1, 0]], object),
}
EXPECTED = [[2, 2], [3, 3], [1, 2]]


@pytest.mark.parametrize("name", NAMED)
def test_frames_keep_their_names_and_refuse_permuted_columns(name):
    encoder = FieldEncoder()
    assert encoder.fit_transform(NAMED[name]).tolist() == EXPECTED
    assert encoder.feature_names_in_.tolist() == ["a", "b"]
    for other in NAMED.values():
        assert encoder.transform(other).tolist() == EXPECTED
    permuted = TABLE.select(["b", "a"])
    for other in (permuted, permuted.to_batches()[0], nw.from_native(pl.DataFrame(permuted))):
        with pytest.raises(ValueError, match="same order"):
            encoder.transform(other)


@pytest.mark.parametrize("name", NAMELESS)
def test_rows_and_arrays_have_the_same_codes(name):
    encoder = FieldEncoder()
    assert encoder.fit_transform(NAMELESS[name]).tolist() == EXPECTED
    assert not hasattr(encoder, "feature_names_in_")
    for other in NAMELESS.values():
        assert encoder.transform(other).tolist() == EXPECTED


@pytest.mark.parametrize("X", [*NAMED.values(), *NAMELESS.values()], ids=[*NAMED, *NAMELESS])
def test_rows_are_taken_as_they_are_encoded(X):
    encoder = FieldEncoder().fit(X)
    table = as_table(X)
    for rows in ([2, 0, 0], [1]):
        taken = take_rows(table, np.array(rows))
        assert type(taken) is type(table)
        assert encoder.transform(taken).tolist() == [EXPECTED[row] for row in rows]


# Masks


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([1, 2**62 + 1], [None, 2**62 + 1]),
        ([True, False], [None, False]),
        (["a", "b"], [None, "b"]),
        ([0.5, 1.5], [np.nan, 1.5]),
        ([0.5j, 1.5], [np.nan, 1.5]),
        (np.array(["2020", "2021"], "M8[D]"), [np.datetime64("NaT"), np.datetime64("2021-01-01")]),
        (np.array([1, 2], "m8[s]"), [np.timedelta64("NaT"), np.timedelta64(2, "s")]),
    ],
    ids=["int", "bool", "str", "float", "complex", "date", "duration"],
)
def test_a_masked_cell_is_missing(cells, expected):
    masked = np.ma.masked_array(cells, [True, False])
    found = unmask(masked)
    assert type(found) is np.ndarray
    assert pd.isna(found[0])
    assert pd.isna(expected[0])
    assert found[1] == expected[1]
    assert masked.data[0] == cells[0], "the array that came stays as it is"
    whole = unmask(np.ma.masked_array(cells))
    assert (whole.dtype, whole.tolist()) == (masked.dtype, masked.data.tolist())


@pytest.mark.parametrize("dtype", ["i8", "f8", "U1", object, "M8[D]"])
def test_the_codes_of_masked_cells(dtype):
    cells = np.array([["1"], ["9"], ["1"]]).astype("i8").astype(dtype)
    masked = np.ma.masked_array(cells, [[False], [True], [False]])
    encoder = FieldEncoder(numeric="category")
    assert encoder.fit_transform(masked).ravel().tolist() == [2, 1, 2]
    assert encoder.vocabulary_sizes_.tolist() == [3]
    assert encoder.fit_transform(list(masked)).ravel().tolist() == [2, 1, 2]


def test_rows_keep_nanoseconds():
    days = pd.to_datetime(["2024-01-01", "2024-01-02"]).as_unit("ns").to_numpy()[:, None]
    encoder = FieldEncoder().fit(days)
    assert encoder.transform(list(days)).ravel().tolist() == [2, 3]


# What is no table


class NoArray:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("no array\nof this")


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (None, TypeError, "must be a table: .*, got None."),
        (5, TypeError, "got 5."),
        ("abc", TypeError, "got str."),
        (object(), TypeError, "got object."),
        ({"a": [1]}, TypeError, r"got dict: pass pandas.DataFrame\(X\)."),
        ([{"a": 1}], TypeError, r"got dict: pass pandas.DataFrame\(X\)."),
        ([{1, 2}], TypeError, "must be a list of cells, got set"),
        ({1, 2}, TypeError, "got set, which has no order"),
        ((row for row in ROWS), TypeError, r"got generator: pass list\(X\)."),
        (map(list, ROWS), TypeError, r"got map: pass list\(X\)."),
        (sp.csr_array(np.eye(2)), TypeError, r"got a sparse matrix: pass X.toarray\(\)"),
        (pl.LazyFrame({"a": [1]}), TypeError, r"got polars LazyFrame: pass X.collect\(\)."),
        (nw.from_native(pl.LazyFrame({"a": [1]})), TypeError, r"pass X.collect\(\)."),
        (TABLE.to_reader(), TypeError, r"RecordBatchReader: pass pyarrow.table\(X\)."),
        (FRAME.to_records(), TypeError, r"named fields \['index', 'a', 'b'\]: pass pandas"),
        (torch.ones(2, 2, requires_grad=True), TypeError, "no array can be made: Can't call"),
        (NoArray(), TypeError, "no array can be made: no array$"),
        (FRAME["a"], ValueError, r"X.to_frame\(\) if it is one field, X.to_frame\(\).T if it is"),
        (pl.Series([1]), ValueError, r"pass X.to_frame\(\) if it is one field."),
        (TABLE["a"], ValueError, r"pass pyarrow.table\({'name': X}\) if it is one field."),
        (["a", "b"], ValueError, r"first entry is str: pass \[X\] if it is one row"),
        ([], ValueError, "0 sample"),
        ([[]], ValueError, "0 feature"),
        ([[1, 2], [3]], ValueError, "equally many cells, got 1 to 2"),
        (np.array(5), ValueError, r"got a 0D array. Reshape your data: X.reshape\(1, 1\)"),
        (np.zeros(3), ValueError, r"X.reshape\(1, -1\) if it is one row, X.reshape\(-1, 1\) if"),
        (np.zeros((2, 2, 2)), ValueError, r"got a 3D array. Reshape your data: X.reshape\(len"),
        ([[[1], [2]], [[3], [4]]], ValueError, "got a 3D array"),
        (TABLE.rename_columns(["a", "a"]), ValueError, r"different names, repeated: \['a'\]"),
    ],
    ids=lambda value: None if isinstance(value, type | str) else type(value).__name__,
)
def test_what_is_no_table(X, error, message):
    with pytest.raises(error, match=message):
        as_table(X)


# Cells that cannot be read


class EvilHash:
    def __hash__(self):
        raise RuntimeError("evil hash")


class EvilEq:
    def __hash__(self):
        return 1

    def __eq__(self, other):
        raise RuntimeError("evil eq")


class EvilRepr:
    def __repr__(self):
        raise RuntimeError("evil repr")


@pytest.mark.parametrize("evil", [EvilHash, EvilEq, EvilRepr])
@pytest.mark.parametrize("n_rows", [2, 40])
def test_cells_with_evil_methods_name_their_field(evil, n_rows):
    cells = np.empty(n_rows, dtype=object)
    cells[:] = [evil() for _ in range(n_rows)]
    frame = pd.DataFrame({"z": pd.Series(cells, dtype=object)})
    with pytest.raises(TypeError, match=r"Field 'z': every cell must be hashable .*, got evil"):
        FieldEncoder().fit(frame).transform(frame.assign(z=[evil() for _ in range(n_rows)]))


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame({"z": [[[1]], [[2]]]}),
        pl.DataFrame({"z": [{"q": 1}, {"q": 2}]}),
        pl.DataFrame({"z": pl.Series([[[1]], [[2]]], dtype=pl.Array(pl.Array(pl.Int64, 1), 1))}),
        pa.table({"z": [[[1]], [[2]]]}),
        pd.DataFrame({"z": pd.array([[[1]]], dtype=pd.ArrowDtype(pa.list_(pa.list_(pa.int64()))))}),
        pd.DataFrame({"z": [[[1]], [[2]]]}),
    ],
    ids=["polars list", "polars struct", "polars array", "pyarrow", "ArrowDtype", "objects"],
)
def test_nested_cells_name_their_field(frame):
    message = "Field 'z': (every cell must be hashable|the values in a cell of several values must)"
    with pytest.raises(TypeError, match=message):
        FieldEncoder().fit(frame)


def test_a_column_that_its_library_cannot_give_names_its_field(monkeypatch):
    def fail(*_):
        raise NotImplementedError("no kernel\nfor this")

    monkeypatch.setattr("sparsectr.encoding.columns.from_arrow", fail)
    with pytest.raises(TypeError, match=r"Field 'a': .* cannot be read \(no kernel\); turn it"):
        FieldEncoder().fit(TABLE)
