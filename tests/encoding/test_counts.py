"""Counts over chunks of rows."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsectr.encoding.counts import ValueCounts


def counts_of(cells, dtype, kind="other"):
    counter = Counter(cells)
    values = np.array(list(counter), dtype=dtype)
    return ValueCounts(values, np.array(list(counter.values()), dtype=np.int64), kind)


@given(st.lists(st.integers(-3, 3)), st.lists(st.integers(-3, 3)))
@pytest.mark.parametrize("dtypes", [(np.int64, np.int64), (object, np.int64), (np.float64, object)])
def test_counts_of_chunks_add_up(dtypes, first, second):
    merged = counts_of(first, dtypes[0]).merge(counts_of(second, dtypes[1]))
    assert dict(zip(merged.values.tolist(), merged.counts.tolist(), strict=True)) == Counter(
        first + second
    )


@pytest.mark.parametrize(
    ("first", "second", "merged"),
    [
        ("integer", "integer", "integer"),
        ("integer", "float", "float"),
        ("float", "other", "other"),
        ("other", "integer", "other"),
    ],
)
def test_the_kind_is_that_of_all_chunks_together(first, second, merged):
    assert counts_of([1], np.int64, first).merge(counts_of([1], np.int64, second)).kind == merged
    assert counts_of([1], np.int64, second).merge(counts_of([1], np.int64, first)).kind == merged


@pytest.mark.parametrize(
    ("first", "second", "dtype"),
    [
        (np.array([1]), np.array([1.5]), np.float64),
        (np.array([2**53 + 1]), np.array([1.5]), object),
        (np.array([1]), np.array([2**64 - 1], dtype=np.uint64), object),
        (np.array([True]), np.array([2]), object),
        (np.array(["2020"], dtype="M8[s]"), np.array(["2021"], dtype="M8[us]"), "M8[us]"),
        (np.array([], dtype=object), np.array([2]), np.int64),
    ],
)
def test_chunks_of_different_dtypes_keep_their_values(first, second, dtype):
    one, two = (ValueCounts(v, np.ones(len(v), dtype=np.int64), "other") for v in (first, second))
    merged = one.merge(two)
    assert merged.values.dtype == dtype
    if dtype is object:
        assert merged.values.tolist() == [*first.tolist(), *second.tolist()]


def test_merging_leaves_both_sides_alone():
    one, two = counts_of("aab", object), counts_of("bc", object)
    one.merge(two)
    assert (one.counts.tolist(), two.counts.tolist()) == ([2, 1], [1, 1])


@pytest.mark.parametrize("kind", ["M", "m"])
def test_times_of_different_units_never_wrap_around(kind):
    """9999-12-31, an open end in many databases, does not fit into nanoseconds."""
    near = np.array([1_704_067_200 * 10**9], "i8").view(f"{kind}8[ns]")
    far = np.array([253_402_214_400 * 10**6], "i8").view(f"{kind}8[us]")
    for one, two in ((near, far), (far, near)):
        merged = ValueCounts(one, np.array([1]), "other").merge(
            ValueCounts(two, np.array([1]), "other")
        )
        seconds = merged.values.astype(f"{kind}8[s]").view("i8").tolist()
        assert sorted(seconds) == [1_704_067_200, 253_402_214_400]


def test_times_that_share_no_unit_become_objects():
    near, far = np.array([1], "M8[ns]"), np.array(["9999-12-31"], "M8[us]")
    counts = [ValueCounts(values, np.array([1]), "other") for values in (near, far)]
    merged = counts[0].merge(counts[1]).merge(counts[0])
    assert merged.values.tolist() == [pd.Timestamp(1), pd.Timestamp("9999-12-31")]
    assert merged.counts.tolist() == [2, 1]
