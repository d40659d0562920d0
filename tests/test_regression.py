"""Regressors: planted crosses, units, exposure, identities with linear models, persistence."""

import pickle

import numpy as np
import pandas as pd
import pytest
from public import REGRESSORS
from sklearn.base import clone, is_regressor
from sklearn.linear_model import PoissonRegressor, Ridge
from sklearn.metrics import mean_absolute_error, mean_poisson_deviance, mean_squared_error
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import OneHotEncoder

from sparsectr import DynIntRegressor, FieldEncoder
from sparsectr.kernels.fused import fused_kernels
from sparsectr.methods.dynint.net import OUTPUT_START
from sparsectr.training.optimizers import make_optimizers

every_regressor = pytest.mark.parametrize("cls", REGRESSORS)
every_loss = pytest.mark.parametrize("loss", ["squared_error", "poisson"])

N, N_TRAIN = 4_000, 3_000
RNG = np.random.default_rng(0)
CODES = RNG.integers(0, 7, (N, 4))
X = pd.DataFrame(CODES, columns=list("abcd")).astype(str)
CROSS = RNG.normal(size=(7, 7))
CROSS -= CROSS.mean(0) + CROSS.mean(1)[:, None] - CROSS.mean()
TRUE = 0.3 + 0.3 * RNG.normal(size=7)[CODES[:, 1]] + 0.6 * CROSS[CODES[:, 0], CODES[:, 2]]
NUMBERS = 50 + 20 * (TRUE + 0.2 * RNG.normal(size=N))
COUNTS = RNG.poisson(np.exp(TRUE))
SMALL = pd.DataFrame(CODES[:240], columns=list("abcd")).astype(str)


def split(y):
    return (X[:N_TRAIN], y[:N_TRAIN]), (X[N_TRAIN:], y[N_TRAIN:])


def make(**parameters):
    small = {"max_epochs": 2, "embedding_dim": 4, "random_state": 0}
    return DynIntRegressor(**(small | parameters))


# What is learnt --------------------------------------------------------------------------


@every_regressor
def test_the_planted_cross_of_numbers_is_found_with_its_strength(cls):
    train, (X_test, y_test) = split(NUMBERS)
    model = cls(random_state=0).fit(*train)
    assert is_regressor(model)
    # 16 is the variance of the noise, 400 TRUE.var() that of all else.
    assert mean_squared_error(y_test, model.predict(X_test)) < 16 + 0.1 * 400 * TRUE.var()
    strongest = model.selected_interactions_[0]
    assert strongest.fields == ("a", "c")
    effects = 12 * CROSS[CODES[:, 0], CODES[:, 2]]
    assert strongest.strength == pytest.approx(effects.std(), rel=0.2)


@every_regressor
def test_the_planted_cross_of_counts_is_found_with_its_strength(cls):
    train, (X_test, y_test) = split(COUNTS)
    model = cls(loss="poisson", random_state=0).fit(*train)
    predicted = model.predict(X_test)
    assert (predicted > 0).all()
    best, constant = (
        mean_poisson_deviance(y_test, mean)
        for mean in (np.exp(TRUE[N_TRAIN:]), np.full(len(y_test), COUNTS[:N_TRAIN].mean()))
    )
    assert mean_poisson_deviance(y_test, predicted) < best + 0.25 * (constant - best)
    strongest = model.selected_interactions_[0]
    assert strongest.fields == ("a", "c")
    effects = 0.6 * CROSS[CODES[:, 0], CODES[:, 2]]
    assert strongest.strength == pytest.approx(effects.std(), rel=0.3)


@every_regressor
@every_loss
def test_the_mean_prediction_is_the_weighted_mean_of_the_target(cls, loss):
    weights = RNG.exponential(size=240)
    rows = {"X_val": SMALL, "y_val": COUNTS[:240]}  # so that training rows are known
    model = cls(loss=loss, max_epochs=1, random_state=0)
    model.fit(SMALL, COUNTS[:240], sample_weight=weights, **rows)
    mean = np.average(COUNTS[:240], weights=weights)
    assert np.average(model.predict(SMALL), weights=weights) == pytest.approx(mean, rel=1e-4)


def test_the_unit_of_numbers_does_not_matter():
    first = make().fit(SMALL, NUMBERS[:240])
    second = make().fit(SMALL, 1e6 * NUMBERS[:240] - 3e7)
    np.testing.assert_allclose(second.predict(SMALL), 1e6 * first.predict(SMALL) - 3e7, rtol=1e-3)
    strengths = [[c.strength for c in m.selected_interactions_] for m in (first, second)]
    np.testing.assert_allclose(strengths[1], np.multiply(strengths[0], 1e6), rtol=1e-2)


def test_the_unit_of_exposure_does_not_matter():
    exposure = 0.1 + RNG.random(240)
    predicted = []
    for unit in (1.0, 365.0):
        model = make(loss="poisson").fit(
            SMALL, COUNTS[:240] / (unit * exposure), sample_weight=unit * exposure
        )
        predicted.append(unit * model.predict(SMALL))
    np.testing.assert_allclose(*predicted, rtol=1e-4)


@every_regressor
@every_loss
def test_fused_kernels_train_the_net_of_the_references(cls, loss):
    models = []
    for on in (True, False):
        with fused_kernels(on):
            models.append(cls(loss=loss, max_epochs=1, random_state=0).fit(X[:600], COUNTS[:600]))
    fused, plain = (model.predict(X[:600]) for model in models)
    np.testing.assert_allclose(fused, plain, rtol=2e-3)


# Identities ------------------------------------------------------------------------------


def without_readout(tables, others, *args, **kwargs):
    """Leave the weight of the field as it starts: two factors of one product share the prior."""
    return make_optimizers(tables, [p for p in others if p.ndim == 1], *args, **kwargs)


def fit_linear(monkeypatch, y, loss, sample_weight=None, l2=0.01):
    """Fit a linear model of the embeddings of one field, in whole batches, to its minimum.

    Returned are the model and the penalty of one-hot weights that the prior of the embeddings
    amounts to: ``beta = w sum_d e_d`` with ``|e|^2`` as small as can be.
    """
    monkeypatch.setattr("sparsectr.methods.dynint.estimator.make_optimizers", without_readout)
    model = DynIntRegressor(
        n_layers=0,
        loss=loss,
        embedding_dim=2,
        embedding_l2=l2,
        optimizer="adam",
        learning_rate=0.02,
        weight_decay=0.0,
        batch_size=10_000,
        max_epochs=600,
        early_stopping=False,
        random_state=0,
    ).fit(X[["a"]][:600], y, sample_weight=sample_weight)
    return model, l2 / (2 * OUTPUT_START**2)


def one_hot():
    return OneHotEncoder().fit_transform(X[["a"]][:600])


def test_squared_error_without_crosses_is_ridge_regression(monkeypatch):
    y = NUMBERS[:600]
    model, penalty = fit_linear(monkeypatch, y, "squared_error")
    assert model.selected_interactions_ == []
    ridge = Ridge(alpha=600 * penalty).fit(one_hot(), y)
    free = Ridge(alpha=1e-6).fit(one_hot(), y)
    expected = ridge.predict(one_hot())
    scale = np.abs(expected - free.predict(one_hot())).max()
    assert scale > 0.2  # the prior is felt
    np.testing.assert_allclose(model.predict(X[["a"]][:600]), expected, atol=0.01 * scale)


def test_poisson_without_crosses_is_poisson_regression_with_exposure(monkeypatch):
    exposure = 0.5 + RNG.random(600)
    rates = RNG.poisson(exposure * np.exp(TRUE[:600])) / exposure
    model, penalty = fit_linear(monkeypatch, rates, "poisson", exposure)
    # The loss is divided by the dispersion.
    alpha = penalty * model.target_scale_
    expected, free = (
        PoissonRegressor(alpha=a, tol=1e-8, max_iter=1_000)
        .fit(one_hot(), rates, sample_weight=exposure)
        .predict(one_hot())
        for a in (alpha, 1e-6)
    )
    scale = np.abs(np.log(expected / free)).max()
    assert scale > 0.02  # the prior is felt
    found = model.predict(X[["a"]][:600])
    np.testing.assert_allclose(np.log(found), np.log(expected), atol=0.01 * scale)


@pytest.mark.parametrize("variant", ["pin", "da", "dgp", "dwp"])
def test_without_layers_every_variant_adds_up_its_fields(variant):
    model = make(n_layers=0, variant=variant).fit(SMALL, NUMBERS[:240])
    told = model.explain(SMALL[:20], complete=True)
    assert set(told["fields"]) == {("a",), ("b",), ("c",), ("d",), ()}
    sums = told.groupby("row")["contribution"].sum()
    np.testing.assert_allclose(sums, model.predict(SMALL[:20]), rtol=1e-5)


# The contract ----------------------------------------------------------------------------


@every_loss
def test_validation_values_are_those_of_scikit_learn(loss):
    weights = RNG.exponential(size=100)
    model = make(loss=loss, max_epochs=1).fit(
        SMALL[:140],
        COUNTS[:140],
        X_val=SMALL[140:],
        y_val=COUNTS[140:240],
        sample_weight_val=weights,
    )
    record = model.history_[-1]
    name = {"squared_error": "squared_error", "poisson": "poisson_deviance"}[loss]
    assert set(record) == {
        "phase",
        "epoch",
        "train_loss",
        f"validation_{name}",
        "validation_absolute_error",
    }
    # Before the intercept moved by its last step, which is short.
    measure = {"squared_error": mean_squared_error, "poisson": mean_poisson_deviance}[loss]
    for key, function in ((name, measure), ("absolute_error", mean_absolute_error)):
        after = function(COUNTS[140:240], model.predict(SMALL[140:]), sample_weight=weights)
        assert record[f"validation_{key}"] == pytest.approx(after, rel=0.2)


@pytest.mark.parametrize("monitor", ["auto", "squared_error", "absolute_error"])
def test_the_best_epoch_by_the_monitor_is_kept(monitor):
    model = make(monitor=monitor, max_epochs=40, learning_rate=0.05)
    model.fit(X[:160], NUMBERS[:160], X_val=X[160:240], y_val=NUMBERS[160:240])
    assert model.monitor == monitor
    name = "squared_error" if monitor == "auto" else monitor
    costs = [record[f"validation_{name}"] for record in model.history_]
    assert model.n_iter_ == min(np.argmin(costs) + 1 + 3, 40)


@pytest.mark.parametrize(
    ("loss", "monitor"), [("squared_error", "poisson_deviance"), ("poisson", "squared_error")]
)
def test_the_monitor_must_be_measured(loss, monitor):
    with pytest.raises(ValueError, match="monitor must be one of 'auto'"):
        make(loss=loss, monitor=monitor).fit(SMALL, COUNTS[:240])


@every_regressor
@every_loss
def test_chunks_keep_the_target_of_the_first(cls, loss):
    model = cls(loss=loss, random_state=0)
    model.partial_fit(SMALL, COUNTS[:240])
    kept = model.target_mean_, model.target_scale_
    for _ in range(3):
        model.partial_fit(SMALL, 1 + COUNTS[:240])
    assert (model.target_mean_, model.target_scale_) == kept
    assert model.n_iter_ >= 4
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copied.predict(SMALL), model.predict(SMALL))
    assert copied.selected_interactions_ == model.selected_interactions_


def test_a_warm_start_goes_on_with_the_same_loss():
    model = make(warm_start=True).fit(SMALL, COUNTS[:240])
    before = model.predict(SMALL)
    model.fit(SMALL, COUNTS[:240])
    assert model.n_iter_ == 4
    assert not np.array_equal(model.predict(SMALL), before)
    model.set_params(loss="poisson")
    np.testing.assert_array_equal(
        model.predict(SMALL), pickle.loads(pickle.dumps(model)).predict(SMALL)
    )
    with pytest.raises(ValueError, match="loss must stay 'squared_error' while training goes on"):
        model.fit(SMALL, COUNTS[:240])
    assert (clone(model).fit(SMALL, COUNTS[:240]).predict(SMALL) > 0).all()


@every_loss
def test_the_last_rows_or_whole_groups_are_set_apart(loss):
    settings = {"loss": loss, "max_epochs": 1, "early_stopping": True}
    timed, y = SMALL.assign(time=np.arange(240)), COUNTS[:240].astype(float)
    y[216:] += 100
    last = make(validation="last", time_column="time", **settings).fit(timed, y)
    late = mean_absolute_error(y[216:], last.predict(timed[216:]))
    assert last.history_[-1]["validation_absolute_error"] == pytest.approx(late, rel=0.2)
    grouped = make(**settings).fit(SMALL, y, validation_groups=SMALL["a"])
    apart = make(**settings).fit(SMALL, y)
    assert grouped.history_ != apart.history_


@every_loss
def test_members_are_averaged_as_logits(loss):
    many = make(loss=loss, n_members=3).fit(SMALL, COUNTS[:240])
    assert {record["member"] for record in many.history_} == {0, 1, 2}
    predicted = many.predict(SMALL[:20])
    told = many.explain(SMALL[:20], top=None, complete=True)
    sums = told.groupby("row")["contribution"].sum()
    score = np.log(predicted) if loss == "poisson" else predicted
    np.testing.assert_allclose(sums, score, rtol=1e-4, atol=1e-5)
    assert told.attrs["score"] == many._fitted_target().score


@every_loss
def test_explanations_add_up_in_units_of_the_score(loss):
    model = make(loss=loss, max_epochs=10).fit(X[:1_000], COUNTS[:1_000])
    told = model.explain(X[:30], top=None, complete=True)
    sums = told.groupby("row")["contribution"].sum()
    predicted = model.predict(X[:30])
    score = np.log(predicted) if loss == "poisson" else predicted
    np.testing.assert_allclose(sums, score, rtol=1e-4, atol=1e-5)
    nothing = float(model.predict(pd.DataFrame("never seen", [0], list("abcd")))[0])
    start = np.log(nothing) if loss == "poisson" else nothing
    assert told.attrs["start"] == pytest.approx(start, rel=1e-4, abs=1e-5)
    assert "probability_of" not in told.attrs
    cross = model.selected_interactions_[0]
    values = model.value_effects(cross.fields)
    spread = np.sqrt(np.cov(values["effect"], fweights=values["count"]))
    assert spread == pytest.approx(cross.strength, rel=0.05)
    with pytest.raises(ValueError, match="class_label must be None"):
        model.explain(X[:3], class_label=1)


@pytest.mark.parametrize("y", [np.full(240, 3.0), np.zeros(240), np.arange(240) % 2])
@every_loss
def test_constant_and_rare_targets(y, loss):
    model = make(loss=loss).fit(SMALL, y)
    predicted = model.predict(SMALL)
    assert np.isfinite(predicted).all()
    assert predicted.mean() == pytest.approx(y.mean(), abs=0.02)


def test_a_grid_search_chooses_parameters():
    grid = {"embedding_l2": [1e-3, 10.0], "encoder__min_frequency": [1]}
    model = make(encoder=FieldEncoder(), max_epochs=10)
    search = GridSearchCV(model, grid, cv=2).fit(X[:1_000], NUMBERS[:1_000])
    assert search.best_params_["embedding_l2"] == 1e-3
