"""Tables of what moved single rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from sparsectr.explanation.fields import FieldNames, as_text
from sparsectr.training.strengths import ROUNDING

Array = npt.NDArray[Any]


class Entries(NamedTuple):
    """Hold M entries of a table: contributions of sets of fields to rows.

    Attributes
    ----------
    rows, ranks, places : ndarray of shape (M,), int
        Row of X; rank in the row; which of the sets.
    values : ndarray of shape (M,), float64
        Contribution.
    """

    rows: Array
    ranks: Array
    places: Array
    values: Array


def rank(contributions: Array, top: int, unit: float) -> Entries:
    """Return the largest of the contributions (P, n) to every row, ranked from 1."""
    order = np.argsort(-np.abs(contributions), axis=0, kind="stable")[:top]
    positions: Array = np.indices(order.shape)
    ranks, rows = positions
    values = np.take_along_axis(contributions, order, axis=0)
    kept = (np.abs(values) > unit * ROUNDING).T
    return Entries(rows.T[kept], ranks.T[kept] + 1, order.T[kept], values.T[kept])


def list_all(contributions: Array) -> Entries:
    """Return all contributions (P, n), with rank 0."""
    positions: Array = np.indices(contributions.shape)
    places, rows = positions
    ranks = np.zeros(rows.size, int)
    return Entries(rows.T.ravel(), ranks, places.T.ravel(), contributions.T.ravel())


def tabulate_entries(
    entries: Entries,
    sets: Sequence[tuple[int, ...]],
    columns: Sequence[list[Any]],
    names: Sequence[FieldNames],
) -> pd.DataFrame:
    """Name the fields of every entry and look up their values in the columns of X.

    Parameters
    ----------
    entries : Entries
        M entries.
    sets : sequence of tuples of int
        The sets of fields.
    columns : sequence of lists
        The cells of every column of X.
    names : sequence of tuples of str
        The names of the fields of every set.
    """
    pairs = list(zip(entries.rows.tolist(), entries.places.tolist(), strict=True))
    # As text: values of one type only can go into a Parquet file.
    cells = [tuple(as_text(columns[f][row]) for f in sets[place]) for row, place in pairs]
    return pd.DataFrame(
        {
            "row": entries.rows,
            "rank": entries.ranks,
            "fields": [names[place] for _, place in pairs],
            "values": cells,
            "contribution": entries.values,
        }
    )
