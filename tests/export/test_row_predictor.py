"""One row at a time: the same probabilities, whatever the cells are."""

import datetime as dt
import pickle
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError

from sparsectr import (
    DynIntClassifier,
    DynIntRegressor,
    FieldEncoder,
    OptFeatureClassifier,
    OptFeatureRegressor,
    ProfitClassifier,
    ProfitRegressor,
)

RNG = np.random.default_rng(0)
N = 400
DAYS = pd.to_datetime("2020-01-01") + pd.to_timedelta(RNG.integers(9, size=N), unit="D")
X = pd.DataFrame(
    {
        "city": RNG.choice(["Oslo", "Bergen", None], size=N),
        "id": RNG.integers(30, size=N),
        "price": np.where(RNG.random(N) < 0.1, np.nan, RNG.normal(size=N).round(2)),
        "day": DAYS,
        "flag": RNG.random(N) < 0.5,
        "mixed": pd.Series(RNG.choice(["a", 1, 2.5, Decimal("3.5")], size=N), dtype=object),
    }
)
Y = np.where((X["id"] % 3 == 0) ^ X["flag"], "yes", "no")
Y3 = np.where(X["id"] % 5 == 0, "perhaps", Y)
QUICK = {"max_epochs": 1, "embedding_dim": 4, "random_state": 0}
METHODS = {
    "pin": (DynIntClassifier(**QUICK), Y),
    "dwp": (DynIntClassifier(variant="dwp", **QUICK), Y3),
    "profit": (ProfitClassifier(search_epochs=1, **QUICK), Y3),
    "mlp": (ProfitClassifier(predictor="mlp", search_epochs=1, **QUICK), Y),
    "optfeature": (OptFeatureClassifier(search_epochs=1, granularity="hybrid", **QUICK), Y),
    "hashed": (DynIntClassifier(encoder=FieldEncoder(hash_buckets={"city": 7}), **QUICK), Y),
    "squares": (DynIntClassifier(encoder=FieldEncoder(numeric="log_square"), **QUICK), Y),
    "several": (DynIntClassifier(encoder=FieldEncoder(numeric_columns="several"), **QUICK), Y),
}


@pytest.fixture(scope="module", params=METHODS)
def fitted(request):
    clf, y = METHODS[request.param]
    return clf.fit(X, y)


@pytest.mark.filterwarnings("ignore::sparsectr.UnknownValuesWarning")
def test_rows_of_the_table(fitted):
    predict = fitted.compile_predictor()
    expected = fitted.predict_proba(X[:60])
    names = X.columns.tolist()
    for row, probabilities in zip(X[:60].itertuples(index=False), expected, strict=True):
        found = predict(tuple(row))
        assert found.shape == probabilities.shape
        np.testing.assert_allclose(found, probabilities, atol=1e-6)
        again = predict(dict(zip(names, row, strict=True)) | {"more": 1})
        np.testing.assert_array_equal(again, found)
    assert predict.n_calls == 120


REGRESSORS = {
    "dgp": DynIntRegressor(variant="dgp", n_members=2, **QUICK),
    "poisson": DynIntRegressor(loss="poisson", variant="da", n_subspaces=2, **QUICK),
    "several": OptFeatureRegressor(operator="outer", search_epochs=1, **QUICK),
    "profit": ProfitRegressor(loss="poisson", search_epochs=1, **QUICK),
}


@pytest.mark.parametrize("name", REGRESSORS)
def test_numbers_of_rows(name):
    reg = REGRESSORS[name].fit(X, 50.0 + 30 * X["id"])
    predict = reg.compile_predictor()
    found = [predict(tuple(row)) for row in X[:40].itertuples(index=False)]
    assert {type(number) for number in found} == {float}
    expected = reg.predict(X[:40])
    scale = max(reg.target_scale_, expected.max())
    np.testing.assert_allclose(found, expected, atol=1e-6 * scale)
    row = X.iloc[0].to_dict()
    assert pickle.loads(pickle.dumps(predict))(row) == predict(row)
    with pytest.raises(NotFittedError):
        DynIntRegressor().compile_predictor()


CELLS = [
    *(None, float("nan"), pd.NaT, pd.NA, "Oslo", "Paris", "", np.str_("Oslo"), 0, 7, 7.0, 1e6),
    *(np.int64(7), np.float32(7), True, False, np.True_, Decimal(7), 2**70, -(2**53) - 1),
    *(dt.date(2020, 1, 3), dt.datetime(2020, 1, 3), np.datetime64("2020-01-03"), DAYS[0]),
    *(DAYS[0].tz_localize("UTC"), dt.datetime(2020, 1, 3, 12), dt.timedelta(1), ("Oslo",)),
]
NUMBERS = [
    *(None, float("nan"), 0.0, -0.0, 0.5, 1e300, float("inf"), -float("inf"), 3, True),
    *(np.float32(0.5), np.int8(1), Decimal("0.25"), 2**70, 2**53 + 1, pd.NA),
]


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_cells_are_encoded_as_in_a_table(fitted, data):
    cells = [data.draw(st.sampled_from(CELLS)) for _ in range(6)]
    cells[2] = data.draw(st.sampled_from(NUMBERS))
    frame = pd.DataFrame({name: pd.Series([None], dtype=object) for name in X})
    for j, cell in enumerate(cells):
        frame.iat[0, j] = cell
    predict = fitted.compile_predictor()
    np.testing.assert_allclose(predict(cells), fitted.predict_proba(frame)[0], atol=1e-6)
    codes = fitted.encoder_.transform(frame)[0][fitted.encoder_._main_columns]
    assert list(predict.unknown_counts.values()) == (codes == 0).astype(int).tolist()


def test_unknown_values_are_counted(fitted):
    if fitted.encoder_.hash_buckets:
        pytest.skip("hashed fields know every value")
    predict = fitted.compile_predictor()
    row = X.iloc[0].to_dict()
    predict(row)
    predict(row | {"city": "Paris", "id": 10**9})
    predict(row | {"city": None, "id": -5})
    assert predict.unknown_counts["city"] == 1
    assert predict.unknown_counts["id"] == 2
    assert sum(predict.unknown_counts.values()) == 3


def test_it_is_pickled_and_keeps_its_fit(fitted):
    predict = fitted.compile_predictor()
    row = tuple(X.iloc[0])
    before = predict(row)
    again = pickle.loads(pickle.dumps(predict))
    np.testing.assert_array_equal(again(row), before)
    assert again.n_calls == 1
    fitted.partial_fit(X, np.resize(fitted.classes_, N))
    np.testing.assert_array_equal(predict(row), before)
    assert (fitted.compile_predictor()(row) != before).any()


def test_what_is_no_row_is_refused():
    clf = DynIntClassifier(**QUICK).fit(X, Y)
    predict = clf.compile_predictor()
    with pytest.raises(ValueError, match=r"\['flag'\] are not there; None is a missing value"):
        predict(X.iloc[0].drop("flag").to_dict())
    for row in (("Oslo", 1), "Oslo", None):
        with pytest.raises(ValueError, match="row must be a dict, or a tuple of 6 values"):
            predict(row)
    with pytest.raises(ValueError, match=r"Field 'price': a numeric field must hold numbers"):
        predict(X.iloc[0].to_dict() | {"price": "cheap"})
    with pytest.raises(ValueError, match=r"Field 'city': every cell must be hashable"):
        predict(X.iloc[0].to_dict() | {"city": ["Oslo"]})
    with pytest.raises(NotFittedError):
        DynIntClassifier().compile_predictor()
