"""Which crosses become statistics."""

import warnings
from collections import Counter
from collections.abc import Iterable
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier

from sparsectr.screening import screen_interactions

# Triples are made of the pairs that score highest.
PAIRS_OF_TRIPLES = 20

Cross = tuple[int, ...]


def choose_crosses(
    codes: NDArray[np.int32],
    sizes: NDArray[np.int64],
    numbers: NDArray[np.int64],
    n_pairs: int,
    n_triples: int,
) -> list[Cross]:
    """Return pairs and triples of fields that tell most about the target.

    Parameters
    ----------
    codes : ndarray of int32, shape (n_rows, n_fields)
        Values of the fields.
    sizes : ndarray of int64, shape (n_fields,)
        Number of codes of each field.
    numbers : ndarray of int64, shape (n_rows,)
        Class number of every row.
    n_pairs, n_triples : int
        Most pairs and triples.

    Returns
    -------
    list of tuple of int
        Positions of the fields of each cross; all pairs where there are no more than ``n_pairs``,
        and the same with triples.
    """
    n_fields = codes.shape[1]
    pairs, triples = (list(combinations(range(n_fields), order)) for order in (2, 3))
    if len(pairs) > n_pairs or len(triples) > n_triples:
        pairs = _screen(codes, sizes, numbers)
    if len(triples) > n_triples:
        triples = join_pairs(pairs[:PAIRS_OF_TRIPLES])
    return [*pairs[:n_pairs], *triples[:n_triples]]


def join_pairs(pairs: Iterable[Cross]) -> list[Cross]:
    """Return the triples that hold most of the pairs, those of earlier pairs first."""
    joined = (tuple(sorted({*a, *b})) for a, b in combinations(pairs, 2))
    counts = Counter(fields for fields in joined if len(fields) == 3)
    return [fields for fields, _ in counts.most_common()]


def _screen(
    codes: NDArray[np.int32], sizes: NDArray[np.int64], numbers: NDArray[np.int64]
) -> list[Cross]:
    """Return all pairs, those first whose joint values tell most beyond the single ones."""
    frame = pd.DataFrame(
        {
            f"f{j}": pd.Categorical.from_codes(column, categories=pd.RangeIndex(size))
            for j, (column, size) in enumerate(zip(codes.T, sizes.tolist(), strict=True))
        }
    )
    # It has learnt nothing, so that the screening sees all.
    prior = DummyClassifier(strategy="prior").fit(frame, numbers)
    with warnings.catch_warnings():  # columns have no names here that a user knows
        warnings.filterwarnings("ignore", "nearly every row has its own value")
        found = screen_interactions(prior, frame, numbers)["fields"]
    return [(int(a[1:]), int(b[1:])) for a, b in found]
