"""Statistics of the target in cells: the rows that agree in the fields of a cross."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


def deal_folds(numbers: Ints, n_folds: int, rng: np.random.RandomState) -> NDArray[np.int64]:
    """Deal rows into folds with equal class shares.

    Rows are dealt one by one, class after class, so that a class of two rows or more is never
    in one fold only.

    Parameters
    ----------
    numbers : ndarray of int, shape (n_rows,)
        Class number of every row.
    n_folds : int
        Number of folds.
    rng : RandomState
        Source of the order within a class.

    Returns
    -------
    ndarray of int, shape (n_rows,)
        Fold of every row.
    """
    order = np.lexsort((rng.random_sample(len(numbers)), numbers))
    folds = np.empty(len(numbers), dtype=np.int64)
    folds[order] = np.arange(len(numbers)) % n_folds
    return folds


def sum_cells(cells: Ints, size: int, targets: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Sum the weights, and the weighted targets, of the rows of every cell.

    Parameters
    ----------
    cells : ndarray of int, shape (n_rows,)
        Cell of every row, below ``size``.
    size : int
        Number of cells.
    targets : ndarray of shape (n_rows, n_targets)
        What is averaged.
    weights : ndarray of shape (n_rows,)
        Weights of the rows.

    Returns
    -------
    counts : ndarray of shape (size,)
    sums : ndarray of shape (size, n_targets)
    """
    counts: Floats = np.bincount(cells, weights, minlength=size).astype(np.float64)
    sums = [np.bincount(cells, weights * target, minlength=size) for target in targets.T]
    return counts, np.stack(sums, axis=1).astype(np.float64)


def shrink(counts: Floats, sums: Floats, smooth: float) -> Floats:
    """Return means of cells (size, n_targets), with ``smooth`` rows of the mean of all in each.

    Of counts (size,) and sums (size, n_targets).
    """
    # Where there is no row at all, the mean is 0.
    prior = sums.sum(axis=0) / max(counts.sum(), np.finfo(np.float64).tiny)
    return (sums + smooth * prior) / (counts + smooth)[:, None]


def means_out_of_fold(
    cells: Ints, size: int, targets: Floats, weights: Floats, folds: Ints, smooth: float
) -> Floats:
    """Return for every row the mean of its cell in the other folds, (n_rows, n_targets).

    Parameters
    ----------
    cells, size
        As in `sum_cells`.
    targets : ndarray of shape (n_rows, n_targets)
        0 or 1.
    weights : ndarray of shape (n_rows,)
        Weights of the rows.
    folds : ndarray of int, shape (n_rows,)
        Fold of every row; the weights of one fold are not all the weight there is.
    smooth : float
        Rows of the mean of all that are added to each cell.
    """
    counts, sums = sum_cells(cells, size, targets, weights)
    means = np.empty((len(cells), targets.shape[1]))
    for rows in rows_of_folds(folds):
        own = sum_cells(cells[rows], size, targets[rows], weights[rows])
        means[rows] = shrink(counts - own[0], sums - own[1], smooth)[cells[rows]]
    return means


def rows_of_folds(folds: Ints) -> Iterator[NDArray[np.intp]]:
    """Yield the rows of every fold."""
    for fold in np.unique(folds):
        yield np.flatnonzero(folds == fold)


def log_loss_of_means(means: Floats, targets: Floats, weights: Floats) -> float:
    """Return the mean log loss of probabilities of each target, summed over the targets.

    Of means (n_rows, n_targets), targets (n_rows, n_targets) and weights (n_rows,).
    """
    clipped = means.clip(1e-6, 1 - 1e-6)
    losses = -np.where(targets == 1, np.log(clipped), np.log1p(-clipped)).sum(axis=1)
    return float(np.average(losses, weights=weights))
