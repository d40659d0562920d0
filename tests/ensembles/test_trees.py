"""Boosted trees on raw columns and on statistics."""

import numpy as np
import pytest

from sparsectr import CrossStatistics
from sparsectr.datasets import make_clicks
from sparsectr.ensembles import trees
from sparsectr.ensembles.stacking import blended_loss, to_log_odds
from sparsectr.ensembles.trees import LabelledTable, Trees


@pytest.fixture(scope="module")
def parts():
    effects = {"main_effect": 0.0, "cross_effect": 3.0}
    clicks = make_clicks(4_000, 4, 20, crosses=[(0, 1)], **effects, random_state=0)
    rows = LabelledTable(clicks.X, clicks.y.astype(np.int64), np.ones(4_000))
    return rows.take(np.arange(3_000)), rows.take(np.arange(3_000, 4_000))


def loss(model, rows):
    log_odds = to_log_odds(model.predict_proba(rows.table))
    return blended_loss(log_odds, rows.numbers, rows.weights)


def test_rows_are_taken_together(parts):
    rows = parts[0].take(np.array([5, 2]))
    assert rows.table.index.tolist() == [5, 2]
    assert rows.numbers.tolist() == parts[0].numbers[[5, 2]].tolist()


def test_held_out_rows_stop_the_trees(parts):
    train, held = parts
    model = Trees(None, 0).fit(train, held)
    assert model.trees.n_iter_ < trees.MOST_TREES
    if trees.TAKES_VALIDATION:
        other = Trees(None, 0).fit(train, held._replace(numbers=1 - held.numbers))
        assert other.trees.n_iter_ < model.trees.n_iter_  # the labels contradict


def test_statistics_add_what_trees_do_not_find(parts):
    train, held = parts
    alone = loss(Trees(None, 0).fit(train, held), held)
    beside = loss(Trees(CrossStatistics(random_state=0), 0).fit(train, held), held)
    share = train.numbers.mean()
    constant = blended_loss(np.log([[1 - share, share]] * 1_000), held.numbers, held.weights)
    assert beside < alone < constant


def test_equal_weights_are_as_good_as_none():
    """997 rows: no quantile lies between two of them, where weights would decide."""
    rng = np.random.default_rng(0)
    X = rng.random((1_497, 3))
    y = (rng.random(1_497) < X[:, 0]).astype(np.int64)
    rows = LabelledTable(X, y, np.ones(1_497))
    nearly = rows._replace(weights=1 + 1e-9 * rng.random(1_497))
    train, held = np.arange(997), np.arange(997, 1_497)
    equal, other = (
        Trees(None, 0).fit(some.take(train), some.take(held)).predict_proba(X)
        for some in (rows, nearly)
    )
    np.testing.assert_allclose(equal, other, rtol=1e-6)


def test_weights_of_rows(parts):
    train, held = parts
    heavy = train._replace(weights=np.where(train.numbers == 1, 5.0, 1.0))
    before = Trees(None, 0).fit(train, held).predict_proba(held.table)[:, 1].mean()
    assert Trees(None, 0).fit(heavy, held).predict_proba(held.table)[:, 1].mean() > before + 0.05
