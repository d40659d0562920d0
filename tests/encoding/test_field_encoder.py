"""FieldEncoder: codes, chunks, scikit-learn's contract."""

import pickle
import warnings
from collections import Counter
from decimal import Decimal

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils import estimator_checks

from sparsectr.encoding.field_encoder import FieldEncoder
from sparsectr.exceptions import UnknownValuesWarning

BIG = 2**53

CELLS = st.one_of(
    st.none(), st.text("ab", max_size=2), st.integers(-2, 2), st.just(float("nan")), st.booleans()
)
COLUMNS = {
    "object": (CELLS, object),
    "str": (st.one_of(st.none(), st.text("abü", max_size=2)), "string"),
    "Int64": (st.one_of(st.none(), st.integers(BIG - 2, BIG + 2)), "Int64"),
    "float64": (st.one_of(st.just(np.nan), st.floats(-3, 3), st.integers(0, 3)), "float64"),
    "bool": (st.booleans(), "bool"),
    "datetime": (st.one_of(st.none(), st.dates().map(lambda d: d.isoformat())), "M8[us]"),
}


@st.composite
def frames(draw, min_rows=1, max_rows=40):
    n_rows = draw(st.integers(min_rows, max_rows))
    columns = {}
    for name, (cells, dtype) in COLUMNS.items():
        column = draw(st.lists(cells, min_size=n_rows, max_size=n_rows))
        columns[name] = pd.Series(column, dtype=object).astype(dtype)
    return pd.DataFrame(columns)


ENCODERS = st.builds(
    FieldEncoder,
    min_frequency=st.sampled_from([1, 2, 3, 0.1]),
    max_categories=st.sampled_from([None, 1, 3]),
    numeric=st.sampled_from(["quantile", "log_squared", "log_square", "category"]),
    n_bins=st.sampled_from([1, 3, 64]),
    hash_buckets=st.sampled_from([None, 5, {"str": 3}]),
)
# With so few bins as the encoders have here, many a column of floats looks like ids.
UNTOLD = pytest.mark.filterwarnings("ignore:.* hold whole numbers")


def assert_same_state(first, second):
    np.testing.assert_array_equal(first.vocabulary_sizes_, second.vocabulary_sizes_)
    for one, two in zip(first.vocabularies_, second.vocabularies_, strict=True):
        if one is None:
            assert two is None
            continue
        assert one.dtype == two.dtype
        assert one.tolist() == two.tolist()


# What the codes mean


@UNTOLD
@given(frames(), ENCODERS)
@settings(max_examples=50)
def test_codes_lie_in_range_and_missing_is_one(frame, encoder):
    codes = encoder.fit_transform(frame)
    assert codes.dtype == np.int32
    assert codes.flags.c_contiguous
    assert codes.shape == frame.shape
    assert np.all(codes >= 0)
    assert np.all(codes < encoder.vocabulary_sizes_)
    np.testing.assert_array_equal(codes == 1, frame.isna().to_numpy())
    np.testing.assert_array_equal(codes, encoder.transform(frame))
    np.testing.assert_array_equal(codes, clone(encoder).fit(frame).transform(frame))


@given(frames(), st.sampled_from([1, 2, 0.2]), st.sampled_from([None, 2]))
@settings(max_examples=50)
def test_vocabularies_are_the_frequent_values_in_order(frame, min_frequency, max_categories):
    encoder = FieldEncoder(
        min_frequency=min_frequency, max_categories=max_categories, numeric="category"
    ).fit(frame)
    least = min_frequency if min_frequency >= 1 else min_frequency * len(frame)
    for name, vocabulary in zip(frame, encoder.vocabularies_, strict=True):
        counts = Counter(frame[name].dropna().tolist())
        frequent = sorted((n for n in counts.values() if n >= least), reverse=True)
        expected = frequent[:max_categories]
        found = [counts[value] for value in pd.Series(vocabulary).astype(object)]
        assert found == expected


@UNTOLD
@given(frames(), st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_the_order_of_the_rows_does_not_matter(frame, random):
    rows = list(range(len(frame)))
    random.shuffle(rows)
    encoder = FieldEncoder(n_bins=4)
    codes = encoder.fit_transform(frame)
    shuffled = clone(encoder).fit(frame.iloc[rows])
    np.testing.assert_array_equal(shuffled.transform(frame), codes)


@given(frames())
@settings(max_examples=50)
def test_values_come_back(frame):
    encoder = FieldEncoder(numeric="category")
    values = encoder.inverse_transform(encoder.fit_transform(frame))
    for j, name in enumerate(frame):
        column = frame[name].astype(object)
        expected = column.where(column.notna(), None).tolist()
        assert values[:, j].tolist() == expected


@UNTOLD
@given(frames(), ENCODERS)
@settings(max_examples=50)
def test_known_codes_come_back(frame, encoder):
    encoder = encoder.fit(frame)
    stored = [j for j, values in enumerate(encoder.vocabularies_) if values is not None]
    codes = encoder.transform(frame)
    again = encoder.transform(pd.DataFrame(encoder.inverse_transform(codes), columns=frame.columns))
    known = codes >= 2
    np.testing.assert_array_equal(
        again[:, stored][known[:, stored]], codes[:, stored][known[:, stored]]
    )


def test_unknown_missing_and_order():
    train = pd.DataFrame({"city": ["b", "a", "a", "c", "c", "d", None]})
    encoder = FieldEncoder(min_frequency=2).fit(train)
    assert encoder.vocabularies_[0].tolist() == ["a", "c"]
    assert encoder.vocabulary_sizes_.tolist() == [4]
    assert encoder.vocabulary_sizes_.dtype == np.int64
    assert encoder.transform(train).ravel().tolist() == [0, 2, 2, 3, 3, 0, 1]
    assert encoder.transform(pd.DataFrame({"city": ["new", "c"]})).ravel().tolist() == [0, 3]
    assert encoder.inverse_transform([[0], [1], [3]]).ravel().tolist() == [None, None, "c"]


def test_a_column_without_values_has_no_code_but_missing():
    table = pd.DataFrame({"a": [None, None], "b": [np.nan, np.nan]})
    encoder = FieldEncoder()
    assert encoder.fit_transform(table).tolist() == [[1, 1], [1, 1]]
    assert encoder.vocabulary_sizes_.tolist() == [2, 2]
    assert encoder.transform(pd.DataFrame({"a": ["x"], "b": [1.0]})).tolist() == [[0, 0]]
    assert np.isnan(encoder.inverse_transform([[1, 1]])[0, 1])


def test_ids_stay_exact():
    ids = [BIG, BIG + 1, BIG + 2, 2**63 - 1, 2**63 - 2]
    for frame in (
        pd.DataFrame({"id": ids}),
        pd.DataFrame({"id": pd.array([*ids, None], dtype="Int64")}),
        pd.DataFrame({"id": pd.array([*ids, 2**64 - 1, None], dtype="UInt64")}),
        pl.DataFrame({"id": [*ids, None]}),
        np.array(ids)[:, None],
        [[i] for i in ids],
    ):
        encoder = FieldEncoder()
        assert set(ids) <= set(encoder.fit(frame).vocabularies_[0].tolist())
        assert len(np.unique(encoder.transform(frame))) == len(frame)


FEW_COLUMNS = ["object", "str", "Int64", "bool", "datetime"]


@pytest.mark.filterwarnings("ignore::sparsectr.UnknownValuesWarning")
@given(frames(min_rows=20), frames(max_rows=4), st.sets(st.sampled_from(FEW_COLUMNS), min_size=1))
@settings(max_examples=60)
def test_a_few_rows_have_the_codes_that_they_have_among_many(train, few, chosen):
    names = sorted(chosen)
    encoder = FieldEncoder(numeric="category").fit(train[names])
    many = pd.concat([few[names]] * 20, ignore_index=True)
    expected = encoder.transform(many)[: len(few)]
    np.testing.assert_array_equal(encoder.transform(few[names]), expected)
    np.testing.assert_array_equal(encoder.transform(few[names].astype(object)), expected)


@pytest.mark.parametrize("cell", [2**64, -(2**70), "3", "", 4])
def test_a_single_unknown_cell_is_unknown(cell):
    encoder = FieldEncoder().fit(pd.DataFrame({"id": [3, 3, 7], "name": ["a", "3", "b"]}))
    row = pd.DataFrame({"id": [cell], "name": pd.Series(["zz"], dtype=object)})
    np.testing.assert_array_equal(encoder.transform(row), [[0, 0]])


def test_equal_values_of_other_dtypes_have_the_same_code():
    encoder = FieldEncoder().fit(pd.DataFrame({"id": [3, 3, 7]}))
    for cells in (
        np.array([7, 3], dtype=np.int8),
        np.array([7, 3], dtype=np.uint64),
        np.array([7.0, 3.0]),  # integers become floats when a cell of the chunk is missing
        np.array([7, 3], dtype=object),
        pd.array([7, 3], dtype="Int32"),
        pd.Categorical([7, 3]),
    ):
        assert encoder.transform(pd.DataFrame({"id": cells})).ravel().tolist() == [3, 2]
    assert encoder.transform(pd.DataFrame({"id": ["3", "7"]})).ravel().tolist() == [0, 0]


@pytest.mark.parametrize("dtype", [object, "string[python]", "category", "polars", "str"])
@pytest.mark.parametrize("hash_buckets", [None, 1000])
def test_strings_have_the_same_codes_in_every_dtype(dtype, hash_buckets):
    cells = ["x", None, "y", "y", "ü"]
    encoder = FieldEncoder(hash_buckets=hash_buckets)
    expected = encoder.fit_transform(np.array(cells, dtype=object)[:, None])
    if dtype == "polars":
        frame = pl.DataFrame({"a": cells})
    elif dtype == "str":
        frame = pd.DataFrame({"a": pd.Series(cells, dtype=object).convert_dtypes()})
    else:
        frame = pd.DataFrame({"a": pd.Series(cells, dtype=object).astype(dtype)})
    np.testing.assert_array_equal(clone(encoder).fit_transform(frame), expected)


def test_an_unseen_number_never_is_unknown():
    numbers = np.random.default_rng(0).normal(size=(300, 1))
    for numeric in ("quantile", "log_squared", "log_square"):
        encoder = FieldEncoder(numeric=numeric).fit(numbers)
        assert encoder.transform(np.linspace(-9, 9, 999)[:, None]).min() == 2
        assert encoder.transform(np.array([[np.inf], [-np.inf]])).min() >= 2
    assert encoder.transform([[np.nan]]).item() == 1


def test_integers_are_categories_unless_named():
    frame = pd.DataFrame({"age": range(100), "id": range(100)})
    sizes = FieldEncoder(n_bins=10, numeric_features=["age"]).fit(frame).vocabulary_sizes_
    assert sizes.tolist() == [12, 102]
    with pytest.raises(ValueError, match="Field 'age': a numeric field must hold numbers, got 'x'"):
        FieldEncoder(numeric_features=["age"]).fit(frame.assign(age="x"))


def test_a_numeric_field_refuses_strings_at_transform():
    encoder = FieldEncoder().fit(pd.DataFrame({"price": [1.5, 2.5]}))
    with pytest.raises(ValueError, match="Field 'price': a numeric field must hold numbers"):
        encoder.transform(pd.DataFrame({"price": ["1.5"]}))


def test_hashed_fields_store_nothing():
    frame = pd.DataFrame({"id": [f"user {i}" for i in range(1000)], "x": ["a", "b"] * 500})
    encoder = FieldEncoder(hash_buckets={"id": 100}).fit(frame)
    assert encoder.vocabulary_sizes_.tolist() == [102, 4]
    assert encoder.vocabularies_[0] is None
    codes = encoder.transform(frame)
    assert codes[:, 0].min() >= 2
    assert encoder.inverse_transform(codes)[0].tolist() == [None, "a"]
    assert "user 7" not in str(pickle.dumps(clone(encoder).partial_fit(frame)))


# Fields without known values

ROWS = pd.DataFrame(
    {"user": np.arange(60), "price": np.arange(60) / 7, "site": ["x", "y"] * 30, "none": None}
)


def warned(function, *args):
    """The texts of the warnings of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function(*args)
    return [str(warning.message) for warning in caught if warning.category is UnknownValuesWarning]


@pytest.mark.parametrize(
    ("values", "then", "now"),
    [
        (lambda user: user.astype(str), "int", "str"),
        (lambda user: user.astype(str).astype("category"), "int", "str"),
        (lambda user: user.astype(object).map(str), "int", "str"),
        (lambda user: user + 0.5, "int", "float"),
        (lambda user: pd.to_datetime(user, unit="D"), "int", "datetime"),
        (lambda user: user + 1000, "int", "int"),
        (lambda user: user.astype(str).where(user > 58), "int", "str"),
    ],
)
def test_a_field_of_unknown_values_is_named_once(values, then, now):
    encoder = FieldEncoder().fit(ROWS)
    (text,) = warned(encoder.transform, ROWS.assign(user=values(ROWS["user"])))
    assert f"'user' ({then} in fit, {now} now)" in text
    assert ("Of 'user' the types are those of fit, and the values are new" in text) == (then == now)
    assert ("A field needs the type that it had in fit" in text) == (then != now)
    assert "'site'" not in text


def test_all_such_fields_are_in_one_warning():
    encoder = FieldEncoder().fit(ROWS)
    (text,) = warned(encoder.transform, ROWS.assign(user="u", site=1, none=2.5))
    for part in ("'user' (int in fit, str now)", "'site' (str in fit, int now)", "'none' (nothing"):
        assert part in text


@pytest.mark.parametrize(
    "table",
    [
        ROWS,
        ROWS.astype({"user": float}),  # 1.0 is 1
        ROWS.astype({"user": object, "site": "category"}),
        ROWS.assign(user="u")[:49],
        ROWS.assign(user=None, site=None),
        ROWS.assign(user=["u"] * 59 + [3]),
        ROWS.assign(user=[np.nan] * 59 + [3]),
    ],
)
def test_no_warning_where_a_value_is_known_or_rows_are_few(table):
    assert warned(FieldEncoder().fit(ROWS).transform, table) == []


def test_no_warning_where_no_value_was_frequent_enough():
    encoder = FieldEncoder(min_frequency=2).fit(ROWS)
    assert warned(encoder.transform, ROWS) == []
    hashed = FieldEncoder(hash_buckets=7).fit(ROWS)
    assert warned(hashed.transform, ROWS.assign(user="u")) == []


def test_transform_changes_no_attribute():
    encoder = FieldEncoder().fit(ROWS)
    before = {name: id(value) for name, value in vars(encoder).items()}
    warned(encoder.transform, ROWS.assign(user="u"))
    encoder.unknown_share(ROWS)
    assert {name: id(value) for name, value in vars(encoder).items()} == before


@UNTOLD
@given(frames(), frames(max_rows=80), ENCODERS)
@settings(max_examples=50)
def test_unknown_share_counts_codes_of_zero(train, table, encoder):
    encoder.fit(train)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnknownValuesWarning)
        codes = encoder.transform(table)
    shares = encoder.unknown_share(table)  # never warns
    assert shares.index.tolist() == list(table)
    for j, share in enumerate(shares):
        present = codes[codes[:, j] != 1, j]
        assert share == (np.mean(present == 0) if len(present) else 0)


# Numbers in columns of objects

PRICES = np.random.default_rng(0).integers(0, 500, 300) / 4  # exact in any carrier


def carriers():
    frame = pd.DataFrame({"price": PRICES, "site": ["x", "y", "z"] * 100})
    gone = frame.assign(price=frame["price"].where(frame["price"] > 10))
    nones = gone.astype(object).where(gone.notna(), None)
    decimals = [Decimal(f"{p:.2f}") if p == p else None for p in gone["price"].tolist()]
    with_nan = [p if p is not None else Decimal("NaN") for p in decimals]
    mixed = [int(p) if p == p and p == int(p) else p for p in gone["price"].tolist()]
    return gone, {
        "None": nones,
        "array": gone.to_numpy(),
        "Decimal": gone.assign(price=pd.Series(decimals, dtype=object)),
        "Decimal of NaN": gone.assign(price=pd.Series(with_nan, dtype=object)),
        "int and float": gone.assign(price=pd.Series(mixed, dtype=object)),
        "list": nones.to_numpy().tolist(),
        "float32": gone.astype({"price": np.float32}),
        "numbers of NumPy": gone.assign(
            price=pd.Series([np.float32(p) for p in gone["price"]], dtype=object)
        ),
        "polars": pl.DataFrame({"price": decimals, "site": gone["site"].tolist()}),
        "polars objects": pl.DataFrame(
            {
                "price": pl.Series(nones["price"].tolist(), dtype=pl.Object),
                "site": gone["site"].tolist(),
            }
        ),
    }


@pytest.mark.parametrize("numeric", ["quantile", "log_squared", "log_square"])
@pytest.mark.parametrize("name", carriers()[1])
def test_numbers_among_objects_are_handled_as_floats(name, numeric):
    floats, others = carriers()
    encoder = FieldEncoder(numeric=numeric, n_bins=8)
    expected = encoder.fit_transform(floats)
    other = clone(encoder)
    np.testing.assert_array_equal(other.fit_transform(others[name]), expected)
    np.testing.assert_array_equal(other.vocabularies_[0], encoder.vocabularies_[0])
    np.testing.assert_array_equal(other.transform(others[name]), expected)


@pytest.mark.parametrize("cells", [[3, None, 7, 3], [Decimal(3), None, Decimal(7), Decimal(3)]])
def test_integers_among_objects_are_categories(cells):
    encoder = FieldEncoder(n_bins=1).fit(pd.DataFrame({"id": pd.Series(cells, dtype=object)}))
    assert encoder.vocabularies_[0].tolist() == [3, 7]
    assert encoder.transform(pd.DataFrame({"id": [7, 3, 5]})).ravel().tolist() == [3, 2, 0]


def test_the_rule_of_the_first_chunk_stands():
    numbers, words = (pd.DataFrame({"a": pd.Series(v, dtype=object)}) for v in ([1.5, 2], ["x"]))
    encoder = FieldEncoder().partial_fit(numbers)
    for chunk in (words, words.astype("str"), pd.concat([numbers, words])):
        with pytest.raises(ValueError, match=r"Field 'a' held numbers.*numeric_features"):
            encoder.partial_fit(chunk)
    assert encoder.partial_fit(numbers).vocabularies_[0].tolist() == [1.5, 2.0]
    # Words first: then numbers are categories, too.
    encoder = FieldEncoder(n_bins=1).partial_fit(words).partial_fit(numbers)
    assert encoder.vocabularies_[0].tolist() == [1.5, 2, "x"]
    named = FieldEncoder(numeric_features=[]).partial_fit(numbers).partial_fit(words)
    assert named.vocabularies_[0].tolist() == [1.5, 2, "x"]
    # A chunk without values says nothing.
    nothing = pd.DataFrame({"a": [None, None]}, dtype=object)
    encoder = FieldEncoder(n_bins=1).partial_fit(nothing).partial_fit(numbers)
    assert encoder.vocabulary_sizes_.tolist() == [3]


# Whole numbers of a dtype of floats


def test_whole_numbers_stored_as_floats_are_named():
    ids = pd.DataFrame({"id": [*range(70), np.nan], "half": np.arange(71) / 2})
    text = "'id'.* whole numbers .*n_bins=64"
    with pytest.warns(UserWarning, match=text) as caught:
        FieldEncoder().fit(ids)
    assert len(caught) == 1
    assert "half" not in str(caught[0].message)
    with pytest.warns(UserWarning, match=text):
        FieldEncoder().fit_transform(ids.astype(object))
    encoder = FieldEncoder().partial_fit(ids[:40])
    with pytest.warns(UserWarning, match=text):
        encoder.partial_fit(ids[40:])
    encoder.partial_fit(ids)  # said already


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_bins": 70},
        {"numeric_features": ["id"]},
        {"numeric_features": []},
        {"numeric": "category"},
        {"numeric": "log_square"},
        {"hash_buckets": {"id": 9}},
    ],
)
def test_no_word_about_whole_numbers_that_are_not_cut_or_meant_to_be(parameters):
    FieldEncoder(**parameters).fit(pd.DataFrame({"id": np.arange(70.0)}))


# Chunks


@UNTOLD
@given(frames(min_rows=2), ENCODERS, st.data())
@settings(max_examples=50)
def test_partial_fit_is_fit_on_the_concatenation(frame, encoder, data):
    cuts = data.draw(st.lists(st.integers(1, len(frame) - 1), unique=True, max_size=3).map(sorted))
    chunked = clone(encoder)
    for start, stop in zip([0, *cuts], [*cuts, len(frame)], strict=True):
        chunked.partial_fit(frame.iloc[start:stop])
    whole = encoder.fit(frame)
    assert_same_state(chunked, whole)
    np.testing.assert_array_equal(chunked.transform(frame), whole.transform(frame))


@pytest.mark.parametrize(
    "chunks",
    [
        [pd.Series([1, 2, 2]), pd.Series([2.0, np.nan, 0.5])],
        [pd.Series([np.nan, np.nan]), pd.Series(["a", "b"], dtype=object)],
        [pd.Series(["a", 1], dtype=object), pd.Series([1.5, 2.5])],
        [pd.Series([True, False]), pd.Series([1, 2])],
        [pd.Series([1], dtype="int8"), pd.Series([300, 1], dtype="int64")],
    ],
)
@pytest.mark.parametrize("numeric", ["quantile", "category"])
def test_chunks_of_different_dtypes(chunks, numeric):
    encoder = FieldEncoder(numeric=numeric)
    whole = pd.concat(chunks, ignore_index=True).to_frame("a")
    for chunk in chunks:
        encoder.partial_fit(chunk.to_frame("a"))
    assert_same_state(encoder, FieldEncoder(numeric=numeric).fit(whole))


def test_partial_fit_goes_on_after_a_pickle():
    first, second = pd.DataFrame({"a": ["x", "y"]}), pd.DataFrame({"a": ["y", "z"]})
    encoder = pickle.loads(pickle.dumps(FieldEncoder(min_frequency=2).partial_fit(first)))
    assert encoder.partial_fit(second).vocabularies_[0].tolist() == ["y"]


def test_fit_forgets_and_partial_fit_after_it_starts_over():
    first, second = pd.DataFrame({"a": ["x", "y"]}), pd.DataFrame({"b": ["z"]})
    encoder = FieldEncoder().partial_fit(first).fit(second)
    assert encoder.vocabularies_[0].tolist() == ["z"]
    with pytest.warns(UserWarning, match="starts over"):
        encoder.partial_fit(first)
    assert encoder.vocabularies_[0].tolist() == ["x", "y"]


def test_hashed_integers_that_turn_into_floats_are_an_error():
    encoder = FieldEncoder(hash_buckets=10).partial_fit(pd.DataFrame({"id": [1, 2]}))
    with pytest.raises(ValueError, match="Field 'id' held integers, which were hashed"):
        encoder.partial_fit(pd.DataFrame({"id": [1.0, np.nan]}))


# Bad input


def test_columns_are_checked_by_name():
    encoder = FieldEncoder().fit(pd.DataFrame({"a": ["x"], "b": ["y"]}))
    for columns, message in (
        (["b", "a"], "same order"),
        (["a"], "missing"),
        (["a", "c"], "unseen"),
        (["a", "b", "b"], "repeated"),
    ):
        with pytest.raises(ValueError, match=message):
            encoder.transform(pd.DataFrame([["x"] * len(columns)], columns=columns))
    with pytest.raises(ValueError, match="same order"):
        encoder.transform(pl.DataFrame({"b": ["x"], "a": ["y"]}))
    with pytest.raises(ValueError, match="expecting 2 features"):
        clone(encoder).fit(np.zeros((1, 2))).transform(np.zeros((1, 3)))


@pytest.mark.parametrize("make", [sp.csr_matrix, sp.csc_array, sp.coo_array])
def test_sparse_matrices_are_refused(make):
    with pytest.raises(TypeError, match="sparse"):
        FieldEncoder().fit(make(np.eye(3)))


def test_errors_name_the_field():
    with pytest.raises(TypeError, match="Field 'tags': every cell must be hashable"):
        FieldEncoder().fit(pd.DataFrame({"tags": [{"a": 1}, {"b": 2}]}))


def test_nothing_works_before_fit():
    for use in (
        lambda e: e.transform([[1]]),
        lambda e: e.inverse_transform([[1]]),
        lambda e: e.vocabularies_,
    ):
        with pytest.raises(NotFittedError):
            use(FieldEncoder())


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([[0.5]], "must hold integer codes"),
        ([[1, 1]], r"shape \(n_rows, 1\)"),
        ([[9]], "must lie in"),
        ([[-1]], "must lie in"),
    ],
)
def test_only_codes_can_be_turned_back(codes, message):
    with pytest.raises(ValueError, match=message):
        FieldEncoder().fit([["a"]]).inverse_transform(codes)


def test_a_failed_fit_leaves_the_vocabularies_alone():
    encoder = FieldEncoder().partial_fit([["a"]])
    with pytest.raises(TypeError):
        encoder.partial_fit([[{}]])
    assert encoder.partial_fit([["b"]]).vocabularies_[0].tolist() == ["a", "b"]


# scikit-learn


@pytest.mark.parametrize(
    "name",
    [
        "check_dataframe_column_names_consistency",
        "check_transformer_get_feature_names_out",
        "check_transformer_get_feature_names_out_pandas",
        "check_set_output_transform",
        "check_set_output_transform_pandas",
        "check_set_output_transform_polars",
        "check_global_output_transform_pandas",
        "check_global_set_output_transform_polars",
        "check_inplace_ensure_writeable",
        "check_get_feature_names_out_error",
    ],
)
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
def test_checks_that_scikit_learn_leaves_to_the_author(name):
    getattr(estimator_checks, name)("FieldEncoder", FieldEncoder())


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_set_output_keeps_names_and_dtype(container):
    frame = pd.DataFrame({"a": ["x", "y"], "b": [1, 2]})
    output = FieldEncoder().set_output(transform=container).fit_transform(frame)
    assert list(output.columns) == ["a", "b"]
    assert output.to_numpy().dtype == np.int32


def test_names_of_arrays():
    encoder = FieldEncoder().fit(np.zeros((2, 3)))
    assert encoder.get_feature_names_out().tolist() == ["x0", "x1", "x2"]
    assert not hasattr(encoder, "feature_names_in_")


def mixed_frame():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "city": rng.choice(["a", "b", None], 60),
            "id": pd.array(rng.integers(BIG, BIG + 9, 60), dtype="Int64"),
            "price": rng.normal(size=60),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 5, 60), unit="D"),
            "hashed": rng.choice(list("uvw"), 60),
        }
    )


def round_trips():
    def through_skops(encoder):
        dumped = skops.io.dumps(encoder)
        types = skops.io.get_untrusted_types(data=dumped)
        assert all(name.startswith("sparsectr.") for name in types)
        return skops.io.loads(dumped, trusted=types)

    def through_joblib(encoder, path):
        joblib.dump(encoder, path, compress=3)
        return joblib.load(path)

    return {
        "pickle": lambda e, path: pickle.loads(pickle.dumps(e)),
        "joblib": through_joblib,
        "skops": lambda e, path: through_skops(e),
    }


@pytest.mark.parametrize("way", ["pickle", "joblib", "skops"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_saving_and_loading(way, method, tmp_path):
    frame = mixed_frame()
    encoder = getattr(FieldEncoder(min_frequency=2, hash_buckets={"hashed": 4}), method)(frame)
    codes = encoder.transform(frame)
    loaded = round_trips()[way](encoder, tmp_path / "encoder")
    np.testing.assert_array_equal(loaded.transform(frame), codes)
    assert_same_state(loaded, encoder)
    if method == "partial_fit":
        assert_same_state(loaded.partial_fit(frame), encoder.partial_fit(frame))


def test_a_vocabulary_is_stored_once():
    ids = np.arange(100_000)[:, None]
    assert len(pickle.dumps(FieldEncoder().fit(ids))) < 1.05 * ids.nbytes


def test_grid_search_over_the_encoder():
    frame = mixed_frame()
    pipeline = make_pipeline(
        FieldEncoder(), OneHotEncoder(handle_unknown="ignore"), LogisticRegression()
    )
    search = GridSearchCV(pipeline, {"fieldencoder__min_frequency": [1, 100]}, cv=2)
    search.fit(frame, np.arange(60) % 2)
    sizes = [
        clone(search.best_estimator_).set_params(fieldencoder__min_frequency=m).fit(
            frame, np.arange(60) % 2
        )[0].vocabulary_sizes_.sum()
        for m in (1, 100)
    ]  # fmt: skip
    assert sizes[0] > sizes[1] == 2 * 5
    assert len(set(np.round(search.cv_results_["mean_test_score"], 9))) == 2
