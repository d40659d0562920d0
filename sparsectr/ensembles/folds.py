"""The models of one fold, and what they say about the rows that are held out."""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from sparsectr.ensembles.cross_statistics import CrossStatistics
from sparsectr.ensembles.stacking import to_log_odds
from sparsectr.ensembles.trees import LabelledTable, Trees

# The parts of an ensemble, in the order in which a fold fits them.
NET, TREES, STATISTICS = PARTS = ("net", "trees", "trees on statistics")


class Recipe(NamedTuple):
    """What a fold fits.

    Attributes
    ----------
    net : estimator
        A classifier that lists crosses; cloned.
    statistics : CrossStatistics
        Makes the columns of the third part; cloned. Its ``numeric_features`` holds for both trees.
    n_discovered : int
        How many of the crosses that the net lists have statistics in any case.
    """

    net: Any
    statistics: CrossStatistics
    n_discovered: int


class Fold(NamedTuple):
    """The fitted parts of a fold.

    Attributes
    ----------
    models : dict
        The model of each part.
    held : ndarray of int, shape (n_held,)
        The rows that are held out.
    log_odds : ndarray of shape (n_parts, n_held, n_classes)
        What each part says about them.
    seconds : dict
        How long each part took.
    """

    models: dict[str, Any]
    held: NDArray[np.intp]
    log_odds: NDArray[np.float64]
    seconds: dict[str, float]


def fit_fold(
    recipe: Recipe, rows: LabelledTable, held: NDArray[np.intp], kept: NDArray[np.intp], seed: int
) -> Fold:
    """Fit all parts on the rows that are kept; the others stop them.

    Parameters
    ----------
    recipe : Recipe
        What to fit.
    rows : LabelledTable
        All rows.
    held, kept : ndarray of int, shapes (n_held,) and (n_kept,)
        Row numbers of both parts.
    seed : int
        Seed of all parts.
    """
    train, stop = rows.take(kept), rows.take(held)
    models, seconds, log_odds = {}, {}, []
    started = time.perf_counter()
    for part, model in _fit_parts(recipe, train, stop, seed):
        models[part] = model
        log_odds.append(to_log_odds(model.predict_proba(stop.table)))
        seconds[part] = time.perf_counter() - started
        started = time.perf_counter()
    return Fold(models, held, np.stack(log_odds), seconds)


def _fit_parts(
    recipe: Recipe, train: LabelledTable, stop: LabelledTable, seed: int
) -> Iterator[tuple[str, Any]]:
    net = clone(recipe.net).set_params(random_state=seed)
    net.fit(
        train.table,
        train.numbers,
        train.weights,
        X_val=stop.table,
        y_val=stop.numbers,
        sample_weight_val=stop.weights,
    )
    yield NET, net
    numeric = recipe.statistics.numeric_features
    yield TREES, Trees(None, seed, numeric).fit(train, stop)
    statistics = clone(recipe.statistics).set_params(random_state=seed)
    discovered = net._crosses_alone()[: recipe.n_discovered]
    statistics.set_params(interactions=[cross.fields for cross in discovered])
    yield STATISTICS, Trees(statistics, seed, numeric).fit(train, stop)
