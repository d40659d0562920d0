"""Joined codes: exact, invertible, stable."""

import pickle

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from sparsectr.encoding.field_encoder import FieldEncoder
from sparsectr.interactions.crossing import CrossVocabulary, join_codes, label_codes, split_keys


def same_partition(a, b):
    """Whether two labellings put the same rows together."""
    pairs = pd.DataFrame({"a": a, "b": b}).drop_duplicates()
    return pairs["a"].is_unique and pairs["b"].is_unique


@given(
    st.lists(st.integers(3, 2**31 - 1), min_size=1, max_size=5).flatmap(
        lambda sizes: st.tuples(
            st.just(sizes),
            st.lists(st.tuples(*(st.integers(0, s - 1) for s in sizes)), min_size=1, max_size=20),
        )
    )
)
def test_keys_are_exact_and_can_be_taken_apart(case):
    sizes, rows = case
    codes = np.array(rows, dtype=np.int32)
    keys = join_codes(codes, sizes)
    assert np.array_equal(np.column_stack(split_keys(keys, sizes)), codes)
    assert len(set(keys.tolist())) == len(set(rows))


def test_keys_beyond_64_bits_do_not_collide():
    sizes = [2**31 - 1] * 3
    codes = np.array([[4, 0, 1], [0, 0, 1], [4, 0, 1]], dtype=np.int32)
    keys = join_codes(codes, sizes)
    assert keys.tolist() == [4 * sizes[0] ** 2 + 1, 1, 4 * sizes[0] ** 2 + 1]
    vocabulary = CrossVocabulary.learn(codes, np.array(sizes), [0, 1, 2], hash_buckets=None)
    assert vocabulary.codes(codes).tolist() == [2, 3, 2]
    assert vocabulary.codes(codes[:, ::-1]).tolist() == [0, 0, 0]


def test_codes_are_the_groups_of_pandas():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({name: rng.zipf(1.5, 5_000) % 60 for name in "abcd"})
    encoder = FieldEncoder()
    codes = encoder.fit_transform(table)
    for positions in ([0, 1], [3, 1], [0, 2, 3], [0, 1, 2, 3]):
        cross = CrossVocabulary.learn(codes, encoder.vocabulary_sizes_, positions, 2**20)
        found = cross.codes(codes)
        groups = table.groupby([table.columns[j] for j in positions]).ngroup()
        assert same_partition(found, groups)
        assert found.min() == 2
        assert found.max() == cross.size - 1
        counts = np.bincount(found)[2:]
        assert (np.diff(counts) <= 0).all()


def test_unseen_and_missing_have_codes_of_their_own():
    encoder = FieldEncoder()
    train = pd.DataFrame({"a": ["x", "x", "y", None], "b": ["u", "v", "v", "u"]})
    test = pd.DataFrame({"a": ["x", "y", None, None, "z"], "b": ["u", "u", "u", "v", "u"]})
    codes = encoder.fit_transform(train)
    cross = CrossVocabulary.learn(codes, encoder.vocabulary_sizes_, [0, 1], None)
    seen = cross.codes(codes)
    assert sorted(seen) == [2, 3, 4, 5]
    assert cross.codes(encoder.transform(test)).tolist() == [seen[0], 0, seen[3], 0, 0]


def test_only_above_the_threshold_are_combinations_hashed():
    rng = np.random.default_rng(0)
    codes = rng.integers(2, 12, size=(2_000, 2)).astype(np.int32)
    n = len(np.unique(codes, axis=0))
    sizes = np.array([12, 12])
    exact = CrossVocabulary.learn(codes, sizes, [0, 1], hash_buckets=n)
    assert exact.size == n + 2
    assert len(np.unique(exact.codes(codes))) == n
    hashed = CrossVocabulary.learn(codes, sizes, [0, 1], hash_buckets=n - 1)
    assert hashed.size == n + 1
    found = hashed.codes(codes)
    assert found.min() >= 2
    assert found.max() < hashed.size
    # Rows of one combination stay together, and few buckets are empty.
    assert pd.DataFrame(codes).assign(code=found).groupby([0, 1])["code"].nunique().max() == 1
    assert len(np.unique(found)) > n / 2
    assert len(hashed.labels([])) == hashed.size


def test_labels_tell_what_the_codes_mean():
    train = pd.DataFrame({"a": ["x", "x", "y", None], "b": [7, 7, 8, 8]})
    encoder = FieldEncoder()
    codes = encoder.fit_transform(train)
    cross = CrossVocabulary.learn(codes, encoder.vocabulary_sizes_, [0, 1], None)
    labels = cross.labels(label_codes(encoder))
    assert labels[cross.codes(codes)].tolist() == ["x × 7", "x × 7", "y × 8", "missing × 8"]
    assert labels[0] == "unknown"


def test_labels_of_bins_are_intervals_and_those_of_days_are_days():
    days = pd.to_datetime(["2020-01-01", "2020-01-01", "2020-02-03", None])
    train = pd.DataFrame({"price": [1.0, 2.0, np.nan, 4.0], "day": days})
    encoder = FieldEncoder()
    codes = encoder.fit_transform(train)
    prices, dates = label_codes(encoder)
    assert prices[codes[:, 0]].tolist() == ["(-inf, 1.5]", "(1.5, 3]", "missing", "(3, inf)"]
    assert [date[:10] for date in dates[codes[:, 1]]] == ["2020-01-01"] * 2 + [
        "2020-02-03",
        "missing",
    ]
    cross = CrossVocabulary.learn(codes, encoder.vocabulary_sizes_, [0, 1], None)
    labels = cross.labels(label_codes(encoder))
    assert labels[cross.codes(codes)][1].startswith("(1.5, 3] × 2020-01-01")


def test_labels_are_distinct_where_values_look_alike():
    values = ["1", 1, "missing", "a × b", "a"]
    train = pd.DataFrame({"a": pd.Series(values, dtype=object), "b": ["c", "c", "c", "c", "b × c"]})
    encoder = FieldEncoder(hash_buckets={"b": 3}).fit(train)
    for labels in label_codes(encoder):
        assert len(set(labels)) == len(labels)
    plain = FieldEncoder()
    codes = plain.fit_transform(train.iloc[3:])
    cross = CrossVocabulary.learn(codes, plain.vocabulary_sizes_, [0, 1], None)
    labels = cross.labels(label_codes(plain))
    assert set(labels[2:]) == {"('a × b', 'c')", "('a', 'b × c')"}


def test_pickle():
    codes = np.array([[2, 3], [3, 2], [2, 2]], dtype=np.int32)
    cross = CrossVocabulary.learn(codes, np.array([4, 4]), [0, 1], None)
    again = pickle.loads(pickle.dumps(cross))
    assert np.array_equal(again.codes(codes), cross.codes(codes))
