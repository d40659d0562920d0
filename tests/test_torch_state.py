"""What the process has set in torch changes nothing: the same bits under every default."""

import pickle
from contextlib import contextmanager, nullcontext

import numpy as np
import pandas as pd
import pytest
import torch

from sparsectr import (
    DynIntClassifier,
    InteractionFeatures,
    OptFeatureClassifier,
    ProfitClassifier,
    screen_interactions,
)
from sparsectr.kernels.fused import fused_kernels


def draw_rows(seed, n_rows=700):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.integers(0, [5, 6, 4, 30], (n_rows, 4)), columns=list("abcd")).astype(str)
    odds = np.where((X["a"].astype(int) % 2) == (X["b"].astype(int) % 2), 0.8, 0.2)
    return X, (rng.random(n_rows) < odds).astype(int)


X, Y = draw_rows(0)
MORE, LABELS = draw_rows(1, 200)
THREE = np.where(X["c"] == "0", 2, Y)

BRIEF = {"max_epochs": 2, "random_state": 0}
SEARCHED = BRIEF | {"search_epochs": 1}
ESTIMATORS = {
    "pin": DynIntClassifier(**BRIEF),
    "da": DynIntClassifier(variant="da", n_subspaces=2, **BRIEF),
    "dgp": DynIntClassifier(variant="dgp", optimizer="adam", **BRIEF),
    "dwp": DynIntClassifier(variant="dwp", optimizer="ftrl", **BRIEF),
    "field gates": OptFeatureClassifier(**SEARCHED),
    "hybrid gates": OptFeatureClassifier(
        granularity="hybrid", orders=(2, 3), dropout=0.2, optimizer="adam", **SEARCHED
    ),
    "value gates": OptFeatureClassifier(
        granularity="value", operator="outer", search="joint", hidden_units=(), **SEARCHED
    ),
    "linear": ProfitClassifier(**SEARCHED),
    "mlp": ProfitClassifier(predictor="mlp", dropout=0.2, optimizer="adam", **SEARCHED),
    "full space": ProfitClassifier(space="full", max_order=2, search="one_step", **SEARCHED),
}


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


STATES = {
    "float64": lambda: default_dtype(torch.float64),
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    # Tensors that are made without a device would have no numbers.
    "meta": lambda: torch.device("meta"),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
}


def everything(clf):
    """Return all numbers that a fitted classifier gives."""
    found = {f"weights of {name}": array for name, array in clf._net_state.items()}
    found["probabilities"] = clf.predict_proba(MORE)
    found["crosses"] = clf.interaction_table().drop(columns="fields").select_dtypes("number")
    history = [{k: v for k, v in r.items() if k != "seconds"} for r in clf.history_]
    found["history"] = pd.DataFrame(history).select_dtypes("number")
    if clf.selected_interactions_:
        found["explanation"] = clf.explain(MORE[:3]).select_dtypes("number")
        fields = clf.selected_interactions_[0].fields
        found["effects"] = clf.value_effects(fields).select_dtypes("number")
    return found


def require_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name, strict=True)


def fit(clf, y):
    return type(clf)(**clf.get_params()).fit(X, y)


@pytest.fixture(scope="module", params=[True, False], ids=["fused", "reference"])
def fused(request):
    with fused_kernels(request.param):
        yield request.param


@pytest.fixture(scope="module")
def expected(fused):
    """Fits in a process that has set nothing, each made once."""
    made = {}

    def make(name, several_classes=False):
        if (name, several_classes) not in made:
            clf = fit(ESTIMATORS[name], THREE if several_classes else Y)
            made[name, several_classes] = pickle.dumps(clf), everything(clf)
        return made[name, several_classes]

    return make


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("state", STATES)
def test_fits_are_the_same_bits(name, state, expected):
    with STATES[state]():
        found = everything(fit(ESTIMATORS[name], Y))
    require_equal(found, expected(name)[1])


@pytest.mark.parametrize("name", ["dgp", "hybrid gates", "mlp"])
@pytest.mark.parametrize("state", ["bfloat16", "inference_mode"])
def test_fits_to_several_classes_are_the_same_bits(name, state, expected):
    with STATES[state]():
        found = everything(fit(ESTIMATORS[name], THREE))
    require_equal(found, expected(name, several_classes=True)[1])


@pytest.mark.parametrize("name", ["dwp", "hybrid gates", "linear", "mlp"])
@pytest.mark.parametrize("state", STATES)
def test_pickles_open_with_the_same_bits(name, state, expected):
    stored, numbers = expected(name)
    with STATES[state]():
        require_equal(everything(pickle.loads(stored)), numbers)


@pytest.mark.parametrize("name", ["dwp", "field gates", "linear"])
@pytest.mark.parametrize("state", ["meta", "inference_mode"])
def test_a_fit_under_one_state_goes_on_under_any_other(name, state, expected):
    def go_on(clf, first, second):
        with first():
            clf.predict_proba(MORE)  # builds the net
        with second():
            clf.partial_fit(MORE, LABELS)
            clf.set_params(warm_start=True).fit(X, Y)
        return everything(pickle.loads(pickle.dumps(clf)))

    stored = expected(name)[0]
    plain = go_on(pickle.loads(stored), nullcontext, nullcontext)
    require_equal(go_on(pickle.loads(stored), STATES[state], nullcontext), plain)
    require_equal(go_on(pickle.loads(stored), nullcontext, STATES[state]), plain)
    with STATES[state]():
        fitted = fit(ESTIMATORS[name], Y)
    require_equal(go_on(fitted, nullcontext, nullcontext), plain)


@pytest.mark.parametrize("state", ["bfloat16", "meta", "inference_mode"])
def test_screening_and_features_are_the_same_bits(state, fused):
    def measure():
        screened = screen_interactions(DynIntClassifier(**BRIEF).fit(X, Y), X, Y)
        features = InteractionFeatures(DynIntClassifier(**BRIEF), random_state=0)
        return screened.select_dtypes("number"), features.fit_transform(X, Y)

    plain = measure()
    with STATES[state]():
        found = measure()
    for ours, theirs in zip(found, plain, strict=True):
        np.testing.assert_array_equal(ours, theirs)
