"""Estimators on fields of several values."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import skops.io
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV

from sparsectr import (
    CrossEnsembleClassifier,
    DynIntClassifier,
    DynIntRegressor,
    FieldEncoder,
    InteractionFeatures,
    OptFeatureClassifier,
    OptFeatureRegressor,
    ProfitClassifier,
    ProfitRegressor,
)
from sparsectr.stored_state import trusted_types

CLASSIFIERS = [DynIntClassifier, OptFeatureClassifier, ProfitClassifier]
REGRESSORS = [DynIntRegressor, OptFeatureRegressor, ProfitRegressor]
LETTERS = list("abcdefgh")
# What a letter does, together with the field "v" of -1 and 1.
EFFECTS = dict(zip(LETTERS, np.linspace(-2.5, 2.5, 8), strict=True))
N_ROWS = 2400


def make_rows(seed, n_rows=N_ROWS, most=4):
    rng = np.random.default_rng(seed)
    tags = [
        rng.choice(LETTERS, rng.integers(0, most), replace=False).tolist() for _ in range(n_rows)
    ]
    frame = pd.DataFrame({"tags": tags, "v": rng.integers(0, 2, n_rows).astype(str)})
    frame["noise"] = rng.integers(0, 5, n_rows).astype(str)
    mean = np.array([np.mean([EFFECTS[tag] for tag in some]) if some else 0.0 for some in tags])
    log_odds = 1.5 * mean * (2 * (frame["v"] == "1") - 1).to_numpy()
    y = (rng.random(n_rows) < 1 / (1 + np.exp(-log_odds))).astype(int)
    return frame, y, log_odds


TRAIN, Y, LOG_ODDS = make_rows(0)
TEST, Y_TEST, LOG_ODDS_TEST = make_rows(1, most=6)


def new_sets(clf, frame):
    new = clf.encoder_._new_bags()
    clf.encoder_._encode(frame, new=new)
    return len(new.rows().rows)


@pytest.fixture(scope="module")
def fitted():
    return {cls: cls(max_epochs=4, random_state=0).fit(TRAIN, Y) for cls in CLASSIFIERS}


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_sets_that_training_has_not_seen_are_predicted(fitted, cls):
    clf = fitted[cls]
    assert new_sets(clf, TEST) > 100
    predicted = clf.predict_proba(TEST)[:, 1]
    best = roc_auc_score(Y_TEST, LOG_ODDS_TEST)
    assert roc_auc_score(Y_TEST, predicted) > best - 0.03
    # One row at a time, and whatever the order of the values.
    turned = TEST.assign(tags=[some[::-1] for some in TEST["tags"]])
    np.testing.assert_allclose(clf.predict_proba(turned)[:, 1], predicted, rtol=1e-6)
    single = np.concatenate([clf.predict_proba(TEST.iloc[[row]])[:, 1] for row in range(20)])
    np.testing.assert_allclose(single, predicted[:20], rtol=1e-6)


@pytest.mark.parametrize("cls", [*CLASSIFIERS, *REGRESSORS])
def test_sets_of_one_value_are_a_field_of_single_values(cls):
    rng = np.random.default_rng(0)
    values = rng.choice(LETTERS, 800)
    single = TRAIN[:800].assign(tags=values)
    several = TRAIN[:800].assign(tags=[[value] for value in values])
    target = LOG_ODDS[:800] if cls in REGRESSORS else Y[:800]
    model = cls(max_epochs=2, random_state=0, early_stopping=True)
    one, other = clone(model).fit(single, target), clone(model).fit(several, target)
    predict = "predict" if cls in REGRESSORS else "predict_proba"
    np.testing.assert_array_equal(getattr(other, predict)(several), getattr(one, predict)(single))
    np.testing.assert_equal(other.history_, one.history_)
    pd.testing.assert_frame_equal(other.interaction_table(), one.interaction_table())
    pd.testing.assert_frame_equal(other.value_effects(["tags"]), one.value_effects(["tags"]))


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_stored_estimators_predict_the_same(fitted, cls):
    clf = fitted[cls]
    expected = clf.predict_proba(TEST)
    for again in (
        pickle.loads(pickle.dumps(clf)),
        skops.io.loads(skops.io.dumps(clf), trusted=trusted_types),
    ):
        np.testing.assert_array_equal(again.predict_proba(TEST), expected)


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_effects_are_those_of_single_values(fitted, cls):
    clf = fitted[cls]
    table = clf.value_effects(["tags"])
    counts = TRAIN["tags"].explode().value_counts()
    found = table.dropna(subset="tags").set_index("tags")
    assert set(found.index) == set(LETTERS)
    # Of all rows, or of the sample on which this was measured.
    assert (found["count"] / counts[found.index]).std() < 0.06
    cross = clf.value_effects(["tags", "v"]).dropna()
    assert set(cross["tags"]) == set(LETTERS)
    wanted = cross["tags"].map(EFFECTS) * (2 * cross["v"].astype(int) - 1)
    assert np.corrcoef(cross["effect"], wanted)[0, 1] > 0.9
    assert clf.field_table().set_index("field").loc["tags", "n_values"] == 8


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_explanations_add_up_for_new_sets(fitted, cls):
    clf = fitted[cls]
    some = TEST[[len(tags) > 4 for tags in TEST["tags"]]][:5]
    assert new_sets(clf, some) > 0
    entries = clf.explain(some, None, complete=True)
    p = clf.predict_proba(some)[:, 1]
    np.testing.assert_allclose(
        entries.groupby("row")["contribution"].sum(), np.log(p / (1 - p)), atol=1e-5
    )
    shown = entries[entries["fields"] == ("tags",)]["values"].tolist()
    assert shown == [(", ".join(tags),) for tags in some["tags"]]
    # The definition, by predictions of rows whose other values are unknown.
    unknown = some.assign(v="?", noise="?")
    log_odds = [np.log(q / (1 - q)) for q in clf.predict_proba(unknown)[:, 1]]
    nothing = clf.predict_proba(unknown[:1].assign(tags=[["?"]]))[0, 1]
    main = np.array(log_odds) - np.log(nothing / (1 - nothing))
    alone = entries[entries["fields"] == ("tags",)]["contribution"]
    np.testing.assert_allclose(alone, main, atol=1e-5)


def test_carriers(fitted):
    clf = fitted[DynIntClassifier]
    expected = clf.predict_proba(TEST)
    for table in (
        pl.DataFrame(TEST.to_dict("list")),
        pa.Table.from_pandas(TEST),
        pa.Table.from_pandas(TEST).to_pandas(),
    ):
        np.testing.assert_array_equal(clf.predict_proba(table), expected)
    with pytest.warns(UserWarning, match="feature names"):
        rows = clf.predict_proba(TEST.to_numpy().tolist())
    np.testing.assert_array_equal(rows, expected)


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_files(cls, tmp_path):
    files = {"train": (TRAIN, Y), "val": (TEST[:300], Y_TEST[:300]), "test": (TEST[300:], None)}
    for name, (frame, y) in files.items():
        frame = frame if y is None else frame.assign(click=y)
        pq.write_table(pa.Table.from_pandas(frame), tmp_path / f"{name}.parquet")
    model = cls(max_epochs=2, random_state=0)
    clf = clone(model).fit(
        tmp_path / "train.parquet", "click", X_val=tmp_path / "val.parquet", y_val="click"
    )
    of_frame = clone(model).fit(TRAIN, Y, X_val=TEST[:300], y_val=Y_TEST[:300])
    expected = of_frame.predict_proba(TEST[300:])
    np.testing.assert_array_equal(clf.predict_proba(TEST[300:]), expected)
    parts = list(clf.iter_predict_proba(tmp_path / "test.parquet"))
    np.testing.assert_array_equal(np.concatenate(parts), expected)
    table = clf.encoder_.encode_dataset(tmp_path / "test.parquet", tmp_path / "codes", fit=False)
    np.testing.assert_array_equal(clf.predict_proba(table), expected)


def test_searches_and_separators():
    frame = TRAIN.assign(tags=["|".join(tags) for tags in TRAIN["tags"]])
    encoder = FieldEncoder(multi_valued={"tags": "|"})
    model = DynIntClassifier(max_epochs=2, random_state=0, encoder=encoder)
    search = GridSearchCV(model, {"encoder__min_frequency": [1, 5]}, cv=2, scoring="roc_auc")
    search.fit(frame, Y)
    assert search.best_score_ > 0.6
    of_lists = DynIntClassifier(max_epochs=2, random_state=0).fit(TRAIN, Y)
    of_strings = clone(model).fit(frame, Y)
    np.testing.assert_array_equal(of_strings.predict_proba(frame), of_lists.predict_proba(TRAIN))


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_training_goes_on_with_new_sets(cls):
    clf = cls(max_epochs=2, random_state=0).partial_fit(TRAIN[:800], Y[:800], [0, 1])
    codes = clf.encoder_.vocabulary_sizes_.sum()
    before = clf.predict_proba(TEST)
    assert new_sets(clf, TEST[:900]) > 50
    for start in (0, 300, 600):
        rows = slice(start, start + 300)
        clf.partial_fit(TEST[rows], Y_TEST[rows])
    assert clf.encoder_.vocabulary_sizes_.sum() == codes
    after = clf.predict_proba(TEST)
    assert roc_auc_score(Y_TEST[900:], after[900:, 1]) > roc_auc_score(
        Y_TEST[900:], before[900:, 1]
    )
    assert len(clf.value_effects(["tags"])) > 8
    # Known sets have the mean of what was learnt of their values: as new ones would.
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(TEST), after)


def test_a_frozen_encoder_must_know_the_sets_of_training():
    encoder = FieldEncoder(numeric_columns="several").fit(TRAIN)
    model = DynIntClassifier(max_epochs=1, random_state=0, encoder=FrozenEstimator(encoder))
    clf = clone(model).fit(TRAIN[:1000], Y[:1000])
    assert clf.encoder_.vocabulary_sizes_.tolist() == encoder.vocabulary_sizes_.tolist()
    with pytest.raises(ValueError, match="must know all sets of values of the training rows"):
        clone(model).fit(TEST, Y_TEST)


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_means_of_several_fits(cls):
    clf = cls(max_epochs=1, random_state=0, n_members=2).fit(TRAIN, Y)
    assert np.isfinite(clf.predict_proba(TEST)).all()


def test_crosses_of_sets_in_other_models(fitted):
    features = InteractionFeatures(fitted[DynIntClassifier]).fit(TRAIN, Y)
    columns = features.transform(TEST)
    assert np.isfinite(columns).all()
    place = features.get_feature_names_out().tolist().index("tags × v")
    assert roc_auc_score(Y, features.fit_transform(TRAIN, Y)[:, place]) > 0.6


def test_rows_of_sets_are_no_parameters():
    clf = DynIntClassifier(max_epochs=1, random_state=0, embedding_dim=8).fit(TRAIN, Y)
    assert clf.n_parameters_["embedding"] == 8 * (2 + 8 + 2 + 2 + 2 + 5)


def test_what_is_refused(fitted):
    clf = fitted[DynIntClassifier]
    with pytest.raises(TypeError, match="Field 'tags': every cell of a field of several values"):
        clf.predict_proba(TEST.assign(tags="a"))


def test_the_ensemble_takes_a_set_for_a_category():
    clf = CrossEnsembleClassifier(random_state=0)
    assert np.isfinite(clf.fit(TRAIN, Y).predict_proba(TEST[:50])).all()
