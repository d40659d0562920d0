"""Columns of discovered crosses: exact, without leaks, in every container, worth having."""

import pickle
import re

import category_encoders as ce
import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, TargetEncoder
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_get_feature_names_out_error,
    check_global_output_transform_pandas,
    check_global_set_output_transform_polars,
    check_inplace_ensure_writeable,
    check_set_output_transform,
    check_set_output_transform_pandas,
    check_set_output_transform_polars,
    check_transformer_get_feature_names_out,
    check_transformer_get_feature_names_out_pandas,
)

from sparsectr.datasets import make_clicks
from sparsectr.encoding.field_encoder import FieldEncoder
from sparsectr.exceptions import UnknownValuesWarning
from sparsectr.interactions.features import InteractionFeatures
from sparsectr.interactions.interaction import Interaction
from sparsectr.methods.dynint.regressor import DynIntRegressor
from sparsectr.methods.profit.classifier import ProfitClassifier

# category-encoders 2.11 with pandas 3.
pytestmark = pytest.mark.filterwarnings("ignore:'future.no_silent_downcasting' is deprecated")


class Lister(ClassifierMixin, BaseEstimator):
    """Discover the crosses that it is told."""

    selected_interactions_: list[Interaction]

    def __init__(self, crosses=(("f0", "f1"), ("f1", "f2", "f3"), ("f2", "f3"))):
        self.crosses = crosses

    def fit(self, X, y, sample_weight=None):
        self.selected_interactions_ = [
            Interaction(fields, len(fields), 1 / (i + 1)) for i, fields in enumerate(self.crosses)
        ]
        self.sample_weight_ = sample_weight
        self.fits_ = getattr(self, "fits_", 0) + 1
        return self


@pytest.fixture(scope="module")
def clicks():
    return make_clicks(1_500, 4, 6, crosses=[(0, 1)], random_state=0)


def fit(clicks, **parameters):
    return InteractionFeatures(Lister(), random_state=0, **parameters).fit(clicks.X, clicks.y)


# Which columns ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ({}, ["f0", "f1", "f2", "f3", "f0 × f1", "f1 × f2 × f3", "f2 × f3"]),
        ({"n_interactions": 1}, ["f0", "f1", "f2", "f3", "f0 × f1"]),
        ({"orders": [3], "keep_original": False}, ["f1 × f2 × f3"]),
        ({"orders": {2}, "n_interactions": 2, "keep_original": False}, ["f0 × f1", "f2 × f3"]),
        ({"n_interactions": 0}, ["f0", "f1", "f2", "f3"]),
        (
            {"n_interactions": None, "keep_original": False},
            ["f0 × f1", "f1 × f2 × f3", "f2 × f3"],
        ),
    ],
)
@pytest.mark.parametrize("encoder", ["target", "count", "codes", "category"])
def test_columns(clicks, encoder, parameters, names):
    features = fit(clicks, encoder=encoder, **parameters)
    assert features.get_feature_names_out().tolist() == names
    assert features.transform(clicks.X).shape == (1_500, len(names))
    crosses = [name for name in names if "×" in name]
    assert [" × ".join(cross.fields) for cross in features.interactions_] == crosses


def test_codes_are_those_of_the_fields_and_the_groups_of_their_crosses(clicks):
    columns = fit(clicks, encoder="codes").transform(clicks.X)
    assert columns.dtype == np.int32
    assert np.array_equal(columns[:, :4], FieldEncoder().fit_transform(clicks.X))
    groups = clicks.X.groupby(["f1", "f2", "f3"]).ngroup()
    pairs = pd.DataFrame({"group": groups, "code": columns[:, 5]}).drop_duplicates()
    assert pairs["group"].is_unique
    assert pairs["code"].is_unique


def test_counts_are_of_other_rows(clicks):
    features = fit(clicks, encoder="count")
    columns = features.transform(clicks.X)
    for j, fields in ((1, ["f1"]), (5, ["f1", "f2", "f3"])):
        assert np.array_equal(columns[:, j], clicks.X.groupby(fields)["f0"].transform("size"))
    assert columns[:, 5].min() < columns[:, 5].max()
    # A row does not meet itself again: to it, the training rows are one less.
    assert np.array_equal(features.fit_transform(clicks.X, clicks.y), columns - 1)
    strange = clicks.X.iloc[:1].assign(f1="never seen")
    assert features.transform(strange)[0, [1, 4, 5]].tolist() == [0, 0, 0]


def test_categories_carry_their_values_and_the_index_of_the_rows(clicks):
    X = clicks.X.set_axis(np.arange(1_500)[::-1])
    frame = fit(clicks, encoder="category").transform(X)
    assert frame.index.equals(X.index)
    assert (frame["f0 × f1"].astype(str) == X["f0"] + " × " + X["f1"]).all()
    strange = X.iloc[:2].assign(f0=["never seen", None])
    assert fit(clicks, encoder="category").transform(strange)["f0 × f1"].tolist() == ["unknown"] * 2


def test_one_hot_columns_are_indicators_with_readable_names(clicks):
    features = fit(clicks, encoder="onehot")
    encoded = features.transform(clicks.X)
    assert isinstance(encoded, sp.csr_matrix | sp.csr_array)
    assert (encoded.sum(axis=1) == 7).all()
    column = features.get_feature_names_out().tolist().index("f0 × f1_f0_1 × f1_0")
    expected = (clicks.X["f0"] == "f0_1") & (clicks.X["f1"] == "f1_0")
    assert np.array_equal(encoded[:, [column]].toarray().ravel(), expected)
    # A combination never seen has no column, and its fields keep theirs.
    unseen = features.transform(clicks.X.iloc[:1].assign(f0="never seen"))
    assert unseen.sum() == 7 - 2


def test_the_threshold_of_hashing_is_kept(clicks):
    exact, hashed = fit(clicks, encoder="codes"), fit(clicks, encoder="codes", hash_buckets=10)
    n = clicks.X.groupby(["f0", "f1"]).ngroups
    assert len(np.unique(exact.transform(clicks.X)[:, 4])) == n > 10
    assert len(np.unique(hashed.transform(clicks.X)[:, 4])) <= 10
    assert np.array_equal(hashed.transform(clicks.X)[:, :4], exact.transform(clicks.X)[:, :4])


# Encoders --------------------------------------------------------------------------------


def test_target_statistics_are_those_of_scikit_learn(clicks):
    encoded = fit(clicks).transform(clicks.X)
    joined = (clicks.X["f0"] + clicks.X["f1"]).to_frame()
    expected = TargetEncoder(target_type="continuous").fit(joined, clicks.y).transform(joined)
    assert np.allclose(encoded[:, [4]], expected)


@pytest.mark.parametrize(
    "encoder",
    [
        ce.TargetEncoder(),
        ce.CountEncoder(),
        ce.CatBoostEncoder(),
        ce.HashingEncoder(n_components=4),
        ce.WOEEncoder(),
        ce.LeaveOneOutEncoder(),
        ce.MEstimateEncoder(),
        ce.JamesSteinEncoder(),
        ce.OrdinalEncoder(),
        ce.BinaryEncoder(),
        ce.OneHotEncoder(),
        TargetEncoder(),
        OneHotEncoder(handle_unknown="ignore", min_frequency=5),
    ],
    ids=lambda encoder: f"{type(encoder).__module__.split('.')[0]}-{type(encoder).__name__}",
)
def test_any_encoder_can_be_used_refitted_and_cloned(clicks, encoder):
    before = encoder.get_params()
    features = InteractionFeatures(Lister(), encoder=encoder, random_state=0)
    encoded = features.fit_transform(clicks.X, clicks.y)
    again = clone(features).fit_transform(clicks.X, clicks.y)
    other = clicks.X.set_axis(["g0", "g1", "g2", "g3"], axis=1)
    crosses = [("g0", "g1"), ("g1", "g2", "g3"), ("g2", "g3")]
    renamed = features.set_params(estimator__crosses=crosses).fit_transform(other, clicks.y)
    assert encoder.get_params() == before
    assert encoded.shape == (1_500, len(features.get_feature_names_out()))
    for same in (again, renamed):
        assert np.array_equal(_dense(same), _dense(encoded))
    with pytest.warns(UnknownValuesWarning, match="'g0'"):
        unseen = features.transform(other.assign(g0="never seen"))
    assert np.isfinite(_dense(unseen)).all()


def _dense(X):
    return X.toarray() if sp.issparse(X) else X


def test_an_encoder_without_a_target_does_the_same_in_training_and_later(clicks):
    for encoder in ("onehot", "codes", ce.CountEncoder()):
        features = InteractionFeatures(Lister(), encoder=encoder)
        fitted = features.fit_transform(clicks.X, clicks.y)
        assert np.array_equal(_dense(fitted), _dense(features.transform(clicks.X)))


@pytest.mark.parametrize("encoder", ["target", ce.TargetEncoder(smoothing=1, min_samples_leaf=1)])
def test_noise_stays_noise(encoder):
    """With as many categories as rows, statistics that leak tell the label."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({name: rng.integers(0, 50, 4_000) for name in ("f0", "f1", "f2", "f3")})
    y = rng.integers(0, 2, 4_000)
    features = InteractionFeatures(
        Lister(), keep_original=False, encoder=encoder, orders=[2], random_state=0
    )
    for honest, leaking in zip(
        features.fit_transform(X, y).T, features.transform(X).T, strict=True
    ):
        # Standard error of an area of 0.5 on 2,000 + 2,000 rows: 0.009.
        assert abs(roc_auc_score(y, honest) - 0.5) < 0.04
        assert roc_auc_score(y, leaking) > 0.8


def test_three_classes_give_a_column_per_class(clicks):
    y = np.array(["no", "maybe", "yes"])[np.arange(1_500) % 3]
    for encoder in ("target", ce.TargetEncoder()):
        features = InteractionFeatures(Lister(), encoder=encoder, keep_original=False)
        features.set_params(n_interactions=1, random_state=0)
        encoded = features.fit_transform(clicks.X, y)
        names = ["f0 × f1_maybe", "f0 × f1_no", "f0 × f1_yes"]
        assert features.get_feature_names_out().tolist() == names
        assert encoded.shape == features.transform(clicks.X).shape == (1_500, 3)
        for column, label in enumerate(["maybe", "no", "yes"]):
            binary = features.fit(clicks.X, y == label).transform(clicks.X)
            features.fit(clicks.X, y)
            assert np.allclose(features.transform(clicks.X)[:, [column]], binary)


# The contract ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "check",
    [
        check_dataframe_column_names_consistency,
        check_get_feature_names_out_error,
        check_global_output_transform_pandas,
        check_global_set_output_transform_polars,
        check_inplace_ensure_writeable,
        check_set_output_transform,
        check_set_output_transform_pandas,
        check_set_output_transform_polars,
        check_transformer_get_feature_names_out,
        check_transformer_get_feature_names_out_pandas,
    ],
)
@pytest.mark.parametrize("encoder", ["target", "codes"])
# The checks mix frames and arrays.
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
def test_checks_of_containers(check, encoder):
    clf = ProfitClassifier(search_epochs=1, max_epochs=1, random_state=0)
    check("InteractionFeatures", InteractionFeatures(clf, encoder=encoder, random_state=0))


@pytest.mark.parametrize("encoder", ["target", "codes", "category", ce.CountEncoder()])
def test_every_container_holds_the_same(clicks, encoder):
    features = InteractionFeatures(Lister(), encoder=encoder, random_state=0)
    plain = np.asarray(features.fit_transform(clicks.X, clicks.y))
    names = features.get_feature_names_out().tolist()
    features.set_output(transform="pandas")
    frame = features.fit_transform(clicks.X, clicks.y)
    assert isinstance(frame, pd.DataFrame)
    assert frame.columns.tolist() == names
    assert np.array_equal(frame.to_numpy(), plain)
    features.set_output(transform="polars")
    frame = features.fit_transform(pl.from_pandas(clicks.X), clicks.y)
    assert isinstance(frame, pl.DataFrame)
    assert frame.columns == names
    assert np.array_equal(frame.to_numpy(), plain)


def test_sparse_output_in_a_frame_is_refused(clicks):
    features = fit(clicks, encoder="onehot").set_output(transform="pandas")
    with pytest.raises(ValueError, match="sparse"):
        features.transform(clicks.X)


def test_fitted_estimators_are_taken_as_they_are(clicks):
    clf = Lister().fit(clicks.X, clicks.y)
    prefit = InteractionFeatures(clf, prefit=True).fit(clicks.X, clicks.y)
    assert prefit.estimator_ is clf
    frozen = clone(InteractionFeatures(FrozenEstimator(clf))).fit(clicks.X, clicks.y)
    assert clf.fits_ == 1
    assert np.array_equal(prefit.transform(clicks.X), frozen.transform(clicks.X))
    assert not hasattr(InteractionFeatures(Lister()).fit(clicks.X, clicks.y).estimator, "fits_")


def test_values_that_a_fitted_estimator_has_not_seen_are_joined_too(clicks):
    clf = ProfitClassifier(search_epochs=1, max_epochs=1, random_state=0)
    clf.fit(clicks.X[clicks.X["f0"] != "f0_0"], clicks.y[clicks.X["f0"] != "f0_0"])
    features = InteractionFeatures(clf, prefit=True, encoder="codes").fit(clicks.X, clicks.y)
    assert (features.transform(clicks.X) >= 2).all()


def test_the_estimator_says_how_fields_are_encoded(clicks):
    clf = ProfitClassifier(
        encoder=FieldEncoder(max_categories=2), search_epochs=1, max_epochs=1, random_state=0
    )
    codes = InteractionFeatures(clf, encoder="codes").fit(clicks.X, clicks.y).transform(clicks.X)
    assert codes[:, :4].max() == 3


@pytest.mark.parametrize("routing", [False, True])
def test_weights_reach_the_estimator(clicks, routing):
    weights = np.arange(1_500.0)
    with config_context(enable_metadata_routing=routing):
        lister = Lister()
        if routing:
            lister.set_fit_request(sample_weight=True)
        features = InteractionFeatures(lister)
        for method in (features.fit, features.fit_transform):
            method(clicks.X, clicks.y, sample_weight=weights)
            assert features.estimator_.sample_weight_ is weights


def test_equal_seeds_give_equal_columns(clicks):
    first, second, other = (
        InteractionFeatures(Lister(), random_state=seed).fit_transform(clicks.X, clicks.y)
        for seed in (0, 0, 1)
    )
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_grid_search_through_a_pipeline_pickled_and_reused():
    clicks = make_clicks(2_000, 3, 5, crosses=[(0, 1)], cross_effect=1.5, random_state=0)
    clf = ProfitClassifier(search_epochs=2, max_epochs=2, embedding_dim=4, random_state=0)
    pipeline = make_pipeline(InteractionFeatures(clf, random_state=0), LogisticRegression())
    grid = {"interactionfeatures__n_interactions": [0, 1]}
    search = GridSearchCV(pipeline, grid, scoring="neg_log_loss", cv=2).fit(clicks.X, clicks.y)
    losses = -search.cv_results_["mean_test_score"]
    assert losses[1] < losses[0] - 0.02
    features = search.best_estimator_[0]
    assert search.best_params_ == {"interactionfeatures__n_interactions": 1}
    assert features.interactions_[0].fields == ("f0", "f1")
    expected = search.predict_proba(clicks.X)
    assert np.array_equal(pickle.loads(pickle.dumps(search)).predict_proba(clicks.X), expected)


def test_a_file_holds_everything(clicks, tmp_path):
    for encoder in ("target", "count", "onehot", "category"):
        features = fit(clicks, encoder=encoder)
        joblib.dump(features, tmp_path / "features.joblib", compress=3)
        again = joblib.load(tmp_path / "features.joblib")
        expected, found = features.transform(clicks.X), again.transform(clicks.X)
        if encoder == "category":
            pd.testing.assert_frame_equal(found, expected)
        else:
            assert np.array_equal(_dense(found), _dense(expected))


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"n_interactions": -1}, ValueError, "n_interactions must be None or an int >= 0, got -1"),
        ({"orders": [1]}, ValueError, "every entry of orders must be an int >= 2, got 1"),
        ({"orders": 2}, ValueError, "orders must be a list or tuple of ints >= 2, got 2"),
        ({"encoder": "woe"}, ValueError, "encoder must be one of 'target', .* got 'woe'"),
        ({"encoder": 3}, TypeError, "encoder must be one of .* or a transformer, got 3"),
        ({"keep_original": "no"}, ValueError, "keep_original must be one of True, False"),
        ({"hash_buckets": 0}, ValueError, "hash_buckets must be None or an int >= 1"),
        ({"cv": 1}, ValueError, "cv must be an int >= 2, got 1"),
        ({"orders": [4], "keep_original": False}, ValueError, "there must be a column to make"),
        ({"prefit": True}, NotFittedError, "Lister instance is not fitted"),
        ({"estimator__crosses": [("f0", "f9")]}, ValueError, r"\['f9'\] are missing"),
    ],
)
def test_what_is_refused(clicks, parameters, error, message):
    features = InteractionFeatures(Lister()).set_params(**parameters)
    with pytest.raises(error, match=message):
        features.fit(clicks.X, clicks.y)


def test_more_crosses_than_the_estimator_lists_are_refused(clicks):
    features = InteractionFeatures(ProfitClassifier(n_interactions=5), n_interactions=6)
    with pytest.raises(ValueError, match=r"own n_interactions, 5, got 6; raise estimator__n_inter"):
        features.fit(clicks.X, clicks.y)


def test_two_columns_of_one_name_are_refused(clicks):
    X = clicks.X.set_axis(["f0", "f1", "f0 × f1", "f3"], axis=1)
    with pytest.raises(ValueError, match="names of all columns must be different"):
        InteractionFeatures(Lister([("f0", "f1")])).fit(X, clicks.y)


# Worth having ----------------------------------------------------------------------------


def test_a_planted_pair_brings_logistic_regression_close_to_the_oracle():
    clicks = make_clicks(12_000, 6, 10, crosses=[(0, 1)], cross_effect=1.5, random_state=0)
    train, test = slice(0, 8_000), slice(8_000, None)
    clf = ProfitClassifier(search_epochs=3, max_epochs=3, random_state=0)
    frozen = FrozenEstimator(clf.fit(clicks.X[train], clicks.y[train]))
    assert clf.selected_interactions_[0].fields == ("f0", "f1")
    oracle = log_loss(clicks.y[test], 1 / (1 + np.exp(-clicks.log_odds[test])))
    for encoder, spared in (("onehot", 0.8), ("target", 0.8)):
        losses = []
        for n in (0, 1):
            features = InteractionFeatures(frozen, n_interactions=n, encoder=encoder)
            model = make_pipeline(
                features.set_params(random_state=0),
                StandardScaler(with_mean=False),
                LogisticRegression(C=0.1, max_iter=300),
            )
            model.fit(clicks.X[train], clicks.y[train])
            losses.append(log_loss(clicks.y[test], model.predict_proba(clicks.X[test])))
        # Most of what fields alone leave to the oracle.
        assert losses[1] < losses[0] - spared * (losses[0] - oracle)


def test_categories_serve_boosted_trees(clicks):
    features = InteractionFeatures(Lister(), encoder="category", n_interactions=1)
    trees = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=20)
    model = make_pipeline(features, trees).fit(clicks.X, clicks.y)
    assert roc_auc_score(clicks.y, model.predict_proba(clicks.X)[:, 1]) > 0.6
    assert trees.is_categorical_.all()


@pytest.mark.parametrize("dtype", [bool, np.int64, np.str_])
def test_labels_of_dtype_object_are_their_values(clicks, dtype):
    y = clicks.y.astype(dtype)
    features = InteractionFeatures(Lister(), random_state=0)
    plain = features.fit_transform(clicks.X, y)
    as_objects = features.fit_transform(clicks.X, pd.Series(y.tolist(), dtype=object))
    np.testing.assert_array_equal(as_objects, plain)


def test_an_estimator_without_crosses_is_refused_before_it_is_fitted(clicks):
    class Never(LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            pytest.fail("it must not be fitted")

    with pytest.raises(TypeError, match="estimator must list crosses in selected_interactions_"):
        InteractionFeatures(Never()).fit(clicks.X, clicks.y)
    for wrong in (None, LogisticRegression, [("f0", "f1")], [Interaction(("f0", "f1"), 2, 0.5)]):
        with pytest.raises(TypeError, match="for crosses that you know, pass ListedInteractions"):
            InteractionFeatures(wrong).fit(clicks.X, clicks.y)


@pytest.mark.parametrize("name", ["float64", "float32", "objects"])
def test_numbers_stay_what_they_are_beside_categories(clicks, name):
    carat = np.random.default_rng(0).integers(0, 400, len(clicks.X)) / 64
    carat[::9] = np.nan
    table = clicks.X.assign(f0=carat, f1=carat[::-1])
    if name == "objects":
        table = table.astype({"f0": object}).where(table.notna(), None)
    else:
        table = table.astype({"f0": name})
    features = InteractionFeatures(
        Lister(crosses=[("f0", "f2")]), encoder="category", n_interactions=1
    )
    for frame in (
        features.fit_transform(table, clicks.y),
        features.fit(table, clicks.y).transform(table),
    ):
        np.testing.assert_array_equal(frame["f0"], carat)
        np.testing.assert_array_equal(frame["f1"], carat[::-1])
        assert frame["f2"].astype(str).tolist() == clicks.X["f2"].astype(str).tolist()
        left, _, right = frame["f0 × f2"][1].partition(" × ")
        assert right == str(clicks.X["f2"][1])
        low, high = left.strip("()[]").split(", ")
        assert float(low) < carat[1] <= float(high)
        assert frame["f0 × f2"][0].startswith("missing × ")
    onehot = InteractionFeatures(Lister(crosses=[("f0", "f2")]), encoder="onehot").fit(
        table, clicks.y
    )
    assert "f0_missing" in onehot.get_feature_names_out()
    assert any(re.fullmatch(r"f0_\(-inf, .*\]", n) for n in onehot.get_feature_names_out())


def test_a_table_without_names_is_warned_of_once(clicks):
    features = InteractionFeatures(Lister(), encoder="codes").fit(clicks.X, clicks.y)
    with pytest.warns(UserWarning, match="does not have valid feature names") as caught:
        found = features.transform(clicks.X.to_numpy(dtype=object))
    assert len(caught) == 1
    np.testing.assert_array_equal(found, features.transform(clicks.X))


def test_statistics_of_numbers_are_out_of_fold_means():
    """Where the estimator is a regressor, the target is the number itself."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 6, (2_000, 3))
    X = pd.DataFrame(codes, columns=list("abc")).astype(str)
    cross = rng.normal(size=(6, 6))
    y = 10 + cross[codes[:, 0], codes[:, 1]] + 0.1 * rng.normal(size=2_000)
    reg = DynIntRegressor(max_epochs=10, random_state=0)
    features = InteractionFeatures(reg, n_interactions=1, random_state=0)
    train = features.fit_transform(X[:1_500], y[:1_500])
    test = features.transform(X[1_500:])
    assert features.interactions_[0].fields == ("a", "b")
    assert features.get_feature_names_out().tolist() == ["a", "b", "c", "a × b"]
    for encoded, true in ((train, y[:1_500]), (test, y[1_500:])):
        assert np.corrcoef(encoded[:, 3], true)[0, 1] > 0.95
    noise = rng.permutation(y[:1_500])
    alone = features.fit_transform(X[:1_500].assign(c=np.arange(1_500).astype(str)), noise)
    # A value of its own knows nothing of its row.
    assert abs(np.corrcoef(alone[:, 2], noise)[0, 1]) < 0.2
