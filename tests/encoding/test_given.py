"""The encoder that an estimator is given."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import OrdinalEncoder

from sparsectr import DynIntClassifier, FieldEncoder, InteractionFeatures, UnknownValuesWarning

RNG = np.random.default_rng(0)
X = pd.DataFrame({"user": np.arange(300).astype(str), "site": RNG.choice(list("abc"), 300)})
Y = RNG.integers(0, 2, 300)
CHUNKS = [slice(start, start + 100) for start in (0, 100, 200)]


def make(encoder):
    return DynIntClassifier(max_epochs=2, embedding_dim=4, random_state=0, encoder=encoder)


@pytest.fixture
def whole():
    encoder = FieldEncoder()
    for rows in CHUNKS:
        encoder.partial_fit(X[rows])
    return encoder


def test_a_frozen_encoder_of_the_same_rows_changes_nothing(whole):
    kept, own = (make(encoder).fit(X, Y) for encoder in (FrozenEstimator(whole), "auto"))
    np.testing.assert_array_equal(kept.predict_proba(X), own.predict_proba(X))
    assert kept.interaction_table().equals(own.interaction_table())


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_frozen_encoder_keeps_its_vocabularies(whole, method):
    model = make(FrozenEstimator(whole))
    more = {"classes": [0, 1]} if method == "partial_fit" else {}
    getattr(model, method)(X[CHUNKS[0]], Y[CHUNKS[0]], **more)
    assert isinstance(model.encoder_, FieldEncoder)
    for found, expected in zip(model.encoder_.vocabularies_, whole.vocabularies_, strict=True):
        assert found.tolist() == expected.tolist()
    assert model.encoder_.unknown_share(X).tolist() == [0, 0]
    for rows in CHUNKS[1:]:
        model.partial_fit(X[rows], Y[rows])
    assert model.encoder_.unknown_share(X).tolist() == [0, 0]


def test_a_fitted_encoder_without_a_freeze_is_cloned(whole):
    model = make(whole).fit(X[:100], Y[:100])
    assert model.encoder_.vocabulary_sizes_.tolist() == [102, 5]
    assert whole.vocabulary_sizes_.tolist() == [302, 5]


def test_what_happens_to_the_encoder_later_is_not_seen(whole):
    whole.set_output(transform="pandas")
    model = make(FrozenEstimator(whole)).fit(X, Y)
    before = model.predict_proba(X)
    whole.partial_fit(pd.concat([X[200:]] * 5))  # other codes
    np.testing.assert_array_equal(model.predict_proba(X), before)
    assert isinstance(whole.transform(X), pd.DataFrame)
    assert isinstance(model.encoder_.transform(X), np.ndarray)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    ("table", "message"),
    [
        (X[["site", "user"]], "feature names should match"),
        (X.rename(columns={"site": "page"}), "feature names should match"),
        (X.assign(more="x"), "feature names should match"),
        (X[["user"]].to_numpy(), "expecting 2 features"),
    ],
)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_columns_are_those_of_the_frozen_encoder(whole, method, table, message):
    model = make(FrozenEstimator(whole))
    more = {"classes": [0, 1]} if method == "partial_fit" else {}
    with pytest.raises(ValueError, match=message):
        getattr(model, method)(table, Y, **more)
    assert not model.__sklearn_is_fitted__()


def test_a_frozen_encoder_of_other_types_is_named(whole):
    with pytest.warns(UnknownValuesWarning, match=r"'user' \(str in fit, int now\)"):
        make(FrozenEstimator(whole)).fit(X.assign(user=np.arange(300)), Y)


def test_clones_searches_and_pickles_keep_it(whole):
    model = make(FrozenEstimator(whole))
    search = GridSearchCV(model, {"learning_rate": [1e-3, 1e-2]}, cv=2).fit(X, Y)
    for found in (clone(model).fit(X[:50], Y[:50]), search.best_estimator_):
        again = pickle.loads(pickle.dumps(found))
        assert again.encoder_.unknown_share(X).tolist() == [0, 0]
        np.testing.assert_array_equal(again.predict_proba(X), found.predict_proba(X))


def test_interaction_features_keep_it(whole):
    features = InteractionFeatures(make(FrozenEstimator(whole)), encoder="codes", n_interactions=1)
    codes = features.fit(X[:100], Y[:100]).transform(X)
    np.testing.assert_array_equal(codes[:, :2], whole.transform(X))


@pytest.mark.parametrize(
    ("encoder", "error", "message"),
    [
        (FrozenEstimator(FieldEncoder()), NotFittedError, "not fitted"),
        (FrozenEstimator(OrdinalEncoder()), TypeError, "encoder must be 'auto', a FieldEncoder"),
        (OrdinalEncoder(), TypeError, r"FrozenEstimator\(fitted FieldEncoder\)"),
        ("none", TypeError, "got 'none'"),
        (None, TypeError, "got None"),
        (FieldEncoder, TypeError, "encoder must be"),
    ],
)
def test_other_encoders_are_refused(encoder, error, message):
    with pytest.raises(error, match=message):
        make(encoder).fit(X, Y)


def test_parameters_of_no_encoder():
    model = make("auto")
    with pytest.raises(
        ValueError, match=r"encoder__min_frequency .*encoder=FieldEncoder\(\.\.\.\)"
    ):
        model.set_params(max_epochs=7, encoder__min_frequency=2)
    assert model.max_epochs == 2
    model.set_params(encoder=FieldEncoder(), encoder__min_frequency=2)
    assert model.encoder.min_frequency == 2
    assert model.set_params(encoder__n_bins=3) is model
    with pytest.raises(ValueError, match=r"got encoder='auto'"):
        model.set_params(encoder="auto", encoder__n_bins=2)
    with pytest.raises(ValueError, match="Invalid parameter"):
        model.set_params(encoder__epochs=2)
