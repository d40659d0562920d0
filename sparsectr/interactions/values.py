"""Tables of the values of fields: their names, their order, and which of them matter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparsectr.interactions.drawing import NO_NAME, shorten


def value_names(values: pd.Series[Any]) -> pd.Series[Any]:
    """Write values as text; all that have no name look alike."""
    return values.astype(object).map(str).where(values.notna(), NO_NAME)


def sorted_names(values: pd.Series[Any]) -> list[str]:
    """Return the distinct values as text: in their order if they have one, else by name."""
    different = values.dropna().drop_duplicates()
    try:
        distinct = list(different.sort_values())
    except TypeError:
        distinct = sorted(different, key=str)
    return list(dict.fromkeys([*map(str, distinct), *value_names(values[values.isna()])]))


def weigh_values(table: pd.DataFrame, column: int) -> pd.Series[Any]:
    """Return how much of the squared effect is in the rows of every value of a field.

    Parameters
    ----------
    table : DataFrame
        The values of some fields, count and effect: its columns in this order.
    column : int
        Place of the field among them.
    """
    counts, effects = table.iloc[:, -2], table.iloc[:, -1]
    names = value_names(table.iloc[:, column])
    return (counts * effects**2).groupby(names, sort=False).sum()


def describe_values(table: pd.DataFrame, column: int, n_values: Mapping[str, int]) -> str:
    """Name a field, and say how many of its values are shown if that is not all."""
    name = str(table.columns[column])
    n_shown = table.iloc[:, column].dropna().nunique()
    n_known = n_values.get(name, n_shown)
    text = shorten(name, 40)
    return text if n_shown >= n_known else f"{text} ({n_shown} of {n_known} values)"
