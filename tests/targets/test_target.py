"""The base knows no classes: a target of its own, of a few lines, makes a regressor of a method."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from sparsectr.base import BaseInteractionEstimator
from sparsectr.methods.dynint.classifier import DynIntClassifier
from sparsectr.methods.dynint.estimator import BaseDynInt
from sparsectr.methods.optfeature.classifier import OptFeatureClassifier
from sparsectr.methods.optfeature.estimator import BaseOptFeature
from sparsectr.methods.profit.classifier import ProfitClassifier
from sparsectr.methods.profit.estimator import BaseProfit
from sparsectr.targets.target import Target, TargetRows


class HalfSquare:
    """Half the squared error."""

    name = "half_square"
    link = "identity"

    def mean(self, logits, targets, weights):
        return (weights * (logits[:, 0] - targets).square() / 2).mean()

    def residuals(self, logits, targets):
        return targets[:, None] - logits

    def prior_logits(self, targets, weights, n_outputs):
        return (weights @ targets / weights.sum())[None]

    def gradient_scale(self, targets, weights, n_outputs):
        return 1.0

    def best_shift(self, logits, targets, weights):
        return np.array([np.average(targets - logits[:, 0], weights=weights)])

    def strata(self, targets):
        return 0 * targets

    def shortage(self, targets):
        return None


class Numbers(Target):
    """Numbers as they are."""

    loss, n_outputs, score = HalfSquare(), 1, "units of the target"

    def read(self, y, sample_weight, n_rows, suffix=""):
        return TargetRows(np.asarray(y, np.float32), np.ones(n_rows))

    def split(self, values, fraction, random_state):
        validation = random_state.rand(len(values)) < fraction
        return np.flatnonzero(~validation), np.flatnonzero(validation)

    def measure(self, values, logits, weights):
        errors = np.square(values - logits[:, 0])
        return {"validation_squared_error": np.average(errors, weights=weights)}

    def find_fault(self, logits):
        return None

    def choose_outputs(self, logits, label=None):
        return self.choose_output(label)

    def choose_output(self, label=None):
        return np.array([0])

    def to_scores(self, logits, outputs):
        return logits[:, :, 0]


class Regressor(RegressorMixin, BaseInteractionEstimator):
    def _settle_target(self, y, sample_weight, n_rows, *, going_on, told=None):
        return Numbers(), Numbers().read(y, sample_weight, n_rows)

    def _fitted_target(self):
        return Numbers()

    def predict(self, X):
        return self._predict_logits(X)[:, 0]


def make(base, like):
    """Make a regressor with the defaults of a classifier."""

    class Made(Regressor, base):
        __init__ = like.__init__

    made = Made.__new__(Made)
    vars(made).update(vars(like(random_state=0)), monitor="squared_error")
    return made


@pytest.mark.parametrize(
    ("base", "like"),
    [
        (BaseDynInt, DynIntClassifier),
        (BaseOptFeature, OptFeatureClassifier),
        (BaseProfit, ProfitClassifier),
    ],
)
def test_every_method_learns_numbers(base, like):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 8, (6_000, 4))
    cross = rng.normal(size=(8, 8))
    y = 3 + cross[codes[:, 0], codes[:, 2]] + 0.3 * rng.normal(size=6_000)
    X = pd.DataFrame(codes, columns=list("abcd")).astype(str)
    model = make(base, like).fit(X[:4_000], y[:4_000])
    assert r2_score(y[4_000:], model.predict(X[4_000:])) > 0.75
    assert model.selected_interactions_[0].fields == ("a", "c")
    told = model.explain(X[:50], complete=True)
    if base is not BaseOptFeature:  # a sum
        sums = told.groupby("row")["contribution"].sum()
        np.testing.assert_allclose(sums, model.predict(X[:50]), rtol=1e-4, atol=1e-4)
    assert not hasattr(model, "classes_")
