"""The ensemble as a whole: what it predicts, what it tells, and what it refuses."""

import pickle
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.preprocessing import LabelEncoder

from sparsectr import (
    CrossEnsembleClassifier,
    CrossStatistics,
    DynIntClassifier,
    Interaction,
    OptFeatureClassifier,
)
from sparsectr.datasets import make_clicks
from sparsectr.ensembles import cross_ensemble
from sparsectr.ensembles.stacking import to_log_odds

PARTS = ["net", "trees", "trees on statistics"]


def make(**parameters):
    settings = {"net": DynIntClassifier(max_epochs=4), "n_folds": 2, "random_state": 0}
    return CrossEnsembleClassifier(**settings | parameters)


@pytest.fixture(scope="module")
def clicks():
    return make_clicks(3_000, 4, 7, crosses=[(0, 2)], cross_effect=1.5, random_state=0)


@pytest.fixture(scope="module")
def fitted(clicks):
    return make(net=DynIntClassifier(), n_folds=3).fit(clicks.X[:2_000], clicks.y[:2_000])


@pytest.fixture(scope="module")
def three(clicks):
    """An ensemble of three classes with names."""
    labels = np.where(clicks.X["f1"].isin(["f1_0", "f1_1"]), "c", np.array(["a", "b"])[clicks.y])
    return make().fit(clicks.X[:1_500], labels[:1_500])


def test_better_than_each_of_its_parts(fitted, clicks):
    X, y = clicks.X[2_000:], clicks.y[2_000:]
    loss = log_loss(y, fitted.predict_proba(X))
    for part in PARTS:
        losses = [log_loss(y, m[part].predict_proba(X)) for m in fitted.fold_models_]
        assert loss < np.mean(losses)
    assert loss < log_loss(y, np.full(len(y), clicks.y[:2_000].mean()))


def test_probabilities_are_those_of_the_blend(fitted, clicks):
    X = clicks.X[2_000:2_100]
    blended = fitted.stack_.intercept + sum(
        weight
        * np.mean([to_log_odds(m[part].predict_proba(X)) for m in fitted.fold_models_], axis=0)
        for part, weight in zip(PARTS, fitted.stack_.weights, strict=True)
    )
    np.testing.assert_allclose(to_log_odds(fitted.predict_proba(X)), blended)
    assert (fitted.predict(X) == (blended[:, 1] > blended[:, 0])).all()


def test_leaderboard(fitted):
    board = fitted.leaderboard_.set_index("part")
    assert board.index.tolist() == [*PARTS, "ensemble"]
    assert (board["log_loss"][PARTS] > board.loc["ensemble", "log_loss"]).all()
    assert (board["log_loss_without"][PARTS] > board.loc["ensemble", "log_loss"] - 1e-4).all()
    np.testing.assert_allclose(board["weight"][PARTS], fitted.stack_.weights)
    assert board.loc["ensemble", "seconds"] == pytest.approx(board["seconds"][PARTS].sum())


def test_the_planted_cross_is_found(fitted):
    strongest = fitted.selected_interactions_[0]
    assert isinstance(strongest, Interaction)
    assert strongest.fields == ("f0", "f2")
    nets = [models["net"].selected_interactions_ for models in fitted.fold_models_]
    strengths = [{c.fields: c.strength for c in listed}.get(("f0", "f2"), 0) for listed in nets]
    assert strongest.strength == pytest.approx(fitted.stack_.weights[0] * np.mean(strengths))
    table = fitted.interaction_table()
    assert table.loc[0, "fields"] == ("f0", "f2")
    assert table.loc[0, "net_share"] == table.loc[0, "statistics_share"] == 1
    # All pairs and triples of four fields have statistics.
    assert len(table) >= 10
    assert (table["statistics_share"] == 1).all()


def test_evidence_is_that_of_most_folds(fitted):
    table = fitted.interaction_table(fdr=0.05)
    assert table.loc[table["significant"], "fields"].tolist() == [("f0", "f2")]
    nets = [models["net"] for models in fitted.fold_models_]
    told = [net.interaction_table().set_index("fields")["evidence"] for net in nets]
    for row in table.itertuples():
        values = [some[[row.fields]].iloc[0] for some in told if row.fields in some.index]
        expected = np.nanmean(values) if np.isfinite(values).any() else np.nan
        assert row.evidence == pytest.approx(expected, nan_ok=True)
    assert not fitted.interaction_table(fdr=1e-300)["significant"].any()
    with pytest.raises(ValueError, match="fdr must be a number > 0 and < 1"):
        fitted.interaction_table(fdr=1)


def test_contributions_add_up(fitted, clicks):
    X = clicks.X[2_000:2_020]
    entries = fitted.explain(X, None, complete=True)
    np.testing.assert_allclose(
        entries.groupby("row")["contribution"].sum(), logit(fitted.predict_proba(X)[:, 1])
    )
    assert entries.attrs == {"probability_of": str(fitted.classes_[1])}
    assert set(entries["part"]) == {*PARTS, "intercept"}
    wholes = entries[entries["fields"].map(len) == 0]
    assert wholes.groupby("row")["part"].nunique().eq(4).all()
    trees = wholes[wholes["part"] == "trees"]["contribution"]
    own = [logit(m["trees"].predict_proba(X)[:, 1]) for m in fitted.fold_models_]
    np.testing.assert_allclose(trees, fitted.stack_.weights[1] * np.mean(own, axis=0))


def test_crosses_of_rows_are_ranked(fitted, clicks):
    X = clicks.X[2_000:2_020]
    entries = fitted.explain(X, top=2)
    assert entries.columns[:3].tolist() == ["row", "rank", "part"]
    assert (entries["part"] == "net").all()
    assert entries["rank"].isin([1, 2]).all()
    sizes = entries["contribution"].abs()
    assert (sizes.groupby(entries["row"]).diff().dropna() <= 0).all()
    first = entries[entries["fields"] == ("f0", "f2")].iloc[0]
    row = X.iloc[first["row"]]
    assert first["values"] == (row["f0"], row["f2"])
    # Of the other class, the same with the other sign.
    other = fitted.explain(X, top=2, class_label=0)
    np.testing.assert_allclose(other["contribution"], -entries["contribution"])


def test_three_classes(three, clicks):
    assert three.classes_.tolist() == ["a", "b", "c"]
    X = clicks.X[1_500:1_530]
    probabilities = three.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    predicted = three.predict(X)
    assert set(predicted) <= {"a", "b", "c"}
    entries = three.explain(X, complete=True, top=None)
    log_odds = to_log_odds(probabilities)[np.arange(30), probabilities.argmax(axis=1)]
    np.testing.assert_allclose(entries.groupby("row")["contribution"].sum(), log_odds)
    of_c = three.explain(X, complete=True, top=None, class_label="c")
    sums = of_c.groupby("row")["contribution"].sum()
    np.testing.assert_allclose(sums, to_log_odds(probabilities)[:, 2])
    with pytest.raises(ValueError, match="class_label must be one of classes_"):
        three.explain(X, class_label="d")


def test_same_seed_same_ensemble(clicks):
    X, y = clicks.X[:600], clicks.y[:600]
    first, second, other = (make(random_state=seed).fit(X, y) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    assert (first.predict_proba(X) != other.predict_proba(X)).any()


def test_folds_at_the_same_time(clicks):
    X, y = clicks.X[:600], clicks.y[:600]
    probabilities = make().fit(X, y).predict_proba(X)
    at_once = make(n_jobs=2).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(at_once, probabilities, rtol=1e-5)


def test_copies_and_pickles(fitted, clicks):
    probabilities = fitted.predict_proba(clicks.X[:50])
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copy.predict_proba(clicks.X[:50]), probabilities)
    pd.testing.assert_frame_equal(copy.leaderboard_, fitted.leaderboard_)
    assert not hasattr(clone(fitted), "stack_")


def test_rows_of_weight_zero_are_absent(clicks):
    X, y = clicks.X[:600], clicks.y[:600]
    weights = np.ones(600)
    weights[500:] = 0
    first = make().fit(X, y, weights).predict_proba(X)
    np.testing.assert_array_equal(first, make().fit(X[:500], y[:500]).predict_proba(X))


def test_heavy_rows_matter(clicks):
    X, y = clicks.X[:600], clicks.y[:600]
    heavy = make().fit(X, y, np.where(y == 1, 5.0, 1.0)).predict_proba(X)
    assert heavy[:, 1].mean() > make().fit(X, y).predict_proba(X)[:, 1].mean() + 0.2


def test_no_fold_begins_after_the_time(clicks, monkeypatch):
    X, y = clicks.X[:600], clicks.y[:600]
    clf = make(n_folds=5, time_limit=0).fit(X, y)
    assert len(clf.fold_models_) == 1  # the first is fitted in any case
    ticks = iter(range(0, 10_000, 10))
    monkeypatch.setattr(cross_ensemble, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    # Every look at the clock is 10 seconds later: folds begin at 10, 30, 50 and take 10.
    assert len(make(n_folds=5, time_limit=45).fit(X, y).fold_models_) == 2
    monkeypatch.undo()
    assert len(make(n_folds=3, time_limit=1e6).fit(X, y).fold_models_) == 3


def test_one_line_per_fold(clicks, capsys):
    make(verbose=1).fit(clicks.X[:300], clicks.y[:300])
    lines = capsys.readouterr().out.splitlines()
    assert [line[:34] for line in lines[:2]] == [
        "[CrossEnsembleClassifier] 1 of 2 f",
        "[CrossEnsembleClassifier] 2 of 2 f",
    ]
    assert "log loss" in lines[2]
    make().fit(clicks.X[:300], clicks.y[:300])
    assert capsys.readouterr().out == ""


def test_a_class_of_one_row_is_never_held_out(clicks):
    labels = clicks.y[:300].astype(object)
    labels[:] = np.array(["no", "yes"])[clicks.y[:300]]
    labels[17] = "once"
    clf = make().fit(clicks.X[:300], labels)
    assert clf.classes_.tolist() == ["no", "once", "yes"]
    assert clf.predict_proba(clicks.X[:5]).shape == (5, 3)
    with pytest.raises(ValueError, match="y must hold at least two rows of a class"):
        make().fit(clicks.X[:2], ["no", "yes"])


def test_another_net_and_other_statistics(clicks):
    X, y = clicks.X[:600], clicks.y[:600]
    statistics = CrossStatistics(n_pairs=2, n_triples=0)
    clf = make(net=OptFeatureClassifier(max_epochs=1, search_epochs=1), statistics=statistics)
    clf.set_params(n_discovered=1).fit(X, y)
    for models in clf.fold_models_:
        assert isinstance(models["net"], OptFeatureClassifier)
        discovered = models["net"].selected_interactions_[:1]
        made = [cross.fields for cross in models["trees on statistics"].statistics.interactions_]
        assert made[: len(discovered)] == [cross.fields for cross in discovered]
        assert 2 <= len(made) <= 3


@pytest.mark.parametrize(
    ("parameters", "kind", "message"),
    [
        ({"net": LabelEncoder()}, TypeError, "net must be 'auto' or a classifier of this package"),
        ({"net": DynIntClassifier}, TypeError, "net must be 'auto' or a classifier"),
        ({"statistics": "all"}, TypeError, "statistics must be 'auto' or a CrossStatistics"),
        ({"n_folds": 1}, ValueError, "n_folds must be an int >= 2, got 1"),
        ({"time_limit": -1}, ValueError, "time_limit must be a number >= 0, got -1"),
        ({"n_jobs": 0}, ValueError, "n_jobs must not be 0, got 0"),
        ({"n_discovered": -1}, ValueError, "n_discovered must be an int >= 0, got -1"),
    ],
)
def test_parameters_are_checked(clicks, parameters, kind, message):
    with pytest.raises(kind, match=message):
        make(**parameters).fit(clicks.X[:50], clicks.y[:50])


def test_weights_must_leave_every_class(clicks):
    weights = (clicks.y[:50] == 0).astype(float)
    with pytest.raises(ValueError, match="sample_weight must be above 0 for a row of every"):
        make().fit(clicks.X[:50], clicks.y[:50], weights)
