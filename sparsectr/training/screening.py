"""Find sets of fields whose joint values explain what a model has not learnt.

A cross whose table has mean zero along every axis leaves no trace in any smaller set of fields:
gradient descent meets it only by chance. The residuals of a model of the lower orders show it
without training, as rows that agree in all fields of the set have similar residuals.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import comb

import torch
from torch import Tensor

from sparsectr.kernels.rows import touched_rows

# Sets times rows of one screening: some ten seconds of work on one core.
SCREENING_BUDGET = 1_000_000_000
MOST_ROWS = 200_000
FEWEST_ROWS = 10_000
# More sets than this are not screened.
MOST_SETS = 1_000_000
# Joint values are hashed into this many cells at most.
MOST_CELLS = 2**18
# Odd multiplier of the hash: 2^64 over the golden ratio, as a signed number.
HASH_FACTOR = -7046029254386353131
# Chance that any set at all is kept where there is nothing to find.
FALSE_ALARM = 0.05
# Rows without effect that are added to every value when its score is estimated.
SHRINKAGE = 100.0
UNFOLDING_SWEEPS = 8
TENSOR_SWEEPS = 3


def affordable_rows(n_rows: int, n_fields: int, order: int) -> int:
    """Return how many rows a screening of all sets of an order may use; 0 if too many sets."""
    n_sets = comb(n_fields, order)
    if n_sets > MOST_SETS:
        return 0
    return min(n_rows, MOST_ROWS, max(FEWEST_ROWS, SCREENING_BUDGET // n_sets))


def screen_sets(
    codes: Tensor, residuals: Tensor, vocabulary_sizes: Sequence[int], order: int
) -> dict[tuple[int, ...], float]:
    """Measure for every set of fields how alike the residuals of equal joint values are.

    With S the sum of the residuals r of the rows in one cell, that is with equal values in all
    fields of the set,

        U = sum_cells (S^2 - sum r^2) = sum over pairs of rows in one cell of 2 r_i r_j

    has mean 0 if the set has no effect, and needs no validation rows. It is also, but for the
    squares on the diagonal, the squared gradient of the log loss by a free table of the joint
    values, taken at a table of zeros.

    Parameters
    ----------
    codes : Tensor of shape (n_rows, F)
        Encoded rows.
    residuals : Tensor of shape (n_rows, K)
        Target minus predicted probability.
    vocabulary_sizes : sequence of int
        Number of codes of every field.
    order : int
        Number of fields in a set.

    Returns
    -------
    dict
        Set to U in units of its standard deviation without effect.
    """
    residuals = residuals.double()
    squares = residuals.square().sum(1)
    # Both sums over single rows are the same for all sets.
    own, own_square = squares.sum(), squares.square().sum()
    columns = codes.long().unbind(1)
    scores = []
    sets = list(combinations(range(len(columns)), order))
    for fields in sets:
        cells, n_cells = _joint_cells(
            [columns[f] for f in fields], [vocabulary_sizes[f] for f in fields]
        )
        sums = sum(
            torch.bincount(cells, column, n_cells).square().sum() for column in residuals.unbind(1)
        )
        variance = 2 * (torch.bincount(cells, squares, n_cells).square().sum() - own_square)
        scores.append((sums - own) / variance.clamp(min=1e-300).sqrt())
    return dict(zip(sets, torch.stack(scores).tolist(), strict=True))


def _joint_cells(columns: Sequence[Tensor], sizes: Sequence[int]) -> tuple[Tensor, int]:
    """Number the joint values of some columns; return the numbers and how many there are."""
    cells, n_cells = columns[0], sizes[0]
    for column, size in zip(columns[1:], sizes[1:], strict=True):
        cells, n_cells = cells * size + column, n_cells * size
    if n_cells <= MOST_CELLS:
        return cells, n_cells
    # The upper bits of the product are the well-mixed ones.
    return (cells * HASH_FACTOR >> 40) & (MOST_CELLS - 1), MOST_CELLS


def significant_sets(scores: dict[tuple[int, ...], float]) -> list[tuple[int, ...]]:
    """Return the sets that stand out from the others, the highest score first.

    The scores are centred and scaled by their median and their median absolute deviation (if
    above 1): what a model has not learnt of the lower orders raises all sets, and must not pass
    for a cross.

    Parameters
    ----------
    scores : dict
        From `screen_sets`.

    Returns
    -------
    list of tuples of int
    """
    values = torch.tensor(list(scores.values()), dtype=torch.float64)
    centre = values.median()
    spread = max(1.0, 1.4826 * float((values - centre).abs().median()))
    share = torch.tensor(1 - FALSE_ALARM / len(values), dtype=torch.float64)
    limit = float(centre) + spread * float(torch.special.ndtri(share))
    return sorted((s for s in scores if scores[s] > limit), key=lambda s: (-scores[s], s))


def estimate_scores(
    codes: Tensor,
    residuals: Tensor,
    sizes: Sequence[int],
    generator: torch.Generator,
) -> tuple[list[Tensor], Tensor]:
    """Estimate, for one set, scores of the values whose products follow the residuals.

    Starts every field at the leading direction of the unfolded table of residuals (the values of
    the field against the joint values of the other fields, without what a row has in common with
    itself), then improves all fields in turn: the tensor power method. Each sweep costs one
    pass over the rows.

    Parameters
    ----------
    codes : Tensor of shape (n_rows, o)
        Codes of the fields of the set.
    residuals : Tensor of shape (n_rows, S)
        What the products should follow; every column gets a start of its own.
    sizes : sequence of int
        Number of codes of every field of the set.
    generator : torch.Generator
        Source of the starts.

    Returns
    -------
    scores : list of o tensors of shape (size, S)
        Mean square 1 over the rows.
    strengths : Tensor of shape (S,)
        Covariance of the products with the residuals.
    """
    columns = list(codes.long().unbind(1))
    n_directions = residuals.shape[1]
    counts = [
        torch.bincount(column, minlength=size).float()[:, None]
        for column, size in zip(columns, sizes, strict=True)
    ]

    def shrink(sums: Tensor, field: int) -> tuple[Tensor, Tensor]:
        means = sums / (counts[field] + SHRINKAGE)
        length = ((counts[field] * means.square()).sum(0) / len(codes)).sqrt()
        return means / length.clamp(min=1e-30), length

    scores = []
    for field, (column, size) in enumerate(zip(columns, sizes, strict=True)):
        others = [k for k in range(len(columns)) if k != field]
        cells, n_cells = _joint_cells([columns[k] for k in others], [sizes[k] for k in others])
        score = torch.randn(size, n_directions, generator=generator, device=codes.device)
        for _ in range(UNFOLDING_SWEEPS):
            own = residuals * score[column]
            together = _sum_by(cells, own, n_cells)[cells]
            score, _ = shrink(_sum_by(column, residuals * (together - own), size), field)
        scores.append(score)
    strengths = residuals.new_zeros(n_directions)
    for _ in range(TENSOR_SWEEPS):
        for field, column in enumerate(columns):
            product = residuals
            for k, other in enumerate(columns):
                if k != field:
                    product = product * scores[k][other]
            scores[field], strengths = shrink(_sum_by(column, product, sizes[field]), field)
    return scores, strengths


def _sum_by(cells: Tensor, values: Tensor, n_cells: int) -> Tensor:
    """Sum values (n, S) by cell: (n_cells, S)."""
    sums = values.new_zeros(n_cells, values.shape[1])
    if values.is_cuda:  # index_add_ would add in any order
        return sums.index_copy_(0, *touched_rows(cells, values))
    return sums.index_add_(0, cells, values)
