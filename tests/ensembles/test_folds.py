"""The three parts of a fold."""

import numpy as np
import pytest

from sparsectr import CrossStatistics, DynIntClassifier
from sparsectr.datasets import make_clicks
from sparsectr.ensembles.folds import PARTS, Recipe, fit_fold
from sparsectr.ensembles.stacking import to_log_odds
from sparsectr.ensembles.trees import LabelledTable


@pytest.fixture(scope="module")
def fold_and_rows():
    clicks = make_clicks(900, 4, 6, crosses=[(1, 3)], cross_effect=2.0, random_state=0)
    rows = LabelledTable(clicks.X, clicks.y.astype(np.int64), np.ones(900))
    recipe = Recipe(DynIntClassifier(max_epochs=4), CrossStatistics(n_pairs=0, n_triples=0), 1)
    held = np.arange(0, 900, 3)
    return fit_fold(recipe, rows, held, np.setdiff1d(np.arange(900), held), 7), rows, held


def test_parts_speak_about_rows_that_are_held_out(fold_and_rows):
    fold, rows, held = fold_and_rows
    assert tuple(fold.models) == tuple(fold.seconds) == PARTS
    assert fold.log_odds.shape == (3, 300, 2)
    for part, log_odds in zip(PARTS, fold.log_odds, strict=True):
        probabilities = fold.models[part].predict_proba(rows.take(held).table)
        np.testing.assert_allclose(log_odds, to_log_odds(probabilities))
        assert fold.seconds[part] > 0


def test_the_net_tells_the_trees_its_crosses(fold_and_rows):
    fold, _, _ = fold_and_rows
    strongest = fold.models["net"].selected_interactions_[0].fields
    statistics = fold.models["trees on statistics"].statistics
    assert [cross.fields for cross in statistics.interactions_] == [strongest]
    assert fold.models["net"].random_state == statistics.random_state == 7
