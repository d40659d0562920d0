"""Dates, times and durations: one value whatever carries it, exact in every unit."""

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsectr.encoding.times import UNITS, in_one_unit, plain_times, time_objects, unify_times

SECOND = 10**9
NANOSECONDS = {
    "W": 7 * 86_400 * SECOND,
    "D": 86_400 * SECOND,
    "h": 3_600 * SECOND,
    "m": 60 * SECOND,
    "s": SECOND,
    "ms": 10**6,
    "us": 10**3,
    "ns": 1,
}
# Counts of a unit, of every size; NaT is -2**63.
COUNTS = st.integers(0, 62).flatmap(lambda bits: st.integers(-(2**bits), 2**bits))
TIMES = st.tuples(st.lists(COUNTS, min_size=1, max_size=4), st.sampled_from(list(NANOSECONDS)))


def nanoseconds(values):
    """Return exact Python integers."""
    return [n * NANOSECONDS[np.datetime_data(values.dtype)[0]] for n in values.view("i8").tolist()]


@given(st.lists(TIMES, min_size=1, max_size=3), st.sampled_from("mM"))
def test_arrays_get_the_first_unit_in_which_all_are_exact(parts, kind):
    arrays = [np.array(counts, "i8").view(f"{kind}8[{unit}]") for counts, unit in parts]
    exact = [n for values in arrays for n in nanoseconds(values)]
    fitting = [
        unit
        for unit in UNITS
        if all(n % NANOSECONDS[unit] == 0 and abs(n // NANOSECONDS[unit]) < 2**63 for n in exact)
    ]
    found = in_one_unit(*arrays)
    if found is None:
        assert not fitting
    else:
        assert {values.dtype for values in found} == {np.dtype(f"{kind}8[{fitting[0]}]")}
        assert [n for values in found for n in nanoseconds(values)] == exact


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1), st.sampled_from(UNITS))
def test_equal_times_become_equal_objects_with_equal_hashes(counts, unit):
    values = np.array(counts, "i8").view(f"M8[{unit}]")
    objects = time_objects(values)
    assert all(stamp.to_numpy() == value for stamp, value in zip(objects, values, strict=True))
    plain = in_one_unit(values)[0]
    assert list(map(hash, time_objects(plain))) == list(map(hash, objects))
    assert list(objects) == list(time_objects(plain))


@pytest.mark.parametrize(
    "values",
    [
        np.array([1], "m8[M]"),
        np.array([1], "m8[Y]"),
        np.array([1], "m8"),
        np.array([1], "M8[ps]"),
        np.array([2**61], "M8[Y]"),
        np.array([2**61], "M8[D]"),
    ],
)
def test_times_without_an_exact_unit_are_refused(values):
    with pytest.raises(ValueError, match=r"must be exact in s, ms, us or ns, got \w+64"):
        plain_times(values)


def test_no_times_at_all_have_a_unit():
    assert plain_times(np.array([], "M8")).dtype == "M8[us]"


def test_months_and_years_are_dates():
    assert plain_times(np.array(["2020-03"], "M8[M]")).tolist() == [dt.datetime(2020, 3, 1)]
    assert plain_times(np.array(["2020"], "M8[Y]")).tolist() == [dt.datetime(2020, 1, 1)]


def objects(*cells):
    array = np.empty(len(cells), dtype=object)
    array[:] = cells
    return array


MIDNIGHT = np.datetime64("2024-02-29", "us")


@pytest.mark.parametrize(
    "cell",
    [
        dt.date(2024, 2, 29),
        dt.datetime(2024, 2, 29),
        pd.Timestamp("2024-02-29"),
        pd.Timestamp("2024-02-29").as_unit("ns"),
        pd.Timestamp("2024-02-29").as_unit("s"),
        np.datetime64("2024-02-29", "D"),
        np.datetime64("2024-02-29", "ns"),
    ],
)
def test_a_day_is_its_midnight(cell):
    values = unify_times(objects(cell))
    assert values.dtype == "M8[us]"
    assert values[0] == MIDNIGHT


@pytest.mark.parametrize(
    "cell",
    [
        dt.timedelta(1),
        pd.Timedelta(1, "D"),
        pd.Timedelta(1, "D").as_unit("s"),
        np.timedelta64(1, "D"),
        np.timedelta64(86_400 * 10**9, "ns"),
    ],
)
def test_a_duration_is_its_length(cell):
    values = unify_times(objects(cell))
    assert values.dtype == "m8[us]"
    assert values[0] == np.timedelta64(1, "D")


def test_the_ends_of_every_type():
    ends = objects(dt.date.min, dt.datetime.max, np.datetime64("9999-12-31", "D"))
    assert unify_times(ends).tolist() == [
        dt.datetime.min,
        dt.datetime.max,
        dt.datetime(9999, 12, 31),
    ]
    (longest,) = unify_times(objects(dt.timedelta(days=-999_999_999)))
    assert longest == np.timedelta64(-999_999_999, "D")
    too_long = objects(dt.timedelta.max)  # in microseconds, beyond 64 bits
    assert unify_times(too_long).tolist() == [dt.timedelta.max]


def test_instants_with_a_zone_are_equal_whatever_the_zone():
    oslo = ZoneInfo("Europe/Oslo")
    instant = pd.Timestamp("2020-10-25 01:30", tz="UTC")  # an hour that Oslo has twice
    same = objects(
        instant,
        instant.tz_convert("Europe/Oslo"),
        dt.datetime(2020, 10, 25, 2, 30, fold=1, tzinfo=oslo),
        instant.to_pydatetime(),
    )
    assert len(set(unify_times(same))) == 1
    naive_and_aware = unify_times(objects(pd.Timestamp("2020-10-25 01:30"), instant))
    assert len(set(naive_and_aware)) == 2


def test_times_beside_other_values_stay_apart_from_them():
    cells = objects("2024-02-29", dt.date(2024, 2, 29), 5, dt.timedelta(1), dt.time(1))
    assert unify_times(cells).tolist() == [
        "2024-02-29",
        pd.Timestamp("2024-02-29"),
        5,
        pd.Timedelta(1, "D"),
        dt.time(1),
    ]
    timeless = objects("a", (1, 2), pd.Period("2024-02-29", "D"))
    assert unify_times(timeless) is timeless
