"""Cells of columns to codes, by the code columns of their fields."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sparsectr.encoding.bag_columns import BagColumn, holds_lists, read_bags
from sparsectr.encoding.bags import BagVocabulary, NewCode
from sparsectr.encoding.binning import Bins
from sparsectr.encoding.columns import (
    Column,
    as_arrow_strings,
    iterate_columns,
    read_column,
    unusable_cell,
)
from sparsectr.encoding.hashing import Buckets
from sparsectr.encoding.resolutions import CodeColumn, encode_values
from sparsectr.encoding.vocabulary import MISSING, Vocabulary

# The code columns of a field, the one that stands for it first.
Field: TypeAlias = tuple[CodeColumn, ...]


@contextmanager
def naming_field(name: str) -> Iterator[None]:
    """Name the field in errors about its cells."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"Field {name!r}: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # a cell's own methods may raise anything
        raise TypeError(f"Field {name!r}: {unusable_cell(error)}") from error


def read_columns(
    table: Any,
    names: Sequence[str],
    separators: Mapping[int, str | None],
    several: Container[int] = (),
) -> Iterator[Column | BagColumn]:
    """Read the columns of a table.

    Parameters
    ----------
    table : DataFrame or ndarray, shape (n_rows, n_fields)
        A result of `as_table`.
    names : sequence of str
        Names of the fields, for errors.
    separators : mapping of int to (str or None)
        See `Roles`.
    several : set of int, default=()
        Further fields that are known to hold lists.
    """
    for j, cells in enumerate(iterate_columns(table)):
        with naming_field(names[j]):
            column: Column | BagColumn
            if j in separators or j in several or holds_lists(cells):
                column = read_bags(cells, separators.get(j))
            else:
                column = read_column(cells)
        yield column


def codes_of_cells(table: Any, fields: list[Field]) -> NDArray[np.int32] | None:
    """Look up every cell by itself if all are strings, integers or missing, else return None."""
    plain = isinstance(table, np.ndarray) and table.dtype.kind in "OUi"
    if not (plain or isinstance(table, pd.DataFrame)):
        return None
    columns: list[tuple[int, Any]] = [(j, c) for j, field in enumerate(fields) for c in field]
    if any(isinstance(column, Buckets | BagVocabulary) for _, column in columns):
        return None
    # pandas cannot read all types of Arrow, and some times only as integers.
    if not plain and any(isinstance(dtype, pd.ArrowDtype) for dtype in table.dtypes.tolist()):
        return None
    cells = table.astype(object) if plain else table.to_numpy(dtype=object)
    # Besides integers: numbers in bins, strings where there are no bins.
    types = [
        float if isinstance(field[0], Bins) else str if len(field) == 1 else int for field in fields
    ]
    codes = np.empty((len(cells), len(columns)), dtype=np.int32)
    for i, row in enumerate(cells.tolist()):
        for place, (j, column) in enumerate(columns):
            cell = row[j]
            if cell is None or (type(cell) is float and cell != cell):
                codes[i, place] = MISSING
            elif type(cell) is int or type(cell) is types[j]:  # no bool, and nothing exotic
                codes[i, place] = column.code(cell)
            else:
                return None
    return codes


def encode_cells(
    cells: Any, field: Field, new_code: NewCode | None = None
) -> list[NDArray[np.int32]]:
    """Encode one column of `iterate_columns`; ``new_code`` is for `BagVocabulary.codes_of`."""
    if isinstance(field[0], BagVocabulary):
        return [field[0].codes_of(read_bags(cells, field[0].separator), new_code)]
    if isinstance(field[0], Vocabulary) and (strings := as_arrow_strings(cells)) is not None:
        codes = field[0].codes_of_arrow(strings) if len(field) == 1 else None
        if codes is not None:
            return [codes]
    return encode_column(read_column(cells), field)


def encode_column(
    column: Column | BagColumn, field: Field, codes_of_values: NDArray[np.int32] | None = None
) -> list[NDArray[np.int32]]:
    """Encode one column whose cells are read; ``codes_of_values`` are the codes, if known."""
    if isinstance(column, BagColumn):
        return [cast(BagVocabulary, field[0]).codes_of(column)]
    found = encode_values(field, column.values) if codes_of_values is None else [codes_of_values]
    return [codes_of_rows(column, part) for part in found]


def codes_of_rows(column: Column, codes_of_values: NDArray[np.int32]) -> NDArray[np.int32]:
    """Spread the codes of distinct values (n_values,) over the rows of a column, (n_rows,)."""
    # A missing cell has position -1, which reads the last entry.
    table = np.append(codes_of_values, np.int32(MISSING))
    return np.take(table, column.positions)
