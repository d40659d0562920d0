"""The columns of a source: fields, targets and weights."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsectr.encoding.arrow import from_arrow
from sparsectr.encoding.code_table import LABELS, WEIGHTS
from sparsectr.parameters import describe, guess


class Columns(NamedTuple):
    """Name the columns of a source.

    Attributes
    ----------
    fields : list of str
        Those that are encoded.
    y, w : str or None
        Targets and weights.
    """

    fields: list[str]
    y: str | None
    w: str | None

    @property
    def beside(self) -> dict[str, str]:
        """The columns that are not encoded, by the file that they go into."""
        named = {LABELS: self.y, WEIGHTS: self.w}
        return {file: name for file, name in named.items() if name is not None}

    @property
    def all_names(self) -> list[str]:
        """Every column once."""
        return list(dict.fromkeys([*self.fields, *self.beside.values()]))


def choose_columns(
    schema: Any, y: str | None, w: str | None, known: list[str] | None = None
) -> Columns:
    """Find the columns of a source.

    Parameters
    ----------
    schema : pyarrow.Schema
        The columns.
    y, w : str or None
        Those of targets and weights.
    known : list of str, optional
        Those that are encoded; all others where none are known.

    Raises
    ------
    ValueError
        If there is no such column, or none is left.
    """
    if known is not None and (absent := [name for name in known if name not in schema.names]):
        raise ValueError(f"the source must have the columns of fit, got none named {absent}.")
    names = list(schema.names)
    for parameter, name in (("y", y), ("sample_weight", w)):
        if name is not None and name not in names:
            raise ValueError(
                f"{parameter} must name a column of the source, got {describe(name)}"
                f"{guess(name, names)}; the columns are {describe(names)}."
            )
    fields = [name for name in names if name not in (y, w)] if known is None else known
    if not fields:
        raise ValueError(f"the source must have columns beside {describe([y, w])}, got none.")
    return Columns(fields, y, w)


def plain_cells(column: Any, name: str) -> NDArray[Any]:
    """Return the targets or weights of a batch (n_rows,) as an array without objects.

    Raises
    ------
    ValueError
        If a cell is missing, or no number, string, boolean or time.
    """
    pa: Any = import_module("pyarrow")
    if column.null_count:
        raise ValueError(
            f"column {name!r} must have a value in every row, got missing ones; leave these rows "
            "out."
        )
    types = pa.types
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if types.is_decimal(column.type):
        column = column.cast(pa.float64())
    cells = np.asarray(from_arrow(pa.chunked_array([column])))
    if cells.dtype == object:
        strangers = {type(cell).__name__ for cell in cells.tolist() if not isinstance(cell, str)}
        if strangers:
            raise ValueError(
                f"column {name!r} must hold numbers, strings, booleans or times, got "
                f"{sorted(strangers)[0]}."
            )
        cells = cells.astype(np.str_)
    return cells
