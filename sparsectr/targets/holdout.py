"""Validation rows that are not drawn at random: the last ones, or whole groups."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]


def split_last(ranks: Numbers, fraction: float) -> tuple[Numbers, Numbers]:
    """Split row numbers into earlier ones and the last ones.

    Parameters
    ----------
    ranks : ndarray of shape (n_rows,)
        When every row was. Rows of one time stay together.
    fraction : float
        Share of the last rows, in (0, 1); more where a time reaches across that limit.

    Returns
    -------
    train_rows, validation_rows : ndarray of int64
        Sorted row numbers.

    Raises
    ------
    ValueError
        If all rows have the same time.
    """
    first = np.sort(ranks)[-int(np.ceil(fraction * len(ranks)))]
    if first == ranks.min():  # then what comes after the first time
        first = first + 1
    last = ranks >= first
    if not last.any():
        raise ValueError("validation='last' needs rows of at least two times, got one.")
    return np.flatnonzero(~last), np.flatnonzero(last)


def split_groups(
    groups: Numbers, fraction: float, random_state: np.random.RandomState
) -> tuple[Numbers, Numbers]:
    """Split row numbers so that no group is on both sides.

    Parameters
    ----------
    groups : ndarray of shape (n_rows,)
        The group of every row.
    fraction : float
        Share of the rows for validation, in (0, 1); groups are drawn until it is reached.
    random_state : numpy.random.RandomState
        Source of the order of the groups.

    Returns
    -------
    train_rows, validation_rows : ndarray of int64
        Sorted row numbers.

    Raises
    ------
    ValueError
        If there is only one group.
    """
    names, numbers = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise ValueError("validation_groups must hold at least two groups, got one.")
    order = random_state.permutation(len(names))
    sizes = np.bincount(numbers)[order]
    before = np.cumsum(sizes) - sizes
    drawn = before < fraction * len(groups)
    drawn[-1] = False  # one stays for training
    held_out = np.isin(numbers, order[drawn])
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)
