"""Values that come after the first rows, and get codes behind those of their field."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparsectr.drafts import sibling
from sparsectr.encoding.cells import Field
from sparsectr.encoding.counts import ValueCounts, in_one_dtype
from sparsectr.encoding.resolutions import EXACT_ROWS, CodeColumn
from sparsectr.encoding.vocabulary import UNKNOWN, Vocabulary, most_frequent


def rare_values(field: Field, counts: ValueCounts) -> list[ValueCounts | None]:
    """Count the values that have no code, for every code column of a field.

    Parameters
    ----------
    field : tuple of Vocabulary, Bins or Buckets
        The code columns.
    counts : ValueCounts
        The values of some rows.

    Returns
    -------
    list of ValueCounts or None
        None for a column that does not grow, such as bins.
    """
    return [_rare_of(column, counts) for column in field]


def grow_encoder(encoder: Any, counts: list[ValueCounts], n_rows: int) -> Any:
    """Return an encoder that has codes for more values; the codes of the others stay.

    Parameters
    ----------
    encoder : FieldEncoder
        A fitted one; it stays as it is.
    counts : list of ValueCounts
        The values of more rows, for every field.
    n_rows : int
        Number of these rows.

    Returns
    -------
    FieldEncoder
        Values that have come ``min_frequency`` times since the first rows have codes behind those
        of their column, by falling frequency.
    """
    n_all = encoder._n_rows + n_rows
    least = encoder.min_frequency * (n_all if encoder.min_frequency < 1 else 1)
    # A pickle of an earlier version has none.
    known = vars(encoder).get("_rare") or [[None] * len(field) for field in encoder._fields]
    fields, rare = [], []
    for field, before, now in zip(encoder._fields, known, counts, strict=True):
        columns = [
            # Behind the first column, exact numbers stand beside bins.
            _grow_column(column, old, now, max(least, EXACT_ROWS) if place else least, encoder)
            for place, (column, old) in enumerate(zip(field, before, strict=True))
        ]
        fields.append(tuple(column for column, _ in columns))
        rare.append([left for _, left in columns])
    grown = sibling(encoder, dict(vars(encoder)))
    grown._set_fields(fields, None, n_all, rare)
    return grown


def _rare_of(column: CodeColumn, counts: ValueCounts) -> ValueCounts | None:
    if not isinstance(column, Vocabulary):
        return None
    rare = (column.codes(counts.values) == UNKNOWN) & (counts.counts > 0)
    return ValueCounts(counts.values[rare], counts.counts[rare], counts.kind)


def _grow_column(
    column: CodeColumn, old: ValueCounts | None, now: ValueCounts, least: float, encoder: Any
) -> tuple[CodeColumn, ValueCounts | None]:
    """Return a column with the values that are frequent by now, and the counts of the others."""
    new = _rare_of(column, now)
    if new is None or not isinstance(column, Vocabulary):
        return column, None
    rare = new if old is None else old.merge(new)
    most = encoder.max_categories
    room = None if most is None else max(most - len(column.values), 0)
    places = most_frequent(rare.values, rare.counts, least, room)
    if not len(places):
        return column, rare
    left = np.ones(len(rare.values), dtype=bool)
    left[places] = False
    # Where there were no values, their dtype says nothing.
    values = rare.values[places]
    if len(column.values):
        values = np.concatenate(in_one_dtype(column.values, values))
    return Vocabulary(values), ValueCounts(rare.values[left], rare.counts[left], rare.kind)
