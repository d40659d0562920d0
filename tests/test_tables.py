"""Fits on files, streams and code tables are those on the same rows in memory."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_val_score

from sparsectr import (
    DynIntClassifier,
    DynIntRegressor,
    FieldEncoder,
    OptFeatureClassifier,
    ProfitClassifier,
    ProfitRegressor,
)
from sparsectr.datasets import make_clicks
from sparsectr.encoding import code_writer
from sparsectr.encoding.code_table import CodeTable
from sparsectr.methods.dynint.estimator import BaseDynInt

CLICKS = make_clicks(1_300, 4, 12, crosses=[(0, 1)], random_state=0)
WEIGHTS = np.random.default_rng(0).integers(0, 4, 1_300) / 2
FRAME = CLICKS.X.assign(click=CLICKS.y, w=WEIGHTS, number=np.arange(1_300) % 7)
SHORT = {"embedding_dim": 4, "batch_size": 128, "max_epochs": 2, "random_state": 0}
MODELS = {
    "DynInt": DynIntClassifier(**SHORT),
    "PROFIT": ProfitClassifier(max_order=2, search_epochs=1, rank=2, **SHORT),
    "OptFeature": OptFeatureClassifier(search_epochs=1, hidden_units=(8,), **SHORT),
    "DynInt of numbers": DynIntRegressor(**SHORT),
    "PROFIT of counts": ProfitRegressor(max_order=2, search_epochs=1, loss="poisson", **SHORT),
}


def write(frame, path, rows=slice(None)):
    table = pa.Table.from_pandas(frame.iloc[rows], preserve_index=False)
    pq.write_table(table, path, row_group_size=170)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of the training rows, and one of all with targets of each kind."""
    folder = tmp_path_factory.mktemp("rows")
    for target in ("click", "number"):
        (folder / target).mkdir()
        frame = FRAME.drop(columns="number" if target == "click" else "click")
        write(frame, folder / target / "0.parquet", slice(0, 900))
        write(frame, folder / target / "1.parquet", slice(900, 1_300))
    return folder


def target_of(model):
    return "click" if hasattr(model, "predict_proba") else "number"


def predict(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


@pytest.mark.parametrize("name", MODELS)
def test_a_fit_on_files_is_that_on_their_rows(name, folder):
    X, target = CLICKS.X, target_of(MODELS[name])
    before = set(Path(tempfile.gettempdir()).glob("sparsectr-*"))
    ours = clone(MODELS[name]).fit(folder / target / "*.parquet", target, "w")
    assert set(Path(tempfile.gettempdir()).glob("sparsectr-*")) == before
    theirs = clone(MODELS[name]).fit(X, FRAME[target], WEIGHTS)
    np.testing.assert_array_equal(predict(ours, X), predict(theirs, X))
    assert ours.history_ == theirs.history_
    assert ours.selected_interactions_ == theirs.selected_interactions_
    assert list(ours.feature_names_in_) == list(X.columns)
    ours.partial_fit(folder / target / "1.parquet", y=target, sample_weight="w")
    theirs.partial_fit(X[900:], FRAME[target][900:], sample_weight=WEIGHTS[900:])
    np.testing.assert_array_equal(predict(ours, X), predict(theirs, X))


@pytest.mark.parametrize("kind", ["list", "dataset", "stream"])
def test_validation_rows_come_from_sources_too(kind, folder):
    paths = [str(folder / "click" / f"{k}.parquet") for k in (0, 1)]
    sources = {
        "list": lambda path: [path],
        "dataset": ds.dataset,
        "stream": lambda path: ds.dataset(path).scanner().to_reader(),
    }
    train, validation = map(sources[kind], paths)
    model = DynIntClassifier(**SHORT | {"max_epochs": 5})
    validation = {"X_val": validation, "y_val": "click", "sample_weight_val": "w"}
    ours = clone(model).fit(train, y="click", **validation)
    expected = {
        "X_val": CLICKS.X[900:],
        "y_val": CLICKS.y[900:],
        "sample_weight_val": WEIGHTS[900:],
    }
    frame = FRAME.drop(columns=["click", "number"])[:900]
    with pytest.raises(ValueError, match=r"X_val: .*feature names"):
        clone(model).fit(frame, CLICKS.y[:900], **expected)
    expected["X_val"] = expected["X_val"].assign(w=WEIGHTS[900:])
    theirs = clone(model).fit(frame, CLICKS.y[:900], **expected)
    assert ours.history_ == theirs.history_


@pytest.fixture(scope="module")
def table(folder):
    encoder = FieldEncoder()
    return encoder.encode_dataset(folder / "click", folder / "codes", y="click", sample_weight="w")


def test_a_fit_on_a_code_table_is_that_on_its_rows(table):
    model = DynIntClassifier(**SHORT)
    ours = clone(model).fit(table)
    theirs = clone(model).fit(CLICKS.X, CLICKS.y, WEIGHTS)
    expected = theirs.predict_proba(CLICKS.X)
    np.testing.assert_array_equal(ours.predict_proba(CLICKS.X), expected)
    np.testing.assert_array_equal(ours.predict_proba(table), expected)
    np.testing.assert_array_equal(ours.predict(table[5:9]), ours.predict(CLICKS.X[5:9]))
    # Other targets and weights than those of the table.
    ours.fit(table, 1 - CLICKS.y, sample_weight=np.ones(1_300))
    theirs.fit(CLICKS.X, 1 - CLICKS.y)
    assert ours.history_ == theirs.history_


def test_validation_rows_in_a_code_table(table, tmp_path):
    rows = pa.Table.from_pandas(FRAME[:200].drop(columns="number"), preserve_index=False)
    own = table.encoder.encode_dataset(rows.to_reader(), tmp_path / "codes", y="click", fit=False)
    ours = DynIntClassifier(**SHORT).fit(table, X_val=own, sample_weight_val=WEIGHTS[:200])
    theirs = DynIntClassifier(**SHORT).fit(
        CLICKS.X,
        CLICKS.y,
        WEIGHTS,
        X_val=CLICKS.X[:200],
        y_val=CLICKS.y[:200],
        sample_weight_val=WEIGHTS[:200],
    )
    assert ours.history_ == theirs.history_


@pytest.mark.parametrize(
    "options", [{}, {"validation": "last"}, {"early_stopping": False}], ids=str
)
def test_a_fit_on_some_rows_of_a_table(table, options):
    rows = np.random.default_rng(1).permutation(1_300)[:700]
    model = DynIntClassifier(**SHORT, **options)
    groups = None if options else np.arange(700) // 9
    ours = clone(model).fit(table[rows], validation_groups=groups)
    theirs = clone(model).set_params(encoder=FrozenEstimator(table.encoder))
    theirs.fit(CLICKS.X.iloc[rows], CLICKS.y[rows], WEIGHTS[rows], validation_groups=groups)
    assert ours.history_ == theirs.history_
    np.testing.assert_array_equal(ours.predict_proba(CLICKS.X), theirs.predict_proba(CLICKS.X))


def test_searches_share_a_table(table):
    model = DynIntClassifier(**SHORT)
    grid = {"embedding_dim": [2, 4]}
    ours = GridSearchCV(model, grid, cv=3, scoring="roc_auc").fit(table, table.y)
    scores = [
        cross_val_score(
            clone(model).set_params(encoder=FrozenEstimator(table.encoder), embedding_dim=dim),
            CLICKS.X,
            CLICKS.y,
            cv=3,
            scoring="roc_auc",
            params={"sample_weight": WEIGHTS},
        ).mean()
        for dim in grid["embedding_dim"]
    ]
    np.testing.assert_array_equal(ours.cv_results_["mean_test_score"], scores)
    np.testing.assert_array_equal(ours.predict(table), ours.predict(CLICKS.X))


def test_codes_of_another_encoder_are_refused(table, tmp_path):
    model = DynIntClassifier(**SHORT).fit(CLICKS.X, CLICKS.y)
    # The same vocabularies, learnt elsewhere.
    assert model.predict_proba(table).shape == (1_300, 2)
    model.fit(CLICKS.X[:500], CLICKS.y[:500])
    with pytest.raises(ValueError, match="codes must be made by the encoder of this estimator"):
        model.predict_proba(table)
    own = model.encoder_.encode_dataset(
        pa.Table.from_pandas(CLICKS.X).to_reader(), tmp_path / "codes", fit=False
    )
    np.testing.assert_array_equal(model.predict_proba(own), model.predict_proba(CLICKS.X))


def test_the_parameter_encoder_must_fit_a_table(table):
    with pytest.raises(ValueError, match="encoder must be 'auto', or that of the code table"):
        DynIntClassifier(encoder=FieldEncoder(n_bins=3), **SHORT).fit(table)
    other = FrozenEstimator(FieldEncoder().fit(CLICKS.X[:50]))
    with pytest.raises(ValueError, match="encoder must be 'auto', or that of the code table"):
        DynIntClassifier(encoder=other, **SHORT).fit(table)
    DynIntClassifier(encoder=FieldEncoder(), **SHORT).fit(table)
    DynIntClassifier(encoder=FrozenEstimator(table.encoder), **SHORT).fit(table)


def test_an_encoder_that_is_given_encodes_files(folder):
    path = folder / "click"
    for encoder in (
        FieldEncoder(min_frequency=9, numeric_columns="one"),
        FrozenEstimator(FieldEncoder().fit(FRAME.drop(columns=["click", "number"])[:700])),
    ):
        model = DynIntClassifier(encoder=encoder, **SHORT)
        X = FRAME.drop(columns=["click", "number"])
        ours, theirs = clone(model).fit(path, "click"), clone(model).fit(X, CLICKS.y)
        assert ours.history_ == theirs.history_


# What is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, TypeError, r"source where X is a path, .* such as y='click', got None\.$"),
        (
            {"y": CLICKS.y},
            TypeError,
            r"y must name a column .* got a ndarray.*; or X must be a table\.",
        ),
        ({"y": "no"}, ValueError, "y must name a column of the source, got 'no'; the columns are"),
        ({"y": "click", "sample_weight": WEIGHTS}, TypeError, "sample_weight must name a column"),
        ({"y": "click", "X_val": "none.parquet", "y_val": "click"}, ValueError, "files that exist"),
        ({"y": "click", "X_val": "none.parquet"}, TypeError, "y_val must name a column"),
        ({"y": "w"}, ValueError, "y must hold class labels, got numbers such as 1.5"),
    ],
)
def test_what_cannot_be_fitted_is_refused_with_a_sentence(arguments, error, message, folder):
    with pytest.raises(error, match=message):
        DynIntClassifier(**SHORT).fit(folder / "click", **arguments)


def test_a_column_of_times_needs_a_table(folder, table):
    model = DynIntClassifier(validation="last", time_column="f0", **SHORT)
    for arguments in ((folder / "click", "click"), (table,)):
        with pytest.raises(ValueError, match="time_column must be None where X is a file or a"):
            model.fit(*arguments)


@pytest.mark.parametrize("name", ["DynInt", "DynInt of numbers"])
def test_predictions_of_files_have_methods_of_their_own(name, folder):
    target = target_of(MODELS[name])
    model = clone(MODELS[name]).fit(CLICKS.X, FRAME[target])
    iterator = {"click": "iter_predict_proba", "number": "iter_predict"}[target]
    message = rf"X must be a table in memory or a CodeTable.*{iterator}\(X\).*predict_to_parquet"
    for X in (folder / target, ds.dataset(folder / target)):
        with pytest.raises(TypeError, match=message):
            model.predict(X)


# The cache -------------------------------------------------------------------------------


def test_a_cache_is_found_again_by_files_columns_and_encoder(folder, tmp_path, monkeypatch):
    path = write(FRAME.drop(columns="number"), tmp_path / "rows.parquet")
    cache = tmp_path / "cache"
    model = DynIntClassifier(cache_dir=cache, **SHORT)
    first = clone(model).fit(path, "click").predict_proba(CLICKS.X.assign(w=0.0))
    (kept,) = cache.iterdir()
    assert len(CodeTable(kept)) == 1_300

    with monkeypatch.context() as patch:
        patch.setattr(code_writer, "write_rows", None)
        again = clone(model).set_params(max_epochs=1).fit(path, "click")
        assert again.n_iter_ == 1
        again = clone(model).fit(path, "click").predict_proba(CLICKS.X.assign(w=0.0))
    np.testing.assert_array_equal(again, first)

    clone(model).fit(path, "click", "w")
    model.set_params(encoder=FieldEncoder(n_bins=5)).fit(path, "click", "w")
    assert len(list(cache.iterdir())) == 3
    write(FRAME.drop(columns="number")[:1_000], path)
    model.fit(path, "click", "w", X_val=path, y_val="click")
    assert len(list(cache.iterdir())) == 5  # training rows, and validation rows by their encoder
    model.fit(ds.dataset(path).scanner().to_reader(), "click", "w")
    assert len(list(cache.iterdir())) == 5


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, ValueError])
def test_a_temporary_folder_is_removed_whatever_happens(error, folder, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def fail(*arguments):
        assert list(tmp_path.glob("sparsectr-*/1/codes.npy"))
        raise error

    monkeypatch.setattr(BaseDynInt, "_train_net", fail)
    with pytest.raises(error):
        DynIntClassifier(**SHORT).fit(folder / "click", "click")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("folder", [3, ["a"], True])
def test_a_cache_is_a_folder(folder):
    with pytest.raises(ValueError, match="cache_dir must be None, a str or a path, got"):
        DynIntClassifier(cache_dir=folder).fit(CLICKS.X, CLICKS.y)


def test_a_table_without_targets_needs_them(tmp_path):
    rows = pa.Table.from_pandas(pd.DataFrame(CLICKS.X))
    table = FieldEncoder().encode_dataset(rows.to_reader(), tmp_path / "codes")
    with pytest.raises(ValueError, match="requires y to be passed"):
        DynIntClassifier(**SHORT).fit(table)
    DynIntClassifier(**SHORT).fit(table, CLICKS.y)
