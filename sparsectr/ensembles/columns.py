"""Columns of a table as exact codes, and as numbers where they are numbers."""

from collections.abc import Collection
from typing import Any, Self

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sparsectr.encoding.bag_columns import holds_lists
from sparsectr.encoding.binning import as_numbers
from sparsectr.encoding.columns import iterate_columns, read_column
from sparsectr.encoding.field_encoder import FieldEncoder
from sparsectr.encoding.parameters import numeric_positions


def with_plain_columns(table: Any) -> Any:
    """Return a frame of another library as one of pandas, whose rows can be taken.

    Parameters
    ----------
    table : DataFrame or ndarray, shape (n_rows, n_fields)
        A result of `as_table`.

    Returns
    -------
    DataFrame or ndarray, shape (n_rows, n_fields)
        With the same values. Arrow has columns of which no rows can be taken.
    """
    arrow = isinstance(table, pd.DataFrame) and any(
        isinstance(dtype, pd.ArrowDtype) for dtype in table.dtypes
    )
    if isinstance(table, np.ndarray) or (isinstance(table, pd.DataFrame) and not arrow):
        return table
    names = table.columns if isinstance(table, pd.DataFrame) else nw.from_native(table).columns
    return pd.DataFrame(dict(zip(names, iterate_columns(table), strict=True)))


class Columns:
    """Read tables as exact codes and as numbers.

    Parameters
    ----------
    numeric_features : "auto" or list of str or int, default="auto"
        Columns of numbers, as in `FieldEncoder`. "auto" takes all columns of integers or floats.

    Attributes
    ----------
    encoder : FieldEncoder
        Every value of a column is a category, numbers too; codes follow falling frequency.
    numeric : list of int
        Positions of the columns that are numbers.
    names : list of str
        Names of the columns.
    """

    def __init__(self, numeric_features: str | Collection[str | int] = "auto") -> None:
        self.numeric_features = numeric_features

    def fit(self, table: Any) -> Self:
        """Learn the values of the columns, and which of them are numbers."""
        self.encoder = FieldEncoder(numeric_features=[])
        # Numbers may well be nearly unique; of other columns, nets warn.
        self.encoder._fit(table, encode=False, warn=False)
        self.names = [str(name) for name in self.encoder.get_feature_names_out()]
        named = numeric_positions(self.numeric_features, self.names)
        if named is None:
            kinds = [
                "other" if holds_lists(cells) else read_column(cells).kind
                for cells in iterate_columns(table)
            ]
            named = {j for j, kind in enumerate(kinds) if kind in ("integer", "float")}
        self.numeric = sorted(named)
        return self

    def codes(self, table: Any) -> NDArray[np.int32]:
        """Return the exact codes (n, F)."""
        return self.encoder._encode(table, warn=False)

    def numbers(self, table: Any) -> dict[int, NDArray[np.float64]]:
        """Return the numbers of the numeric columns by position, NaN where missing."""
        found = {}
        for j, cells in enumerate(iterate_columns(table)):
            if j in self.numeric:
                column = read_column(cells)
                try:
                    values = as_numbers(column.values)
                except ValueError as error:
                    raise ValueError(f"Field {self.names[j]!r}: {error}") from error
                found[j] = np.append(values, np.nan)[column.positions]
        return found

    def raw(self, table: Any) -> NDArray[np.float64]:
        """Return columns for trees (n, F): numbers, or codes; NaN for unknown and missing."""
        codes = self.codes(table).astype(np.float64)
        # Codes 0 and 1 are unknown and missing.
        raw = np.where(codes < 2, np.nan, codes - 2)
        for j, numbers in self.numbers(table).items():
            # Infinities are no numbers to scikit-learn.
            raw[:, j] = np.nan_to_num(numbers, nan=np.nan)
        # Nor does it take columns without any value.
        raw[:, self.encoder.vocabulary_sizes_ == 2] = 0
        return raw

    def categories(self, most: int) -> list[int]:
        """Return the positions of the columns of no more than so many values, none of numbers."""
        sizes = self.encoder.vocabulary_sizes_.tolist()
        few = (j for j, size in enumerate(sizes) if size - 2 <= most)
        return [j for j in few if j not in self.numeric]
