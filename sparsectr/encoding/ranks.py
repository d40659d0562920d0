"""The order of rows in time."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsectr.encoding.columns import iterate_columns, read_column
from sparsectr.encoding.vocabulary import value_order


def rank_times(table: Any, column: int | None) -> NDArray[np.int64]:
    """Return the rank of every row in time, from 0; rows of the same time have the same.

    Parameters
    ----------
    table : DataFrame or ndarray, shape (n_rows, n_fields)
        A result of `as_table`.
    column : int or None
        Position of the column that says when a row was; None takes the order of the rows.

    Raises
    ------
    ValueError
        If a time is missing, or there is only one.
    """
    if column is None:
        return np.arange(table.shape[0])
    cells = next(cells for j, cells in enumerate(iterate_columns(table)) if j == column)
    times = read_column(cells)
    if (times.positions < 0).any():
        raise ValueError(
            "time_column must have a value in every row, got missing ones; leave these rows out."
        )
    ranks = np.empty(len(times.values), dtype=np.int64)
    ranks[value_order(times.values)] = np.arange(len(ranks))
    return ranks[times.positions]
