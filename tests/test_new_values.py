"""Estimators whose vocabularies grow while training goes on."""

import pickle

import numpy as np
import pandas as pd
import pytest
import skops.io
from onnx_runs import run
from public import CLASSIFIERS, REGRESSORS
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score

import sparsectr
from sparsectr import DynIntClassifier, FieldEncoder

NETS = [*CLASSIFIERS, *REGRESSORS]


def stream(n_rows, users, seed):
    """Rows of some users, each with a log-odds of its own, and two further fields."""
    rng = np.random.default_rng(seed)
    effects = np.random.default_rng(99).normal(0, 2, 10_000)
    user = rng.choice(users, n_rows)
    X = pd.DataFrame(
        {
            "user": [f"u{number}" for number in user],
            "item": rng.integers(0, 8, n_rows).astype(str),
            "hour": rng.integers(0, 24, n_rows).astype(str),
        }
    )
    y = (rng.random(n_rows) < 1 / (1 + np.exp(-effects[user]))).astype(int)
    return X, y


FIRST, LATER = stream(1500, range(60), 0), stream(1500, range(30, 90), 1)


def make(cls, **parameters):
    encoder = FieldEncoder(new_values="grow", numeric_features=[], **parameters)
    return cls(max_epochs=1, random_state=0, encoder=encoder)


def predictions(model, X):
    return (model.predict_proba if hasattr(model, "classes_") else model.predict)(X)


@pytest.mark.parametrize("cls", NETS)
def test_a_grown_estimator_predicts_explains_and_can_be_stored(cls, tmp_path):
    model = make(cls).fit(*FIRST)
    before = predictions(model, FIRST[0])
    old_codes = model.encoder_.transform(FIRST[0])
    model.partial_fit(*LATER)
    assert set(model.encoder_.vocabularies_[0]) == {f"u{number}" for number in range(90)}
    assert np.array_equal(model.encoder_.transform(FIRST[0]), old_codes)
    assert (model.encoder_.transform(LATER[0]) > 1).all()
    assert not np.array_equal(predictions(model, FIRST[0]), before)
    now = predictions(model, LATER[0][:50])
    pickled = pickle.loads(pickle.dumps(model))
    stored = skops.io.loads(skops.io.dumps(model), trusted=sparsectr.trusted_types)
    for copied in (pickled, stored):
        assert np.array_equal(predictions(copied, LATER[0][:50]), now)
        copied.partial_fit(*stream(300, range(60, 99), 2))
        assert len(copied.encoder_.vocabularies_[0]) > 90
    output = "probabilities" if hasattr(model, "classes_") else "variable"
    (found,) = run(sparsectr.to_onnx(model), LATER[0][:50], output)
    assert np.allclose(np.ravel(found), np.ravel(now), atol=1e-5)
    assert len(model.selected_interactions_)
    assert model.explain(LATER[0][:3]) is not None
    assert model.interaction_table()["evidence"].isna().all()


@pytest.mark.parametrize("cls", NETS)
def test_growth_alone_changes_no_prediction(cls):
    model = make(cls, min_frequency=2).fit(*FIRST)
    before = predictions(model, LATER[0])
    # Steps of no length: what is left is growth. Values without a training row stay means.
    model.set_params(learning_rate=1e-30, weight_decay=0.0, embedding_l2=0.0)
    model.partial_fit(*LATER)
    assert len(model.encoder_.vocabularies_[0]) == 90
    assert np.allclose(predictions(model, LATER[0]), before, atol=1e-6)


@pytest.mark.filterwarnings("ignore::sparsectr.UnknownValuesWarning")
def test_new_users_are_learnt_where_vocabularies_grow():
    scores = {}
    fresh, target = stream(3000, range(60, 90), 5)
    for new_values in ("unknown", "grow"):
        encoder = FieldEncoder(new_values=new_values)
        clf = DynIntClassifier(max_epochs=3, random_state=0, encoder=encoder).fit(*FIRST)
        for seed in (2, 3, 4, 6, 7, 8):
            clf.partial_fit(*stream(1500, range(60, 90), seed))
        scores[new_values] = roc_auc_score(target, clf.predict_proba(fresh)[:, 1])
    assert scores["unknown"] < 0.55
    assert scores["grow"] > scores["unknown"] + 0.15


def test_files_and_tables_in_memory_grow_alike(tmp_path):
    paths = []
    for number, (X, y) in enumerate((FIRST, LATER)):
        paths.append(tmp_path / f"{number}.parquet")
        X.assign(y=y).to_parquet(paths[-1], index=False)
    from_files = make(DynIntClassifier, min_frequency=20).set_params(cache_dir=tmp_path / "cache")
    in_memory = make(DynIntClassifier, min_frequency=20)
    for path, (X, y) in zip(paths, (FIRST, LATER), strict=True):
        from_files.partial_fit(path, "y", classes=[0, 1])
        in_memory.partial_fit(X, y, classes=[0, 1])
        for ours, theirs in zip(
            from_files.encoder_.vocabularies_, in_memory.encoder_.vocabularies_, strict=True
        ):
            assert ours.tolist() == theirs.tolist()
    assert len(in_memory.encoder_.vocabularies_[0]) > 60
    assert np.array_equal(*(m.predict_proba(LATER[0]) for m in (from_files, in_memory)))
    # A chunk is trained on once: only the codes of the first one are kept.
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_vocabularies_that_are_frozen_or_of_a_warm_start_stay():
    encoder = FieldEncoder(new_values="grow").fit(FIRST[0])
    frozen = DynIntClassifier(max_epochs=1, encoder=FrozenEstimator(encoder)).fit(*FIRST)
    frozen.partial_fit(*LATER)
    assert len(frozen.encoder_.vocabularies_[0]) == 60
    warm = make(DynIntClassifier).set_params(warm_start=True).fit(*FIRST).fit(*LATER)
    assert len(warm.encoder_.vocabularies_[0]) == 60


def test_a_chunk_that_fails_lets_nothing_grow():
    clf = make(DynIntClassifier).fit(*FIRST)
    before = clf.encoder_, clf.predict_proba(LATER[0])
    with pytest.raises(ValueError, match="sample_weight"):
        clf.partial_fit(*LATER, sample_weight=[-1.0])
    assert clf.encoder_ is before[0]
    assert np.array_equal(clf.predict_proba(LATER[0]), before[1])


def test_members_grow_together():
    clf = make(DynIntClassifier).set_params(n_members=2).fit(*FIRST).partial_fit(*LATER)
    assert [n["vocabulary_sizes"][0] for n in clf._net_arguments["members"]] == [92, 92]
    assert clf.predict_proba(LATER[0]).shape == (1500, 2)
