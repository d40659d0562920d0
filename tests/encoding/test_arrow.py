"""Arrow's columns: nulls wherever they hide, exact numbers, every type."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from sparsectr.encoding.arrow import from_arrow
from sparsectr.encoding.columns import read_column
from sparsectr.encoding.field_encoder import FieldEncoder

pa = pytest.importorskip("pyarrow")
compute = pytest.importorskip("pyarrow.compute")


def cells_of(*chunks):
    """Read chunks of a column, and put the cells together again; None where missing."""
    column = read_column(from_arrow(pa.chunked_array(chunks)))
    assert len(set(column.values.tolist())) == len(column.values)
    values = column.values.tolist()
    return [None if p < 0 else values[p] for p in column.positions.tolist()]


def dictionary(indices, values):
    return pa.DictionaryArray.from_arrays(pa.array(indices, pa.int8()), values)


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["a", "b", None]),
        pa.array(["a", "b", None], pa.large_string()),
        pa.array([b"a", b"b", None]),
        pa.array([2**53, 2**53 + 1, None]),
        pa.array([True, False, None]),
        pa.array([0.5, 1.5, None]),
        pa.array([Decimal("0.5"), Decimal("1.5"), None]),
    ],
    ids=lambda values: str(values.type),
)
def test_a_null_in_a_dictionary_is_missing(values):
    a, b, _ = values.to_pylist()
    one = dictionary([0, 2, None, 1], values)
    other = dictionary([1, 0, 2, None], pa.concat_arrays([values[1:2], values[:1], values[2:]]))
    expected = [a, None, None, b]
    assert cells_of(one) == expected
    assert cells_of(one, one[:0], other) == [*expected, a, b, None, None]
    assert cells_of(one, one) == expected * 2


def test_equal_values_of_a_dictionary_are_one():
    assert cells_of(dictionary([0, 1, 2, None], pa.array(["a", "b", "a"]))) == ["a", "b", "a", None]
    zeros = dictionary([0, 1, 2], pa.array([0.0, -0.0, float("nan")]))
    assert cells_of(zeros) == [0.0, 0.0, None]


def test_a_dictionary_without_rows_or_values():
    empty = pa.array([], pa.dictionary(pa.int32(), pa.string()))
    assert len(from_arrow(pa.chunked_array([], empty.type))) == 0
    assert cells_of(dictionary([None, None], pa.array([], pa.string()))) == [None, None]


def test_a_dictionary_is_a_category_whatever_it_holds():
    cells = from_arrow(pa.chunked_array([dictionary([0, 1], pa.array([0.5, 1.5]))]))
    assert read_column(cells).kind == "other"


@pytest.mark.parametrize("n_rows", [2, 40])
def test_a_dictionary_of_nanoseconds_in_a_few_rows_or_many(n_rows):
    stamps = pa.array([dt.datetime(2024, 1, 1)] * n_rows).cast(pa.timestamp("ns"))
    array = stamps.dictionary_encode()
    frame = pd.DataFrame({"a": pd.array(array, dtype=pd.ArrowDtype(array.type))})
    encoder = FieldEncoder().fit(pd.DataFrame({"a": [dt.date(2024, 1, 1)]}))
    assert encoder.transform(frame).ravel().tolist() == [2] * n_rows


@pytest.mark.parametrize(
    "cells", [["a", "a", None, "b"], [1, 1, None, 2**62 + 1], [dt.date(2024, 1, 1), None]]
)
def test_runs_are_their_cells(cells):
    encoded = compute.run_end_encode(pa.array(cells))
    expected = cells_of(pa.array(cells))
    assert cells_of(encoded) == expected
    assert cells_of(encoded, encoded) == expected * 2


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_strings_of_every_layout(kind):
    assert cells_of(pa.array(["a", None, "ü" * 40, ""], kind)) == ["a", None, "ü" * 40, ""]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([1, None, -1], pa.int8()),
        ([2**64 - 1, None], pa.uint64()),
        ([2**53 + 1, None], pa.int64()),
        ([True, None], pa.bool_()),
        ([b"a", None], pa.binary()),
        ([b"ab", None], pa.binary(2)),
        ([dt.time(1), None], pa.time64("us")),
        ([Decimal("1.50"), None], pa.decimal128(10, 2)),
        ([None, None], pa.null()),
    ],
    ids=str,
)
def test_cells_stay_exact(cells, kind):
    assert cells_of(pa.array(cells, kind)) == cells


def test_a_null_and_nan_are_missing_among_floats():
    assert cells_of(pa.array([0.5, None, float("nan")])) == [0.5, None, None]
    assert cells_of(pa.array(np.array([0.5, 2], "f2"))) == [0.5, 2]


def test_extension_types_are_what_pandas_knows_or_their_storage():
    periods = pd.period_range("2024-01", periods=2, freq="M")
    table = pa.table({"a": pd.Series(periods)})
    assert cells_of(*table["a"].chunks) == list(periods)

    class Label(pa.ExtensionType):
        def __init__(self):
            super().__init__(pa.string(), "sparsectr.label")

        def __arrow_ext_serialize__(self):
            return b""

        @classmethod
        def __arrow_ext_deserialize__(cls, storage_type, serialized):
            return cls()

    labels = pa.ExtensionArray.from_storage(Label(), pa.array(["a", None]))
    assert cells_of(labels) == ["a", None]


@pytest.mark.parametrize(
    "cells",
    [
        pa.array([[1], [2]]),
        pa.array([{"q": 1}, {"q": 2}]),
        pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
    ],
    ids=lambda cells: str(cells.type),
)
def test_cells_that_hold_several_values_cannot_be_hashed(cells):
    with pytest.raises(TypeError, match="every cell must be hashable"):
        cells_of(cells)
    assert cells_of(pa.nulls(2, cells.type)) == [None, None]
