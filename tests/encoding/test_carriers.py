"""The same values have the same codes whatever carries them: frames, arrays, rows, chunks."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from sparsectr.encoding.field_encoder import FieldEncoder

pa = pytest.importorskip("pyarrow")
compute = pytest.importorskip("pyarrow.compute")

UTC = dt.UTC
NEAR = (dt.datetime(1700, 1, 1), dt.datetime(2250, 1, 1))  # what nanoseconds reach
SPAN = dt.timedelta(days=90_000)
VALUES = {
    "strings": st.text("abü", max_size=2),
    "integers": st.integers(-2, 3) | st.integers(2**62, 2**62 + 3),
    "floats": st.floats(allow_nan=False, width=32) | st.integers(-2, 3).map(float),
    "booleans": st.booleans(),
    "dates": st.dates() | st.dates(dt.date(2024, 2, 27), dt.date(2024, 3, 2)),
    "times": st.datetimes() | st.dates().map(lambda day: dt.datetime(day.year, day.month, day.day)),
    "near times": st.datetimes(*NEAR),
    "instants": st.datetimes(*NEAR, timezones=st.just(UTC)),
    "durations": st.timedeltas(-SPAN, SPAN) | st.integers(-3, 3).map(dt.timedelta),
}
ARROW = {
    "strings": [pa.string(), pa.large_string(), pa.string_view()],
    "integers": [pa.int64()],
    "floats": [pa.float64(), pa.float32()],
    "booleans": [pa.bool_()],
    "dates": [pa.date32(), pa.date64(), pa.timestamp("s"), pa.timestamp("us")],
    "times": [pa.timestamp("us")],
    "near times": [pa.timestamp("us"), pa.timestamp("ns")],
    "instants": [pa.timestamp("us", "UTC"), pa.timestamp("ns", "Europe/Oslo")],
    "durations": [pa.duration("us"), pa.duration("ns")],
}
PANDAS = {
    "strings": ["string[python]", "string[pyarrow]", "category"],
    "integers": ["Int64", "category"],
    "floats": ["float64", "Float64", "float32"],
    "booleans": ["boolean", "category"],
    "dates": ["M8[s]", "M8[us]", "category"],
    "times": ["M8[us]", "category"],
    "near times": ["M8[us]", "M8[ns]"],
    "instants": [pd.DatetimeTZDtype("us", "UTC"), pd.DatetimeTZDtype("ns", "Asia/Tokyo")],
    "durations": ["m8[us]", "m8[ns]", "category"],
}
POLARS = {
    "strings": [pl.String, pl.Categorical],
    "integers": [pl.Int64, pl.Int128],
    "floats": [pl.Float64, pl.Float32],
    "booleans": [pl.Boolean],
    "dates": [pl.Date, pl.Datetime("ms"), pl.Datetime("us")],
    "times": [pl.Datetime("us")],
    "near times": [pl.Datetime("us"), pl.Datetime("ns")],
    "instants": [pl.Datetime("us", "UTC"), pl.Datetime("ns", "America/Lima")],
    "durations": [pl.Duration("us"), pl.Duration("ns")],
}


def columns_of(draw, sort):
    """Draw cells that come again and again, some missing."""
    pool = draw(st.lists(VALUES[sort], min_size=1, max_size=6))
    return draw(st.lists(st.none() | st.sampled_from(pool), min_size=2, max_size=24))


def arrow_array(cells, kind):
    if pa.types.is_timestamp(kind):  # not made of dates
        return pa.array(cells).cast(kind)
    return pa.array(cells, kind)


def carry(cells, sort):
    """Put one column of cells into every container, by name."""
    objects = np.empty((len(cells), 1), dtype=object)
    objects[:, 0] = cells
    column = pd.Series(objects[:, 0], dtype=object)
    found = {"rows": [[cell] for cell in cells], "tuples": [(cell,) for cell in cells]}
    found |= {"array of objects": objects, "objects": column.to_frame("a")}
    for dtype in PANDAS[sort]:
        found[f"pandas {dtype}"] = column.astype(dtype).to_frame("a")
    for kind in ARROW[sort]:
        chunks = [arrow_array(part, kind) for part in (cells[:1], cells[1:])]
        array = pa.chunked_array(chunks)
        nulls = "mask" if kind == pa.string_view() else "encode"  # pyarrow turns its nulls into ""
        encoded = pa.chunked_array([chunk.dictionary_encode(nulls) for chunk in chunks])
        found[f"Arrow {kind}"] = pa.table({"a": array})
        found[f"Arrow dictionary of {kind}"] = pa.table({"a": encoded})
        found[f"batch of {kind}"] = pa.record_batch({"a": arrow_array(cells, kind)})
        for name, wrapped in ((str(kind), array), (f"dictionary of {kind}", encoded)):
            cells_of_pandas = pd.array(wrapped, dtype=pd.ArrowDtype(wrapped.type))
            found[f"pandas {name}[pyarrow]"] = pd.DataFrame({"a": cells_of_pandas})
    for dtype in POLARS[sort]:
        found[f"polars {dtype}"] = pl.DataFrame({"a": pl.Series(cells).cast(dtype)})
    return found


SAME_NAMES = pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")


@SAME_NAMES
@pytest.mark.parametrize("sort", VALUES)
@pytest.mark.parametrize("hash_buckets", [None, 1000])
@given(st.data())
@settings(max_examples=10)
def test_every_container_gives_the_same_codes(sort, hash_buckets, data):
    cells = columns_of(data.draw, sort)
    tables = carry(cells, sort)
    encoder = FieldEncoder(numeric="category", hash_buckets=hash_buckets)
    expected = encoder.fit_transform(tables[data.draw(st.sampled_from(list(tables)))]).tolist()
    for name, table in tables.items():
        assert encoder.transform(table).tolist() == expected, name
        assert clone(encoder).fit_transform(table).tolist() == expected, name


@SAME_NAMES
@pytest.mark.parametrize("sort", VALUES)
@given(st.data())
@settings(max_examples=10)
def test_chunks_of_any_containers_learn_what_the_whole_does(sort, data):
    cells = columns_of(data.draw, sort)
    cut = data.draw(st.integers(1, len(cells) - 1))
    first, second = carry(cells[:cut], sort), carry(cells[cut:], sort)
    whole = FieldEncoder(numeric="category").fit(carry(cells, sort)["rows"])
    one, two = (data.draw(st.sampled_from(list(tables))) for tables in (first, second))
    chunked = FieldEncoder(numeric="category").partial_fit(first[one]).partial_fit(second[two])
    assert chunked.vocabularies_[0].tolist() == whole.vocabularies_[0].tolist(), (one, two)


@pytest.mark.parametrize("sort", VALUES)
@given(st.data())
@settings(max_examples=10)
def test_chunks_of_one_container_learn_its_whole_bit_for_bit(sort, data):
    cells = columns_of(data.draw, sort)
    cut = data.draw(st.integers(1, len(cells) - 1))
    first, second, tables = (carry(part, sort) for part in (cells[:cut], cells[cut:], cells))
    name = data.draw(st.sampled_from(list(tables)))
    chunked = FieldEncoder().partial_fit(first[name]).partial_fit(second[name])
    (found,), (expected,) = chunked.vocabularies_, FieldEncoder().fit(tables[name]).vocabularies_
    assert found.dtype == expected.dtype
    assert found.tolist() == expected.tolist()
