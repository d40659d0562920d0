"""Values in files."""

import copy
import io
import pickle
import zipfile

import numpy as np
import pytest
import skops.io
from hypothesis import given
from hypothesis import strategies as st

from sparsectr.encoding.counts import ValueCounts
from sparsectr.encoding.packing import pack, unpack
from sparsectr.encoding.vocabulary import Vocabulary

# All code points, lone surrogates and NUL among them.
STRINGS = st.text(st.characters(exclude_categories=()), max_size=8)


def objects(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def through_skops(thing):
    data = skops.io.dumps(thing)
    return skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))


@given(st.lists(STRINGS))
def test_strings_come_back(strings):
    again = unpack(pack(objects(strings)))
    assert again.dtype == object
    assert again.tolist() == strings
    assert {type(value) for value in again} <= {str}


ASCII = st.text(st.characters(codec="ascii", exclude_characters="\n"), max_size=4)


@given(st.lists(ASCII, min_size=1), st.booleans())
def test_ascii_comes_back(strings, is_broken):
    strings = [*strings, "a\nb"] if is_broken else strings
    assert unpack(pack(objects(strings))).tolist() == strings


def test_skops_packs_once(monkeypatch):
    packed = []
    monkeypatch.setattr(
        "sparsectr.encoding.vocabulary.pack", lambda values: packed.append(1) or pack(values)
    )
    vocabulary = Vocabulary(objects(["a", "b"]))
    for trip in (through_skops, lambda v: pickle.loads(pickle.dumps(v)), copy.deepcopy):
        packed.clear()
        assert trip(vocabulary).values.tolist() == ["a", "b"]
        assert len(packed) == 1


HARD = ["", "\0", "a\0", "\0\0b", "\ud83d", "\ude00", "\ud83d\ude00"]
HARD += ["😀", "e\u0301", "é", "x" * 300]


@pytest.mark.parametrize("trip", [through_skops, lambda v: pickle.loads(pickle.dumps(v))])
def test_hard_strings_in_files(trip):
    values = objects(HARD)
    vocabulary = trip(Vocabulary(values))
    assert vocabulary.values.tolist() == HARD
    assert vocabulary.codes(values).tolist() == list(range(2, 2 + len(HARD)))
    counts = trip(ValueCounts(values, np.arange(len(HARD)), "other"))
    assert counts.values.tolist() == HARD
    assert counts.counts.tolist() == list(range(len(HARD)))
    assert counts.kind == "other"


class Name(str):
    """A string with more to it."""


@pytest.mark.parametrize(
    "values",
    [
        objects(["a", 1, None]),
        objects(["a", Name("b")]),
        objects([np.str_("a")]),
        objects([b"a", b"b"]),
        objects([]),
        np.array([1, 2**63 - 1]),
        np.array([0.1, np.inf]),
        np.array(["2020-01-01"], dtype="M8[us]"),
        np.array([True, False]),
    ],
)
def test_other_values_are_kept_as_they_are(values):
    assert pack(values)["values"] is values
    assert unpack(pack(values)) is values


def test_a_file_is_hardly_larger_than_the_text():
    values = objects([f"{i:08}" for i in range(50_000)])
    for dump in (skops.io.dumps, pickle.dumps):
        assert len(dump(Vocabulary(values))) < 9 * 50_000 + 4000
    # As few parts as a vocabulary of numbers has: not one for each string.
    stored, numbers = (skops.io.dumps(Vocabulary(v)) for v in (values, np.arange(9)))
    assert len(names_in(stored)) <= len(names_in(numbers)) + 1


def names_in(data):
    return zipfile.ZipFile(io.BytesIO(data)).namelist()
