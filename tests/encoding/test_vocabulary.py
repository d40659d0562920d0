"""Vocabularies: the order of codes, equality of values, lookup."""

import pickle
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsectr.encoding.vocabulary import (
    MISSING,
    N_RESERVED,
    Vocabulary,
    learn_vocabulary,
    most_frequent,
)

VALUES = st.one_of(st.integers(-5, 5), st.text("ab", max_size=2), st.booleans(), st.floats(-2, 2))


def objects(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


@given(st.lists(VALUES), st.integers(1, 4), st.one_of(st.none(), st.integers(1, 4)))
def test_codes_fall_with_frequency(cells, min_count, max_categories):
    counter = Counter(cells)
    values, counts = objects(list(counter)), np.array(list(counter.values()), dtype=np.int64)
    kept = most_frequent(values, counts, min_count, max_categories)
    assert np.all(np.diff(counts[kept]) <= 0)
    assert len(set(kept.tolist())) == len(kept)
    frequent = sorted((c for c in counts.tolist() if c >= min_count), reverse=True)
    assert counts[kept].tolist() == frequent[:max_categories]


@given(st.lists(VALUES, unique=True), st.randoms())
def test_ties_do_not_depend_on_the_order_of_the_values(values, random):
    counts = np.ones(len(values), dtype=np.int64)
    shuffled = values.copy()
    random.shuffle(shuffled)
    first = objects(values)[most_frequent(objects(values), counts, 1, None)]
    second = objects(shuffled)[most_frequent(objects(shuffled), counts, 1, None)]
    assert first.tolist() == second.tolist()


def test_ties_rise_numbers_before_strings_before_the_rest():
    values = objects(["b", (1,), 10, "a", 9.5, True])
    kept = most_frequent(values, np.ones(6, dtype=np.int64), 1, None)
    assert values[kept].tolist() == [True, 9.5, 10, "a", "b", (1,)]


@given(st.lists(VALUES, unique=True), st.integers(0, 3))
def test_learning_gives_the_codes_that_a_look_up_gives(values, min_count):
    counts = np.arange(len(values), dtype=np.int64)
    vocabulary, codes = learn_vocabulary(objects(values), counts, min_count, None)
    np.testing.assert_array_equal(codes, vocabulary.codes(objects(values)))
    assert vocabulary.size == N_RESERVED + len(vocabulary.values)


@given(st.lists(VALUES, unique=True), st.lists(VALUES))
def test_look_up_is_a_dict(values, wanted):
    positions = {value: code for code, value in enumerate(values, start=N_RESERVED)}
    codes = Vocabulary(objects(values)).codes(objects(wanted))
    assert codes.dtype == np.int32
    assert codes.tolist() == [positions.get(value, 0) for value in wanted]


BIG = 2**53


@pytest.mark.parametrize(
    ("values", "wanted", "codes"),
    [
        (np.array([1, 2]), np.array([2.0, 2.5]), [3, 0]),
        (np.array([1, 2]), objects(["1", 2, True]), [0, 3, 2]),
        (np.array([BIG, BIG + 1]), np.array([float(BIG)]), [2]),
        (np.array([BIG + 1]), np.array([float(BIG)]), [0]),
        (np.array([2**63 + 1], dtype=np.uint64), np.array([-(2**63) + 1]), [0]),
        (np.array([2**63 + 1, 5], dtype=np.uint64), np.array([5]), [3]),
        (np.array([False, True]), np.array([1, 0, 2]), [3, 2, 0]),
        (np.array(["2020-01-01"], dtype="M8[s]"), np.array(["2020-01-01"], dtype="M8[ns]"), [2]),
        (np.array(["2020-01-01"], dtype="M8[s]"), objects([pd.Timestamp("2020-01-01")]), [2]),
        (np.array(["2020-01-01"], dtype="M8[us]"), np.array([1577836800000000]), [0]),
        (objects([(1, 2), (1,)]), objects([(1,), (2,)]), [3, 0]),
    ],
)
def test_values_are_equal_when_python_says_so(values, wanted, codes):
    assert Vocabulary(values).codes(wanted).tolist() == codes


def test_the_hash_table_is_not_pickled():
    vocabulary = Vocabulary(np.arange(1000))
    before = len(pickle.dumps(vocabulary))
    vocabulary.codes(np.arange(5))
    assert len(pickle.dumps(vocabulary)) == before
    assert pickle.loads(pickle.dumps(vocabulary)).codes(np.arange(5)).tolist() == [2, 3, 4, 5, 6]


@given(
    st.lists(st.text("aü\0", max_size=2), unique=True, max_size=3),
    st.lists(st.one_of(st.none(), st.text("aü\0", max_size=2)), min_size=3),
)
def test_arrow_strings_have_the_codes_of_objects(values, wanted):
    pa = pytest.importorskip("pyarrow")
    expected = np.full(len(wanted), MISSING)
    present = [cell is not None for cell in wanted]
    cells = objects([cell for cell in wanted if cell is not None])
    vocabulary = Vocabulary(objects(values))
    expected[present] = vocabulary.codes(cells)
    for strings in (
        pa.array(wanted, pa.string()),
        pa.chunked_array([wanted[:1], wanted[1:]], pa.string()),
    ):
        codes = vocabulary.codes_of_arrow(strings.cast(pa.large_string()))
        if values:
            assert codes.dtype == np.int32
            assert codes.tolist() == expected.tolist()
        else:
            assert codes is None


@pytest.mark.parametrize("values", [[1], ["a", 1], ["\ud800"], ["a", "b", "c"]])
def test_arrow_strings_go_another_way(values):
    pa = pytest.importorskip("pyarrow")
    assert Vocabulary(objects(values)).codes_of_arrow(pa.array(["a", "b"])) is None
