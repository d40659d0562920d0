"""The code columns of one field: a number in several resolutions at once."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sparsectr.encoding.bags import BagVocabulary
from sparsectr.encoding.binning import Bins, learn_bins
from sparsectr.encoding.counts import ValueCounts
from sparsectr.encoding.hashing import Buckets
from sparsectr.encoding.vocabulary import (
    N_RESERVED,
    UNKNOWN,
    Vocabulary,
    as_number,
    as_objects,
    learn_vocabulary,
)
from sparsectr.stored_state import check_array, damaged

CodeColumn: TypeAlias = Vocabulary | Bins | Buckets | BagVocabulary

# Bins of the coarse column, and the most different numbers that do without it.
COARSE_BINS, MOST_WITHOUT_COARSE = 8, 16
# Rows from which a number has a code of its own beside the bins.
EXACT_ROWS = 3
# Share of the rows, of at least so many, from which values of one row are not learnt.
SINGLE_SHARE, SINGLE_ROWS = 0.5, 1_000


def several_columns(
    counts: ValueCounts,
    min_count: float,
    max_categories: int | None,
    *,
    rule: str,
    n_bins: int,
    keep_values: bool,
) -> tuple[CodeColumn, ...]:
    """Learn the code columns of a numeric field, the one that stands for the field first.

    Parameters
    ----------
    counts : ValueCounts
        The numbers of the field and their rows.
    min_count, max_categories
        As in `most_frequent`; they hold for every column.
    rule : {"quantile", "log_squared", "log_square"}
        Of the first column; see `Bins`.
    n_bins : int
        Largest number of quantile bins of the first column.
    keep_values : bool
        Whether up to `n_bins` different numbers stay categories instead of bins of one number.

    Returns
    -------
    tuple of Vocabulary or Bins
        Fine bins (or the values); `COARSE_BINS` bins, if there are more than `MOST_WITHOUT_COARSE`
        numbers; the numbers of at least `EXACT_ROWS` rows, if there are more than `n_bins`.
    """
    n_numbers = int((counts.counts > 0).sum())
    limits = (counts.values, counts.counts, min_count, max_categories)
    columns: list[CodeColumn] = [
        learn_vocabulary(*limits)[0]
        if keep_values and n_numbers <= n_bins
        else learn_bins(*limits, rule=rule, n_bins=n_bins)
    ]
    if n_numbers > MOST_WITHOUT_COARSE and n_bins > COARSE_BINS:
        columns.append(learn_bins(*limits, rule="quantile", n_bins=COARSE_BINS))
    if n_numbers > n_bins:
        least = max(min_count, EXACT_ROWS)
        exact, _ = learn_vocabulary(counts.values, counts.counts, least, max_categories)
        if exact.size > N_RESERVED:
            columns.append(exact)
    return tuple(columns)


def encode_values(field: tuple[CodeColumn, ...], values: NDArray[Any]) -> list[NDArray[np.int32]]:
    """Look up values in every code column of a field.

    Parameters
    ----------
    field : tuple of Vocabulary, Bins or Buckets
        The code columns.
    values : ndarray, shape (m,)
        Any values, none missing.

    Returns
    -------
    list of ndarray of int32, shape (m,)

    Raises
    ------
    ValueError
        If the field consists of bins and a value is not a number. Bins beside categories take such
        a value for unknown, as these do.
    """
    if len(field) == 1 or isinstance(field[0], Bins) or values.dtype.kind in "biuf":
        return [column.codes(values) for column in field]
    numbers = np.array([as_number(value) is not None for value in as_objects(values)], dtype=bool)
    codes = [field[0].codes(values)]
    for column in field[1:]:
        codes.append(np.full(len(values), UNKNOWN, dtype=np.int32))
        if numbers.any():
            codes[-1][numbers] = column.codes(values[numbers])
    return codes


def name_columns(field: str, columns: tuple[CodeColumn, ...]) -> list[str]:
    """Name the code columns of a field: "age", "age (8 bins)", "age (exact)"."""
    return [field] + [
        f"{field} ({f'{COARSE_BINS} bins' if isinstance(column, Bins) else 'exact'})"
        for column in columns[1:]
    ]


def number_columns(fields: list[tuple[CodeColumn, ...]]) -> NDArray[np.int64]:
    """Return the field number of every code column, shape (n_columns,)."""
    return np.repeat(np.arange(len(fields)), [len(columns) for columns in fields])


def check_stored_fields(state: dict[str, Any]) -> None:
    """Check that the fitted attributes of a stored `FieldEncoder` belong together.

    Parameters
    ----------
    state : dict
        Its attributes.

    Raises
    ------
    ValueError
        If vocabularies, their sizes and the numbers of fields and columns differ.
    """
    fields = state["_fields"]
    sizes = [column.size for field in fields for column in field]
    stored = check_array("vocabulary_sizes_", state["vocabulary_sizes_"], "i", (len(sizes),))
    owners = check_array("code_fields_", state["code_fields_"], "i", (len(sizes),))
    if stored.tolist() != sizes or state["n_features_in_"] != len(fields):
        raise damaged("FieldEncoder", "its vocabularies are not of the stored sizes")
    if not np.array_equal(owners, number_columns(fields)):
        raise damaged("FieldEncoder", "its columns of codes do not belong to its fields")
    rare = state.get("_rare", [])
    if rare and list(map(len, rare)) != list(map(len, fields)):
        raise damaged("FieldEncoder", "its counts of rare values are not those of its columns")
    for column, ranks in state.get("_ranks", {}).items():
        n_ranks = len(check_array("_ranks", ranks, "i", (None,)))
        if column not in range(len(sizes)) or n_ranks > sizes[column] - N_RESERVED:
            raise damaged("FieldEncoder", "its orders of values are not those of its columns")


def fewest_rows(counts: ValueCounts, n_rows: int) -> int:
    """Return in how many of ``n_rows`` rows a value of categories must be that nets learn.

    In a field that tells most rows apart, a net would learn the labels of these rows by heart, and
    nothing about other rows.
    """
    n_single = int((counts.counts == 1).sum())
    return 2 if n_rows >= SINGLE_ROWS and n_single > SINGLE_SHARE * n_rows else 1
