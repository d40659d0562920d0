"""The order of ordered categories, in which tables and pictures show the values of a field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sparsectr.encoding.cells import Field
from sparsectr.encoding.vocabulary import Vocabulary, as_index

# By column of codes, for every value of its vocabulary.
Ranks = dict[int, NDArray[np.int32]]


def find_ranks(table: Any, fields: list[Field]) -> Ranks:
    """Return the places of values among the ordered categories of their column.

    Parameters
    ----------
    table : DataFrame or ndarray, shape (n_rows, n_fields)
        A result of `as_table`.
    fields : list of tuples
        The code columns that were learnt of its columns.

    Returns
    -------
    dict of int to ndarray of int32, shape (n_values,)
        For the columns of codes that hold ordered categories which are strings: the place of the
        value of every code from 2 on. Values that are no category follow.
    """
    ranks: Ranks = {}
    column = 0
    for categories, field in zip(_ordered_categories(table), fields, strict=True):
        vocabulary = field[0]
        if categories is not None and isinstance(vocabulary, Vocabulary):
            places = as_index(categories).get_indexer(as_index(vocabulary.values))
            ranks[column] = np.where(places < 0, len(categories), places).astype(np.int32)
        column += len(field)
    return ranks


def show_in_order(
    values: NDArray[Any], ranks: NDArray[np.integer[Any]], places: NDArray[np.integer[Any]]
) -> pd.Series[Any]:
    """Return values as ordered categories.

    Parameters
    ----------
    values : ndarray of shape (n_values,)
        Distinct values.
    ranks : ndarray of shape (n_values,) or shorter
        What they are sorted by; values without a rank follow.
    places : ndarray of int
        Which of the values are shown; negative where there is none.
    """
    order = np.append(np.argsort(ranks, kind="stable"), np.arange(len(ranks), len(values)))
    codes = np.empty(len(values), dtype=np.intp)
    codes[order] = np.arange(len(values))
    shown = np.append(codes, -1)[np.maximum(places, -1)]
    names = pd.Index(values, dtype=object)[order]
    return pd.Series(pd.Categorical.from_codes(shown, names, ordered=True))


def _ordered_categories(table: Any) -> Iterator[NDArray[np.object_] | None]:
    """Yield for every column its categories in their order, None if it has none."""
    for categories in _categories(table):
        known = None if categories is None else np.asarray(categories, dtype=object)
        is_text = known is not None and pd.api.types.infer_dtype(known, skipna=False) == "string"
        yield cast(NDArray[np.object_], known) if is_text else None


def _categories(table: Any) -> Iterator[Any]:
    """Yield the categories of columns that say that they are in order: of pandas, Arrow, polars."""
    if isinstance(table, np.ndarray):
        yield from [None] * table.shape[1]
    elif isinstance(table, pd.DataFrame):
        for dtype in table.dtypes:
            ordered = isinstance(dtype, pd.CategoricalDtype) and dtype.ordered
            yield dtype.categories if ordered else None
    elif hasattr(table, "itercolumns"):
        for column in table.itercolumns():
            ordered = getattr(column.type, "ordered", False) and column.num_chunks
            yield column.unify_dictionaries().chunk(0).dictionary.to_pylist() if ordered else None
    elif type(table).__module__.startswith("polars"):
        for dtype in table.dtypes:  # other categories of polars than Enum have no order
            yield dtype.categories.to_list() if type(dtype).__name__ == "Enum" else None
    else:
        yield from [None] * table.shape[1]
