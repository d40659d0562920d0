"""Fields of several values: sets of values as codes."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import skops.io
from hypothesis import given
from hypothesis import strategies as st

from sparsectr.encoding.bags import gather_bags
from sparsectr.encoding.code_folder import digest_fields
from sparsectr.encoding.code_table import CodeTable
from sparsectr.encoding.field_encoder import FieldEncoder
from sparsectr.encoding.vocabulary import MISSING, UNKNOWN
from sparsectr.stored_state import trusted_types

CELLS = st.one_of(st.none(), st.lists(st.sampled_from([*"abcde", None]), max_size=4))
LISTS = st.lists(CELLS, min_size=1, max_size=30).filter(lambda cells: any(c for c in cells))
GENRES = ["a|b", "b", "b|a", "", "c|b|a", None, "a|a", "a"]


def as_frame(cells):
    column = np.empty(len(cells), dtype=object)
    column[:] = cells
    return pd.DataFrame({"tags": column})


def values_of(encoder, codes, new):
    """Return for every code of the only column the sorted codes of its values."""
    rows = [gather_bags(encoder._columns()), new.rows()]
    sets = {}
    for bags in rows:
        for row, start, stop in zip(bags.rows, bags.starts, bags.starts[1:], strict=False):
            sets[row] = bags.values[start:stop].tolist()
    return [sets.get(code, [code]) for code in codes.tolist()]


@given(train=LISTS, later=LISTS, least=st.sampled_from([1, 2]))
def test_codes_stand_for_the_values_of_a_cell_in_any_order(train, later, least):
    encoder = FieldEncoder(min_frequency=least, multi_valued=["tags"]).fit(as_frame(train))
    counts = pd.Series([v for cell in train for v in cell or [] if v is not None]).value_counts()
    kept = {value for value, n in counts.items() if n >= least}
    vocabulary = encoder._fields[0][0].vocabulary
    assert set(vocabulary.values) == kept
    known = dict(zip(vocabulary.values, range(2, vocabulary.size), strict=True))
    for cells in (train, later):
        new = encoder._new_bags()
        codes = encoder._encode(as_frame(cells), new=new)[:, 0]
        for cell, found in zip(cells, values_of(encoder, codes, new), strict=True):
            wanted = sorted(known.get(v, UNKNOWN) for v in cell or [] if v is not None)
            if len(set(wanted)) == 1:
                wanted = wanted[:1]
            assert found == (wanted or [MISSING])
    # Every set of the training rows has a code of its own.
    assert encoder.transform(as_frame(train)).max() < encoder.vocabulary_sizes_[0]
    new = encoder._new_bags()
    encoder._encode(as_frame(train), new=new)
    assert not len(new.rows().rows)


@given(cells=LISTS, seed=st.integers(0, 5))
def test_neither_the_order_of_rows_nor_chunks_change_the_codes(cells, seed):
    frame = as_frame(cells)
    encoder = FieldEncoder(multi_valued=["tags"]).fit(frame)
    order = np.random.default_rng(seed).permutation(len(cells))
    shuffled = FieldEncoder(multi_valued=["tags"]).fit(frame.iloc[order])
    chunks = FieldEncoder(multi_valued=["tags"])
    for part in np.array_split(order, 3):
        if len(part):
            chunks.partial_fit(frame.iloc[part])
    for other in (shuffled, chunks):
        assert digest_fields(other) == digest_fields(encoder)


@given(values=st.lists(st.sampled_from(["x", "y", "z"]), min_size=1, max_size=20))
def test_lists_of_one_value_are_the_field_of_single_values(values):
    single = FieldEncoder().fit(pd.DataFrame({"tags": values}))
    several = FieldEncoder().fit(as_frame([[value] for value in values]))
    assert several.vocabularies_[0].tolist() == single.vocabularies_[0].tolist()
    codes = several.transform(as_frame([[value] for value in values]))
    np.testing.assert_array_equal(codes, single.transform(pd.DataFrame({"tags": values})))


def test_strings_with_a_separator():
    frame = pd.DataFrame({"genres": GENRES, "n": range(8)})
    encoder = FieldEncoder(multi_valued={"genres": "|"}).fit(frame)
    assert encoder.vocabularies_[0].tolist() == ["a", "b", "c", ("a", "b"), ("a", "b", "c")]
    codes = encoder.transform(frame)
    assert codes[:, 0].tolist() == [5, 3, 5, MISSING, 6, MISSING, 2, 2]
    assert encoder.inverse_transform(codes)[:2, 0].tolist() == [("a", "b"), "b"]
    assert encoder._show(0, codes[:, 0]).tolist() == ["a|b", "b", "a|b", None, "a|b|c", None, *"aa"]
    # A set that no training row has is unknown, to `transform`.
    assert encoder.transform(pd.DataFrame({"genres": ["b|c"], "n": 0}))[0, 0] == UNKNOWN


@pytest.mark.parametrize(
    "carry",
    [
        pytest.param(lambda lists: as_frame(lists), id="pandas"),
        pytest.param(lambda lists: as_frame([v and np.array(v) for v in lists]), id="arrays"),
        pytest.param(lambda lists: as_frame([v and set(v) for v in lists]), id="sets"),
        pytest.param(lambda lists: pl.DataFrame({"tags": lists}), id="polars"),
        pytest.param(lambda lists: pa.table({"tags": lists}), id="arrow"),
        pytest.param(
            lambda lists: pa.table({"tags": pa.array(lists, pa.large_list(pa.string()))}),
            id="large lists",
        ),
        pytest.param(
            lambda lists: pa.table({"tags": lists}).to_pandas(types_mapper=pd.ArrowDtype),
            id="pandas of arrow",
        ),
    ],
)
def test_every_carrier_of_lists_gives_the_same_codes(carry):
    lists = [["a", "b"], ["b"], ["b", "a"], [], None, ["c"]]
    expected = FieldEncoder().fit_transform(as_frame(lists))
    np.testing.assert_array_equal(FieldEncoder().fit_transform(carry(lists)), expected)
    assert expected.ravel().tolist() == [5, 2, 5, MISSING, MISSING, 4]


def test_rows_with_lists_in_their_cells():
    rows = [["u1", ["a", "b"]], ["u2", ["b"]], ["u1", None]]
    codes = FieldEncoder().fit_transform(rows)
    assert codes[:, 1].tolist() == [4, 2, MISSING]


@pytest.mark.parametrize("kind", [pickle, skops.io])
def test_stored_encoders_make_the_same_codes(kind):
    frame = pd.DataFrame({"genres": GENRES})
    encoder = FieldEncoder(multi_valued={"genres": "|"}).partial_fit(frame)
    trusted = {} if kind is pickle else {"trusted": trusted_types}
    again = kind.loads(kind.dumps(encoder), **trusted)
    np.testing.assert_array_equal(again.transform(frame), encoder.transform(frame))
    again.partial_fit(frame)
    assert again._fields[0][0].n_bags == encoder._fields[0][0].n_bags


@pytest.mark.parametrize("as_lists", [True, False])
def test_files_give_the_codes_of_tables(tmp_path, as_lists):
    cells = [["a", "b"], ["c"], None, ["b", "a"], ["c", "a", "c"]] * 40
    column = cells if as_lists else ["|".join(cell) if cell else None for cell in cells]
    table = pa.table({"tags": column, "n": list(range(200))})
    encoder = FieldEncoder(
        multi_valued=None if as_lists else {"tags": "|"}, numeric_columns="several"
    )
    written = encoder.encode_dataset(table.to_reader(max_chunksize=7), tmp_path / "train")
    own = FieldEncoder(**encoder.get_params()).fit(table)
    assert digest_fields(written.encoder) == digest_fields(own)
    np.testing.assert_array_equal(written.codes, own.transform(table))
    assert written.new_bags is None
    later = pa.table({"tags": [["b", "c"]] if as_lists else ["b|c"], "n": [0]})
    encoder.encode_dataset(later.to_reader(), tmp_path / "later", fit=False)
    found = CodeTable(tmp_path / "later")
    new = own._new_bags()
    np.testing.assert_array_equal(found.codes, own._encode(later, new=new))
    for stored, expected in zip(found.new_bags, new.rows(), strict=True):
        np.testing.assert_array_equal(stored, expected)


@pytest.mark.parametrize(
    ("cells", "multi_valued", "message"),
    [
        ([["a"], "b"], None, "Field 'tags': .* must be a list or missing, got 'b'"),
        ([["a"], [["b"]]], None, r"Field 'tags': the values in a cell .* got \['b'\] in one"),
        ([["a"], [{"b": 1}]], None, "Field 'tags': the values in a cell .* got {'b': 1} in one"),
        (["a|b", 3], {"tags": "|"}, "Field 'tags': .* must be a string or missing, got 3"),
        ([["a"]], {"tags": "|"}, "Field 'tags'"),
    ],
)
def test_other_cells_are_refused(cells, multi_valued, message):
    with pytest.raises(TypeError, match=message):
        FieldEncoder(multi_valued=multi_valued).fit(as_frame(cells))


@pytest.mark.parametrize("wrong", ["|", 3, {"tags": ""}, {"tags": 1}, ["other"], {"other": "|"}])
def test_the_parameter_is_checked(wrong):
    with pytest.raises(ValueError, match="multi_valued must"):
        FieldEncoder(multi_valued=wrong).fit(as_frame([["a"]]))


@pytest.mark.parametrize("other", [{"numeric_features": ["tags"]}, {"hash_buckets": {"tags": 3}}])
def test_a_field_has_one_role(other):
    with pytest.raises(ValueError, match=r"Field 'tags': .* must not name a field whose cells"):
        FieldEncoder(**other).fit(as_frame([["a"]]))


def test_a_field_stays_what_it_is():
    single = FieldEncoder().partial_fit(pd.DataFrame({"tags": ["a"]}))
    with pytest.raises(ValueError, match="Field 'tags': the cells held single values before"):
        single.partial_fit(as_frame([["a"]]))
    missing = FieldEncoder().partial_fit(as_frame([None])).partial_fit(as_frame([["a", "b"]]))
    missing.partial_fit(as_frame([None]))
    assert missing.vocabularies_[0].tolist() == ["a", "b", ("a", "b")]


def test_shares_of_unknown_values():
    encoder = FieldEncoder().fit(as_frame([["a", "b"], ["c"]]))
    share = encoder.unknown_share(as_frame([["b", "c"], ["new"], ["new", "a"], ["a"], None]))
    assert share["tags"] == 0.25
