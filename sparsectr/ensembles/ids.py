"""Columns of integers that are ids: categories to trees, not numbers."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils import check_random_state

from sparsectr.ensembles.cells import deal_folds
from sparsectr.ensembles.columns import Columns
from sparsectr.ensembles.cross_statistics import FEWEST_ROWS, CrossStatistics
from sparsectr.ensembles.trees import LabelledTable, Trees

# Rows that decide: more would take long, with fewer the choice is left to chance.
MOST_ROWS, FEWEST_TO_TRY = 20_000, 500
N_FOLDS = 5


def choose_numbers(statistics: CrossStatistics, rows: LabelledTable, seed: int) -> dict[int, str]:
    """Choose the columns that trees and statistics take as numbers.

    Integers may be quantities or ids, and nothing in a column tells. So trees on statistics are
    fitted both ways, once with all columns of numbers as numbers, and once with those as categories
    that could be ids: of whole numbers, more of them than bins, most of which come several times.
    The second way is taken if the log loss of held-out rows is lower by more than two standard
    errors of the difference.

    Parameters
    ----------
    statistics : CrossStatistics
        Cloned. What its ``numeric_features`` names is not tried.
    rows : LabelledTable
        All rows; a random sample of them decides.
    seed : int
        Seed of sample and trees.

    Returns
    -------
    dict
        Positions of the columns of numbers, and their names.
    """
    columns = Columns(statistics.numeric_features).fit(rows.table)
    all_numbers = {j: columns.names[j] for j in columns.numeric}
    if not isinstance(statistics.numeric_features, str):
        return all_numbers
    ids = find_ids(columns, rows.table, statistics.n_bins)
    folds = deal_folds(rows.numbers, N_FOLDS, check_random_state(seed))
    order = np.random.default_rng(seed).permutation(len(folds))[:MOST_ROWS]
    train, held = (rows.take(order[part]) for part in (folds[order] > 0, folds[order] == 0))
    classes = [np.unique(part.numbers).tolist() for part in (rows, train, held)]
    if not ids or len(order) < FEWEST_TO_TRY or classes[0] != classes[1] or not classes[2]:
        return all_numbers
    quantities = {j: name for j, name in all_numbers.items() if j not in ids}
    gains = np.subtract(
        *(_losses(statistics, train, held, seed, way) for way in (all_numbers, quantities))
    )
    gain = np.average(gains, weights=held.weights)
    error = np.linalg.norm(held.weights * (gains - gain)) / held.weights.sum()
    return quantities if gain > 2 * error else all_numbers


def find_ids(columns: Columns, table: Any, n_bins: int) -> list[int]:
    """Return the positions of the columns of numbers that could be ids."""
    codes, found = columns.codes(table), []
    for j, numbers in columns.numbers(table).items():
        known = numbers[np.isfinite(numbers)]
        counts = np.bincount(codes[:, j])[codes[:, j]]
        is_whole = bool((known == np.floor(known)).all())
        is_large = columns.encoder.vocabulary_sizes_[j] - 2 > n_bins
        if is_whole and is_large and np.mean(counts >= FEWEST_ROWS) >= 0.5:
            found.append(j)
    return found


def _losses(
    statistics: CrossStatistics,
    train: LabelledTable,
    held: LabelledTable,
    seed: int,
    numbers: Iterable[int],
) -> NDArray[np.float64]:
    """Return the log loss of every held-out row, (n_held,), with these columns as numbers."""
    numeric = list(numbers)
    made = clone(statistics).set_params(numeric_features=numeric, random_state=seed)
    probabilities = Trees(made, seed, numeric).fit(train, held).predict_proba(held.table)
    own = probabilities[np.arange(len(held.numbers)), held.numbers]
    return -np.log(np.maximum(own, np.finfo(np.float64).tiny))
