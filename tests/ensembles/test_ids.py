"""Which integers are ids."""

import numpy as np
import pandas as pd
import pytest

from sparsectr import CrossEnsembleClassifier, CrossStatistics, DynIntClassifier
from sparsectr.ensembles import ids
from sparsectr.ensembles.columns import Columns
from sparsectr.ensembles.ids import choose_numbers, find_ids
from sparsectr.ensembles.trees import LabelledTable

STATISTICS = CrossStatistics(n_bins=5, n_pairs=3, n_triples=0)


def make_rows(n_rows=6_000, *, as_ids, seed=0):
    """Draw rows with users and items as numbers: the label depends on pairs of them, or on a sum.

    A user has two items, one with a high and one with a low share, and nothing of that shows in the
    user alone. Users and items with large numbers have a higher share.
    """
    rng = np.random.default_rng(seed)
    n_users = n_rows // 8
    users = rng.integers(0, n_users, n_rows)
    kind = rng.integers(0, 2, n_rows)
    items = rng.integers(0, 200, (n_users, 2))[users, kind]
    X = pd.DataFrame({"user": users, "item": items, "price": rng.random(n_rows)})
    trend = users / n_users + items / 200 - 1
    score = 4 * kind - 2 + trend if as_ids else 4 * trend
    y = rng.random(n_rows) < 1 / (1 + np.exp(-score))
    return LabelledTable(X, y.astype(np.int64), np.ones(n_rows))


def test_whole_numbers_that_come_again_may_be_ids():
    X = pd.DataFrame(
        {
            "agent": [7.0, 8.0, 9.0, np.nan] * 30,
            "price": np.linspace(0, 1, 120),
            "case": range(120),
            "stars": [1, 2] * 60,
            "name": ["a", "b", "c", "d"] * 30,
        }
    )
    columns = Columns().fit(X)
    assert [columns.names[j] for j in find_ids(columns, X, 2)] == ["agent"]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ids_become_categories_where_trees_predict_better_so(seed):
    assert choose_numbers(STATISTICS, make_rows(as_ids=True, seed=seed), seed) == {2: "price"}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_quantities_stay_numbers(seed):
    chosen = choose_numbers(STATISTICS, make_rows(as_ids=False, seed=seed), seed)
    assert list(chosen.values()) == ["user", "item", "price"]


def test_few_rows_and_named_columns_are_not_tried(monkeypatch):
    few = make_rows(400, as_ids=True)
    named = CrossStatistics(numeric_features=["item"])
    monkeypatch.setattr(ids, "Trees", None)
    assert len(choose_numbers(STATISTICS, few, 0)) == 3
    assert choose_numbers(named, make_rows(as_ids=True), 0) == {1: "item"}


def test_all_parts_of_an_ensemble_take_the_choice():
    rows = make_rows(2_000, as_ids=True)
    clf = CrossEnsembleClassifier(
        net=DynIntClassifier(max_epochs=1), statistics=STATISTICS, n_folds=2, random_state=0
    ).fit(rows.table, rows.numbers)
    assert clf.numeric_features_ == ["price"]
    for models in clf.fold_models_:
        assert models["trees"].columns.numeric == [2]
        assert models["trees on statistics"].statistics.numeric_features == [2]
