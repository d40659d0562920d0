"""Vocabularies that grow: old codes stay, and new ones are those of all rows so far."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsectr import FieldEncoder

# Of one kind or of several.
CELLS = st.one_of(
    st.sampled_from(["a", "b", "c", "d"]), st.integers(0, 4), st.just(None), st.booleans()
)
CHUNKS = st.lists(st.lists(CELLS, min_size=1, max_size=12), min_size=1, max_size=4)


def frame(cells):
    return pd.DataFrame({"f": pd.Series(cells, dtype=object)})


def grow_over(chunks, **parameters):
    """Return the encoders after each chunk of cells."""
    parameters = {"numeric_features": [], "new_values": "grow"} | parameters
    encoders = [FieldEncoder(**parameters).fit(frame(chunks[0]))]
    for cells in chunks[1:]:
        encoders.append(encoders[-1]._grow(frame(cells)))
    return encoders


@settings(max_examples=60, deadline=None)
@given(CHUNKS, st.sampled_from([1, 2, 3, 0.3]))
def test_values_are_those_that_were_frequent_by_some_chunk_and_codes_stay(chunks, least):
    encoders = grow_over(chunks, min_frequency=least)
    known = set()
    for n, encoder in enumerate(encoders, start=1):
        cells = [cell for chunk in chunks[:n] for cell in chunk]
        limit = least * len(cells) if least < 1 else least
        known |= {c for c in cells if c is not None and cells.count(c) >= limit}
        values = encoder.vocabularies_[0]
        assert set(values.tolist()) == known
        assert len(values) == len(known)
        before = encoders[max(n - 2, 0)].vocabularies_[0].tolist()
        assert values.tolist()[: len(before)] == before
        assert encoder.vocabulary_sizes_.tolist() == [len(known) + 2]


def test_new_codes_are_by_falling_frequency():
    _, grown = grow_over([["a"], ["c", "b", "b", "d", "a", "d", "e"]])
    assert grown.vocabularies_[0].tolist() == ["a", "b", "d", "c", "e"]


def test_no_more_than_the_most_categories():
    encoders = grow_over([["a", "a", "b"], ["b", "b", "c"], ["c", "d"]], max_categories=2)
    assert [e.vocabularies_[0].tolist() for e in encoders] == [["a", "b"]] * 3
    first, second = grow_over([["a"], ["b", "c", "c"]], max_categories=2)
    assert second.vocabularies_[0].tolist() == ["a", "c"]
    assert first.vocabularies_[0].tolist() == ["a"]


def test_bins_and_buckets_stay_and_exact_numbers_grow():
    rng = np.random.default_rng(0)
    numbers = np.repeat(np.arange(100.0), 4)
    table = pd.DataFrame({"x": numbers, "h": rng.integers(0, 9, 400).astype(str)})
    encoder = FieldEncoder(numeric_columns="several", hash_buckets={"h": 5}, new_values="grow").fit(
        table
    )
    assert encoder.code_fields_.tolist() == [0, 0, 0, 1]
    more = pd.DataFrame({"x": [200.0] * 3 + [300.0] * 2, "h": ["new"] * 5})
    grown = encoder._grow(more)
    assert (grown.vocabulary_sizes_ - encoder.vocabulary_sizes_).tolist() == [0, 0, 1, 0]
    codes = grown.transform(more)
    assert codes[:, 2].tolist() == [102, 102, 102, 0, 0]
    assert np.array_equal(codes[:, [0, 1, 3]], encoder.transform(more)[:, [0, 1, 3]])
    assert grown._grow(more[3:]).transform(more)[:, 2].tolist() == [102, 102, 102, 103, 103]


def test_an_encoder_that_may_grow_encodes_as_another_and_stays_after_pickling():
    chunks = [["a", "a", "b", None], ["b", "c"], ["c", "c"]]
    plain = FieldEncoder(min_frequency=2).fit(frame(chunks[0]))
    encoders = grow_over(chunks, min_frequency=2)
    cells = frame(["a", "b", "c", None])
    assert np.array_equal(encoders[0].transform(cells), plain.transform(cells))
    again = pickle.loads(pickle.dumps(encoders[0]))._grow(frame(chunks[1]))
    assert again.vocabularies_[0].tolist() == ["a", "b"]
    assert [e.transform(cells).ravel().tolist() for e in encoders] == [
        [2, 0, 0, 1],
        [2, 3, 0, 1],
        [2, 3, 4, 1],
    ]
    state = encoders[0].__getstate__()
    with pytest.raises(ValueError, match="rare values"):
        FieldEncoder().__setstate__(state | {"_rare": [[None, None]]})


def test_one_value_of_several_types_and_times_of_several_units():
    _, grown = grow_over([[1, 2], [1.0, True, 2.5, "1"]])
    assert grown.vocabularies_[0].tolist() == [1, 2, 2.5, "1"]
    days = pd.DataFrame({"d": np.array(["2020-01-01"], "datetime64[s]")})
    later = pd.DataFrame({"d": np.array(["2020-01-01", "2020-01-02"], "datetime64[ns]")})
    encoder = FieldEncoder(new_values="grow").fit(days)._grow(later)
    assert encoder.transform(later).ravel().tolist() == [2, 3]
    assert encoder.transform(days).ravel().tolist() == [2]


def test_the_parameter_is_checked():
    with pytest.raises(ValueError, match="new_values must be one of"):
        FieldEncoder(new_values="more").fit(frame(["a"]))
