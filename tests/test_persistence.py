"""The fitted state: arrays only, the same probabilities after every round trip."""

import copy
import io
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
from joblib import Parallel, delayed
from sklearn.base import clone

from sparsectr import (
    DynIntClassifier,
    FieldEncoder,
    InteractionFeatures,
    OptFeatureClassifier,
    ProfitClassifier,
    trusted_types,
)
from sparsectr.datasets import make_clicks

X = np.random.default_rng(0).integers(0, 6, size=(200, 3)).astype(str)
Y = np.where(X[:, 0] == X[:, 1], "yes", "no")


@pytest.fixture(scope="module")
def model():
    return DynIntClassifier(max_epochs=2, embedding_dim=4, random_state=0).fit(X, Y)


def through_skops(model):
    data = skops.io.dumps(model)
    return skops.io.loads(data, trusted=trusted_types)


def through_joblib(model, compress):
    buffer = io.BytesIO()
    joblib.dump(model, buffer, compress=compress)
    buffer.seek(0)
    return joblib.load(buffer)


@pytest.mark.parametrize(
    "trip",
    [
        lambda model: pickle.loads(pickle.dumps(model)),
        lambda model: through_joblib(model, 0),
        lambda model: through_joblib(model, 3),
        through_skops,
        copy.deepcopy,
        copy.copy,
    ],
    ids=["pickle", "joblib", "compressed", "skops", "deepcopy", "copy"],
)
def test_round_trips_keep_the_probabilities(model, trip):
    again = trip(model)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.selected_interactions_ == model.selected_interactions_
    again.partial_fit(X, Y)  # trains memory of its own
    np.testing.assert_array_equal(trip(model).predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("mode", ["r", "c"])
def test_memory_mapped(model, tmp_path, mode):
    joblib.dump(model, tmp_path / "model.joblib")
    again = joblib.load(tmp_path / "model.joblib", mmap_mode=mode)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def predict(model):
    return model.predict_proba(X)


def test_other_processes_predict_from_mapped_arrays(model):
    found = Parallel(n_jobs=2, max_nbytes=1)(delayed(predict)(model) for _ in range(2))
    for probabilities in found:
        np.testing.assert_array_equal(probabilities, model.predict_proba(X))


def walk(value, seen):
    if id(value) in seen:
        return
    seen[id(value)] = value
    if isinstance(value, dict):
        parts = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set):
        parts = value
    else:
        parts = getattr(value, "__dict__", {}).values()
    for part in parts:
        walk(part, seen)


def test_state_holds_no_tensor(model):
    model.predict_proba(X)
    seen = {}
    walk(model.__getstate__(), seen)
    values = seen.values()
    assert any(isinstance(value, np.ndarray) for value in values)
    assert not [v for v in values if isinstance(v, torch.Tensor | torch.nn.Module)]


def test_pickle_is_hardly_larger_than_the_parameters():
    encoder = FieldEncoder(hash_buckets=100_000)
    model = DynIntClassifier(max_epochs=1, encoder=encoder, random_state=0).fit(X, Y)
    n_bytes = 4 * sum(model.n_parameters_.values())
    assert n_bytes < len(pickle.dumps(model)) < 1.05 * n_bytes


def test_clone_is_unfitted(model):
    assert not clone(model).__sklearn_is_fitted__()
    assert model.__sklearn_is_fitted__()


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_model_of_a_gpu_opens_without_one(model):
    stored = copy.deepcopy(model)
    stored.device_ = "cuda:0"
    opened = pickle.loads(pickle.dumps(stored))
    np.testing.assert_array_equal(opened.predict_proba(X), model.predict_proba(X))
    opened.partial_fit(X, Y)
    assert opened.device_ == "cpu"


@pytest.mark.parametrize("device", ["cuda", "cuda:7", "toaster"])
def test_a_device_that_is_not_there(device):
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has the device")
    with pytest.raises(ValueError, match="device must be 'auto' or name a device"):
        DynIntClassifier(device=device).fit(X, Y)


# The same fit, the same file -------------------------------------------------------------

QUICK = {"max_epochs": 2, "embedding_dim": 4, "random_state": 0}
ESTIMATORS = {
    "encoder": FieldEncoder(),
    "dynint": DynIntClassifier(**QUICK),
    "dwp": DynIntClassifier(variant="dwp", **QUICK),
    "optfeature": OptFeatureClassifier(granularity="hybrid", **QUICK),
    "profit": ProfitClassifier(**QUICK),
    "features": InteractionFeatures(DynIntClassifier(**QUICK), random_state=0),
    "onehot": InteractionFeatures(ProfitClassifier(**QUICK), encoder="onehot"),
}


@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
def test_equal_fits_give_equal_files(estimator):
    first, second = (clone(estimator).fit(X.copy(), Y.copy()) for _ in range(2))
    assert pickle.dumps(first) == pickle.dumps(second)
    known = joblib.hash(first)
    assert joblib.hash(second) == known
    (first.predict_proba if hasattr(first, "predict_proba") else first.transform)(X)
    assert joblib.hash(first) == known
    assert joblib.hash(pickle.loads(pickle.dumps(first))) == known


@pytest.mark.parametrize("name", ["dynint", "optfeature", "profit"])
def test_equal_streams_give_equal_files(name):
    first, second = (clone(ESTIMATORS[name]) for _ in range(2))
    for clf in (first, second):
        for rows in (slice(100), slice(100, 200)):
            clf.partial_fit(X[rows], Y[rows], classes=["no", "yes"])
    second.interaction_table()  # asked for before
    assert pickle.dumps(first) == pickle.dumps(second)


def test_times_stay_in_the_process(model):
    assert (model.epoch_seconds_ > 0).all()
    assert len(model.epoch_seconds_) == model.n_iter_ == 2
    again = pickle.loads(pickle.dumps(model))
    assert not hasattr(again, "epoch_seconds_")
    again.partial_fit(X, Y)
    np.testing.assert_array_equal(np.isnan(again.epoch_seconds_), [True, True, False])


@pytest.mark.parametrize("name", ["optfeature", "profit"])
def test_every_epoch_has_a_time(name):
    clf = clone(ESTIMATORS[name]).fit(X, Y)
    assert len(clf.epoch_seconds_) == len(clf.history_) == clf.n_iter_
    assert not [record for record in clf.history_ if "seconds" in record]


# Every method, every file ----------------------------------------------------------------

METHODS = {
    "dynint": DynIntClassifier(**QUICK),
    "profit": ProfitClassifier(**QUICK),
    **{
        granularity: OptFeatureClassifier(granularity=granularity, **QUICK)
        for granularity in ("field", "value", "hybrid")
    },
}


@pytest.mark.parametrize("trip", [through_skops, lambda clf: through_joblib(clf, 3)])
@pytest.mark.parametrize("clf", METHODS.values(), ids=METHODS)
def test_every_method_goes_through_files(clf, trip):
    clf = clone(clf).fit(X, Y)
    again = trip(clf)
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    pd.testing.assert_frame_equal(again.interaction_table(), clf.interaction_table())
    for cross in clf.selected_interactions_:
        expected = clf.value_effects(cross.fields)
        pd.testing.assert_frame_equal(again.value_effects(cross.fields), expected)
        if isinstance(clf, OptFeatureClassifier):
            expected = clf.selected_values(cross.fields)
            pd.testing.assert_frame_equal(again.selected_values(cross.fields), expected)


@pytest.mark.parametrize("name", METHODS)
def test_a_file_is_hardly_larger_than_weights_and_vocabularies(name):
    """Where weights dominate; here 12 fields of 1,000 values, and 50 crosses listed."""
    clicks = make_clicks(8_000, 12, 1_000, random_state=0)  # so that nearly all values occur
    clf = clone(METHODS[name]).set_params(embedding_dim=16, max_epochs=1, batch_size=1_000)
    clf.fit(clicks.X, clicks.y)
    needed = sum(weights.nbytes for weights in clf._net_state.values())
    needed += len(pickle.dumps(clf.encoder_))
    assert needed < len(pickle.dumps(clf)) < 1.1 * needed
