"""Fields that are together one category, as a vectoriser has left it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sparsectr.encoding.vocabulary import MISSING, N_RESERVED
from sparsectr.exceptions import warn_caller

# Maximum number of rows that are checked, and the fewest fields of one category: two may be yes
# and no.
N_ROWS = 1_000
FEWEST_FIELDS = 3


def find_one_hot(
    codes: NDArray[np.int32], vocabularies: Sequence[NDArray[np.generic] | None]
) -> list[tuple[int, ...]]:
    """Find neighbouring fields of two values of which exactly one is high in every row.

    Other flags are seldom so in all of many rows.

    Parameters
    ----------
    codes : ndarray of int32, shape (n_rows, n_fields)
        Codes of some rows.
    vocabularies : sequence of ndarray of shape (n_values,) or None
        The values of each field in the order of their codes from 2 on.

    Returns
    -------
    list of tuples of int
        Numbers of the fields of each such category.
    """
    found: list[tuple[int, ...]] = []
    group: list[tuple[int, NDArray[np.bool_]]] = []
    total = np.zeros(len(codes), dtype=np.int64)  # how many fields of the group are high
    for field, values in enumerate(vocabularies):
        high = _find_high(codes[:, field], values)
        if high is None:
            group, total = [], np.zeros_like(total)
            continue
        while group and (total + high).max() > 1:
            # What came before does not belong to the same category.
            _, first = group.pop(0)
            total = total - first
        group.append((field, high))
        total = total + high
        if total.min() == 1:
            if len(group) >= FEWEST_FIELDS:
                found.append(tuple(member for member, _ in group))
            group, total = [], np.zeros_like(total)
    return found


def warn_of_one_hot(
    codes: NDArray[np.int32],
    vocabularies: Sequence[NDArray[np.generic] | None],
    names: Sequence[str],
) -> None:
    """Warn if fields of a training table are one category each in one-hot form.

    Parameters
    ----------
    codes : ndarray of int32, shape (n_rows, n_fields)
        The training table; its first rows are checked.
    vocabularies : sequence of ndarray of shape (n_values,) or None
        See `find_one_hot`.
    names : sequence of str
        Names of the fields.
    """
    if groups := find_one_hot(codes[:N_ROWS], vocabularies):
        first = groups[0]
        warn_caller(
            f"every category should be one column, but {len(groups)} of them came as one column "
            f"per value, such as {names[first[0]]!r} to {names[first[-1]]!r}; pass the columns "
            "from before OneHotEncoder, get_dummies or skrub.tabular_pipeline, which predicts "
            "better."
        )


def _find_high(
    codes: NDArray[np.int32], values: NDArray[np.generic] | None
) -> NDArray[np.bool_] | None:
    """Tell in which rows a field of two numbers has the larger one; None for other fields."""
    if values is None or len(values) != 2 or values.dtype.kind not in "biuf":
        return None
    if (codes <= MISSING).any():
        return None
    return np.asarray(codes == N_RESERVED + int(values[1] > values[0]))
