"""Training on a GPU, where there is one."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from sparsectr import DynIntClassifier, OptFeatureClassifier, ProfitClassifier

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

ESTIMATORS = [
    *(DynIntClassifier(variant=variant) for variant in ("pin", "da", "dgp", "dwp")),
    ProfitClassifier(max_order=3),
    ProfitClassifier(max_order=2, predictor="mlp", dropout=0.2),
    *(OptFeatureClassifier(granularity=granularity) for granularity in ("field", "hybrid")),
]


@pytest.fixture(scope="module")
def data():
    """Strings of five columns; the label says whether the first two agree."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.integers(5, size=(6000, 5)), columns=list("abcde"))
    y = np.where((X["a"] == X["b"]) ^ (rng.random(len(X)) < 0.05), "same", "other")
    return X.map("v{}".format), y


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_a_model_of_a_gpu_is_good_repeats_itself_and_opens_on_a_cpu(estimator, data):
    X, y = data
    estimator = clone(estimator).set_params(
        device="cuda", batch_size=100, max_epochs=15, random_state=0
    )
    model, again = (clone(estimator).fit(X[:4000], y[:4000]) for _ in range(2))
    probabilities = model.predict_proba(X[4000:])
    np.testing.assert_array_equal(again.predict_proba(X[4000:]), probabilities)
    assert roc_auc_score(y[4000:] == "same", probabilities[:, 1]) > 0.9
    assert model.selected_interactions_[0].fields == ("a", "b")
    assert "cuda" in str(model.device_)
    opened = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(opened.predict_proba(X[4000:]), probabilities)
    on_cpu = copy.deepcopy(model)
    on_cpu.device_ = "cpu"
    on_cpu = pickle.loads(pickle.dumps(on_cpu))
    np.testing.assert_allclose(on_cpu.predict_proba(X[4000:]), probabilities, rtol=0, atol=1e-5)
