"""Training and validation rows with equal shares of the classes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def split_rows(
    numbers: npt.NDArray[np.int64], fraction: float, random_state: np.random.RandomState
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Split row numbers into training and validation, with equal class shares where possible.

    Parameters
    ----------
    numbers : ndarray of shape (n_rows,)
        Class number of every row.
    fraction : float
        Share of the rows for validation, in (0, 1).
    random_state : numpy.random.RandomState
        Source of the split.

    Returns
    -------
    train_rows, validation_rows : ndarray of int64
        Sorted row numbers.
    """
    n_rows, counts = len(numbers), np.bincount(numbers)
    n_validation = int(np.ceil(fraction * n_rows))
    # The only row of a class is for training; the others are shared out.
    rows = None
    if (counts == 1).any():
        shared = counts[numbers] > 1
        if n_validation < shared.sum():
            rows = np.flatnonzero(shared)
            numbers, counts = numbers[rows], np.where(counts > 1, counts, 0)
    n_classes = np.count_nonzero(counts)
    fewest = min(n_validation, len(numbers) - n_validation)
    if counts[counts > 0].min() >= 2 and fewest >= n_classes:
        drawn = _draw_from_classes(numbers, counts, n_validation, random_state)
    else:
        drawn = random_state.permutation(len(numbers))[:n_validation]
    in_validation = np.zeros(n_rows, dtype=bool)
    in_validation[drawn if rows is None else rows[drawn]] = True
    return np.flatnonzero(~in_validation), np.flatnonzero(in_validation)


def _draw_from_classes(
    numbers: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    n_drawn: int,
    random_state: np.random.RandomState,
) -> npt.NDArray[np.int64]:
    """Draw row numbers, of every class the same share as far as that goes.

    The rows are those of `sklearn.model_selection.train_test_split`, and the source is left as
    that leaves it. It gathers them in Python's lists, which takes as long as half an epoch.
    """
    # NumPy sorts short integers by their digits.
    by_class = np.argsort(numbers.astype(np.min_scalar_type(len(counts))), kind="stable")
    of_classes = [rows for rows in np.split(by_class, counts.cumsum()[:-1]) if len(rows)]
    counts = counts[counts > 0]
    n_kept = _share_out(counts, len(numbers) - n_drawn, random_state)
    n_taken = _share_out(counts - n_kept, n_drawn, random_state)
    drawn = []
    for rows, first, n in zip(of_classes, n_kept, n_taken, strict=True):
        drawn.append(rows[random_state.permutation(len(rows))[first : first + n]])
    random_state.permutation(len(numbers) - n_drawn)
    return random_state.permutation(np.concatenate(drawn))


def _share_out(
    counts: npt.NDArray[np.int64], n_draws: int, random_state: np.random.RandomState
) -> npt.NDArray[np.int64]:
    """Return how many of so many draws without replacement fall on every class, most probably."""
    expected = counts / counts.sum() * n_draws
    shares = np.floor(expected).astype(np.int64)
    remainders, n_missing = expected - shares, n_draws - int(shares.sum())
    for remainder in np.unique(remainders)[::-1]:
        if n_missing <= 0:
            break
        # One more each, in random order where several are as near to it.
        equal = np.flatnonzero(remainders == remainder)
        n_more = min(len(equal), n_missing)
        shares[random_state.choice(equal, size=n_more, replace=False)] += 1
        n_missing -= n_more
    return shares
