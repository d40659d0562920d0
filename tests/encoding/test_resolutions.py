"""Numeric fields with several columns of codes."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.frozen import FrozenEstimator

from sparsectr.encoding.field_encoder import FieldEncoder
from sparsectr.encoding.given import encode_training_rows
from sparsectr.encoding.resolutions import COARSE_BINS, EXACT_ROWS

RNG = np.random.default_rng(0)
N_ROWS = 4_000
FRAME = pd.DataFrame(
    {
        "city": RNG.choice(["Oslo", "Bergen"], N_ROWS),
        "amount": np.where(RNG.random(N_ROWS) < 0.3, 7688, RNG.integers(0, 5_000, N_ROWS)),
        "grade": RNG.integers(1, 6, N_ROWS),
        "day": RNG.integers(1, 32, N_ROWS),
        "price": np.where(RNG.random(N_ROWS) < 0.1, np.nan, RNG.lognormal(size=N_ROWS)),
    }
)
NAMES = [
    *("city", "amount", "amount (8 bins)", "amount (exact)", "grade"),
    *("day", "day (8 bins)", "price", "price (8 bins)"),
]


def several(**parameters):
    return FieldEncoder(numeric_columns="several", **parameters)


@pytest.fixture(scope="module")
def encoder():
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no word of ids
        return several().fit(FRAME)


def test_names_and_fields(encoder):
    assert list(encoder.get_feature_names_out()) == NAMES
    assert encoder.code_fields_.tolist() == [0, 1, 1, 1, 2, 3, 3, 4, 4]
    assert encoder.n_features_in_ == 5
    assert encoder.transform(FRAME).shape == (N_ROWS, 9)
    assert len(encoder.vocabularies_) == len(encoder.vocabulary_sizes_) == 9
    assert len(encoder._field_names()) == 5


def test_the_first_column_is_that_of_a_field_with_one(encoder):
    one = FieldEncoder(numeric_features=["amount", "price"]).fit(FRAME)
    mains = encoder._main_columns
    np.testing.assert_array_equal(encoder.transform(FRAME)[:, mains], one.transform(FRAME))
    np.testing.assert_array_equal(encoder.vocabulary_sizes_[mains], one.vocabulary_sizes_)


def test_coarse_bins_are_quantiles_and_exact_numbers_are_frequent(encoder):
    codes = dict(zip(NAMES, encoder.transform(FRAME).T, strict=True))
    for name in ("amount", "day", "price"):
        coarse = codes[f"{name} (8 bins)"]
        known = coarse >= 2
        spans = FRAME[name][known].groupby(coarse[known]).agg(["min", "max"]).sort_values("min")
        assert len(spans) <= COARSE_BINS
        assert (spans["max"].to_numpy()[:-1] < spans["min"].to_numpy()[1:]).all()
        assert (coarse[FRAME[name].isna()] == 1).all()
    exact = codes["amount (exact)"]
    assert (exact[FRAME["amount"] == 7688] == 2).all()
    counts = FRAME["amount"].map(FRAME["amount"].value_counts())
    assert ((exact == 0) == (counts < EXACT_ROWS)).all()


def test_few_integers_stay_categories(encoder):
    kept = encoder.vocabularies_[encoder.get_feature_names_out().tolist().index("day")]
    assert sorted(kept.tolist()) == list(range(1, 32))
    rows = FRAME.head(30).assign(day=99)
    codes = dict(zip(NAMES, encoder.transform(rows).T, strict=True))
    assert (codes["day"] == 0).all()
    assert (codes["day (8 bins)"] == codes["day (8 bins)"][0]).all()
    assert codes["day (8 bins)"][0] >= 2  # the nearest


def test_listed_features_are_binned_however_few(encoder):
    listed = several(numeric_features=["day", "grade"]).fit(FRAME)
    assert listed.get_feature_names_out().tolist() == [
        *("city", "amount", "grade", "day", "day (8 bins)", "price")
    ]
    assert listed.vocabularies_[3].dtype == np.float64


@pytest.mark.parametrize("n_rows", [3, 40])
def test_few_rows_are_encoded_like_many(encoder, n_rows):
    rows = FRAME.head(n_rows)
    np.testing.assert_array_equal(encoder.transform(rows), encoder.transform(FRAME)[:n_rows])
    as_objects = rows.astype(object).where(rows.notna(), None)
    np.testing.assert_array_equal(encoder.transform(as_objects), encoder.transform(rows))


@pytest.mark.parametrize("n_rows", [3, 40])
def test_text_is_an_unknown_category_but_no_number(encoder, n_rows):
    rows = FRAME.head(n_rows)
    codes = encoder.transform(rows.assign(day="x"))
    assert not codes[:, [5, 6]].any()
    with pytest.raises(ValueError, match="Field 'amount': a numeric field must hold numbers"):
        encoder.transform(rows.assign(amount="x"))


def test_fit_transform_and_chunks_are_as_fit(encoder):
    expected = encoder.transform(FRAME)
    np.testing.assert_array_equal(several().fit_transform(FRAME), expected)
    chunked = several()
    for start in range(0, N_ROWS, 1_500):
        chunked.partial_fit(FRAME.iloc[start : start + 1_500])
    assert chunked.get_feature_names_out().tolist() == NAMES
    np.testing.assert_array_equal(chunked.transform(FRAME), expected)


def test_integers_become_categories_when_a_chunk_holds_text():
    first = pd.DataFrame({"code": np.arange(300)})
    second = pd.DataFrame({"code": ["a", "b"] * 50})
    chunked = several().partial_fit(first)
    assert len(chunked.code_fields_) == 2
    chunked.partial_fit(second)
    whole = several().fit(pd.concat([first, second]))
    assert chunked.get_feature_names_out().tolist() == ["code"]
    np.testing.assert_array_equal(chunked.transform(second), whole.transform(second))


def test_values_come_back_as_exactly_as_they_are_known(encoder):
    values = encoder.inverse_transform(encoder.transform(FRAME))
    assert values.shape == FRAME.shape
    frequent = (FRAME["amount"] == 7688).to_numpy()
    assert set(values[frequent, 1]) == {7688}
    assert (values[:, 3] == FRAME["day"]).all()
    assert pd.isna(values[FRAME["price"].isna().to_numpy(), 4]).all()


def test_shares_of_unknown_values_are_by_field(encoder):
    shares = encoder.unknown_share(FRAME.head(10).assign(day=[40, 1] * 5, amount=-1))
    assert shares.to_dict() == {"city": 0, "amount": 0, "grade": 0, "day": 0.5, "price": 0}


def test_a_column_may_have_the_name_of_ours():
    frame = FRAME[["day"]].assign(**{"day (8 bins)": "a"})
    names = several().fit(frame).get_feature_names_out().tolist()
    assert names == ["day", "day (8 bins)_", "day (8 bins)"]


def test_integers_of_any_size():
    huge = [10**400 + i for i in range(100)] * 3 + [-(10**400)] * 3
    # dtype: older versions of pandas would try float.
    codes = several().fit_transform(pd.DataFrame({"id": pd.Series(huge, dtype=object)}))
    assert len(set(codes[:, -1])) == 101  # exact, beyond all floats
    assert len(set(codes[:, 0])) == 2


def test_limits_hold_for_every_column():
    encoder = several(max_categories=5, min_frequency=100).fit(FRAME)
    assert (encoder.vocabulary_sizes_ <= 7).all()
    codes = encoder.transform(FRAME)
    for column, size in zip(codes.T, encoder.vocabulary_sizes_, strict=True):
        counts = np.bincount(column, minlength=size)
        assert (counts[2:] >= 100).all()


def test_auto_is_several_where_it_is_asked_for():
    alone = FieldEncoder(min_frequency=2)
    assert alone.fit(FRAME).code_fields_.tolist() == [0, 1, 2, 3, 4]
    inside, codes, _ = encode_training_rows(alone, FRAME, several=True)
    assert inside.get_feature_names_out().tolist() == NAMES
    np.testing.assert_array_equal(codes, several(min_frequency=2).fit_transform(FRAME))
    for encoder, several_wanted in [
        (FieldEncoder(numeric_columns="one"), True),
        (FrozenEstimator(alone), True),
        ("auto", False),
    ]:
        _, codes, _ = encode_training_rows(encoder, FRAME, several=several_wanted, warn=False)
        assert codes.shape == FRAME.shape


def test_hashed_fields_and_categories_keep_one_column():
    hashed = several(hash_buckets=10).fit(FRAME[["day", "price"]])
    assert hashed.get_feature_names_out().tolist() == ["day", "price", "price (8 bins)"]
    assert several(numeric="category").fit(FRAME).code_fields_.tolist() == [0, 1, 2, 3, 4]


def test_copies_and_other_containers_give_the_same_codes(encoder):
    expected = encoder.transform(FRAME)
    copy = pickle.loads(pickle.dumps(encoder))
    np.testing.assert_array_equal(copy.transform(FRAME), expected)
    polars = pytest.importorskip("polars")
    frame = polars.from_pandas(FRAME)
    np.testing.assert_array_equal(encoder.transform(frame), expected)
    np.testing.assert_array_equal(several().fit_transform(frame), expected)
    framed = several().set_output(transform="pandas").fit(FRAME).transform(FRAME)
    assert framed.columns.tolist() == NAMES


def test_values_of_one_row_are_unknown_where_most_rows_have_one():
    n = 1_000
    ids = np.arange(n)
    table = pd.DataFrame({"id": ids, "half": np.maximum(ids, n // 2), "user": ids // 2}).astype(str)
    mostly = np.where(ids < 600, ids, 0).astype(str)
    table = table.assign(mostly=mostly)
    sizes = several().fit(table).vocabulary_sizes_.tolist()
    # 0: code 0 and the missing ones. "half": 499 values of one row are not more than a half.
    assert sizes == [2, 2 + n // 2, 2 + n // 2, 3]
    everything = [2 + n, 2 + n // 2, 2 + n // 2, 2 + 600]
    assert FieldEncoder().fit(table).vocabulary_sizes_.tolist() == everything
    grown = several(new_values="grow").fit(table)
    assert grown.vocabulary_sizes_.tolist() == everything
    few = several().fit(table[: n - 1])
    assert few.vocabulary_sizes_[0] == 2 + n - 1
    fitted = several().fit(table)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        codes = np.asarray(fitted.transform(table))
    assert (codes[:, 0] == 0).all()
