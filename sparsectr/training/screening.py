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
from sparsectr.kernels.threads import with_one_torch_thread

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
# Share of the variance of a sum over pairs of rows that its parts must leave to the set.
LEAST_OWN = 1e-6
TINY = 1e-300
# Up to this many fields, all parts of a set are taken out of it.
LARGEST_WHOLE = 5
# Numbers of a block of matrices, one per set.
NUMBERS_AT_ONCE = 2_000_000
# A sum is taken for as skewed as this at least.
LEAST_SKEWNESS = 1e-6
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


@with_one_torch_thread()
def screen_sets(
    codes: Tensor, residuals: Tensor, vocabulary_sizes: Sequence[int], order: int
) -> dict[tuple[int, ...], float]:
    """Measure for every set of fields how alike the residuals of equal joint values are.

    The sum over pairs of rows that have equal values in all fields of a set S,

        U(S) = sum over pairs of 2 r_i r_j

    has mean 0 if the set has no effect, and needs no validation rows. It is also, but for the
    squares on the diagonal, the squared gradient of the log loss by a free table of the joint
    values, taken at a table of zeros.

    Rows that agree in S agree in all its parts T, too, so an effect of fewer fields raises U(S) as
    well. With V the variance of U without effects, the covariance of U(S) and U(T) is V of both
    together; the regression of U(S) on U of its parts is taken out.

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
        Set to the normal deviate that is as unlikely, without effect, as what is left. 0 for a set
        of which one field follows from the others: its parts explain all.

    Notes
    -----
    Sums over few cells are skewed. They are taken as chi-squared of their variance and third
    cumulant, and turned into normal deviates by the cube root of E. B. Wilson and M. M. Hilferty,
    "The distribution of chi-square", PNAS 17 (1931).
    """
    n_fields = codes.shape[1]
    masks = _parts(order)
    listed = {
        size: torch.tensor(
            list(combinations(range(n_fields), size)), dtype=torch.int64, device="cpu"
        )
        for size in {mask.bit_count() for mask in masks}
    }
    # The sets of a size are listed by rising number.
    numbers = {size: _number(sets, n_fields) for size, sets in listed.items()}
    agreements = {
        size: _agreements(codes, residuals, vocabulary_sizes, sets.tolist())
        for size, sets in listed.items()
    }
    scores = []
    for sets in listed[order].split(max(1, NUMBERS_AT_ONCE // len(masks) ** 2)):
        parts = []
        for mask in masks:
            members = sets[:, [k for k in range(order) if mask >> k & 1]]
            size = members.shape[1]
            places = torch.searchsorted(numbers[size], _number(members, n_fields))
            parts.append(agreements[size][:, places])
        scores.append(_score(torch.stack(parts, -1), masks))
    return dict(zip(map(tuple, listed[order].tolist()), torch.cat(scores).tolist(), strict=True))


def _parts(order: int) -> list[int]:
    """Return the parts of a set that are taken out of it, as binary numbers, and last the set.

    Of large sets only the largest parts and the empty one. What smaller parts explain shows in
    several of them: too much is taken out rather than too little.
    """
    sizes = range(order) if order <= LARGEST_WHOLE else (0, order - 1)
    return [m for m in range(2**order) if m.bit_count() in sizes or m == 2**order - 1]


def _score(agreements: Tensor, masks: Sequence[int]) -> Tensor:
    """Return the scores (P,), given the agreements (4, P, n + 1) of the parts of P sets."""
    totals, variances, thirds, shared = agreements
    of_pairs = [[masks.index(a | b) for b in masks[:-1]] for a in masks[:-1]]
    unions = torch.tensor(of_pairs, dtype=torch.int64, device=totals.device)
    total, variance = remove_parts(totals, variances, shared, unions)
    # What is left has fewer independent cells, of the same size.
    share = variance / variances[:, -1].clamp(min=TINY)
    return torch.where(
        share > LEAST_OWN,
        _deviates(total, variance.clamp(min=TINY), share * thirds[:, -1]),
        0.0,
    )


def _number(sets: Tensor, n_fields: int) -> Tensor:
    """Return the numbers (P,) of sets (P, k): their fields are its digits."""
    size = sets.shape[1]
    powers = torch.arange(size - 1, -1, -1, dtype=torch.int64, device=sets.device)
    return (sets * n_fields**powers).sum(1)


def remove_parts(
    totals: Tensor, variances: Tensor, shared: Tensor, unions: Tensor
) -> tuple[Tensor, Tensor]:
    """Take the regression on U of its parts out of U of sets; return the rest and its variance.

    Parameters
    ----------
    totals, variances : Tensor of shape (P, n + 1)
        U and its variance without effects for n parts of P sets, and in the last column the set.
    shared : Tensor of shape (P, n + 1)
        What of the variance is of rows that really agree: the covariance with U of parts.
    unions : Tensor of shape (n, n), int64
        Column of the union of two parts; it must be among them.

    Returns
    -------
    total, variance : Tensor of shape (P,)
    """
    scales = variances[:, :-1].clamp(min=TINY).sqrt()
    covariances = shared[:, unions]
    covariances.diagonal(dim1=1, dim2=2).copy_(variances[:, :-1])
    correlations = covariances / scales[:, :, None] / scales[:, None]
    # Fields that follow from others make it singular.
    inverse = torch.linalg.pinv(correlations, hermitian=True, rtol=LEAST_OWN)
    whole = shared[:, -1]
    slopes = torch.einsum("pij,pj->pi", inverse, whole[:, None] / scales) / scales
    explained = (slopes * totals[:, :-1]).sum(1)
    return totals[:, -1] - explained, variances[:, -1] - whole * slopes.sum(1)


def _deviates(totals: Tensor, variances: Tensor, thirds: Tensor) -> Tensor:
    """Return the normal deviates that are as unlikely as sums with these cumulants and mean 0."""
    scores = totals / variances.sqrt()
    spreads = (thirds / variances.pow(1.5)).clamp(min=LEAST_SKEWNESS) / 6
    above = ((1 + 3 * spreads * scores.clamp(min=0)).pow(1 / 3) - 1) / spreads
    # The many small cells reach further down than a chi-squared sum can.
    return torch.where(scores > 0, above, scores) + spreads


def _agreements(
    codes: Tensor,
    residuals: Tensor,
    vocabulary_sizes: Sequence[int],
    sets: Sequence[Sequence[int]],
) -> Tensor:
    """Return U, and its second and third cumulant without effects, for some sets.

    The third is that of rows whose squared residuals are as large as the rest of their cell's.
    Rows that share a cell only by its hash are a random sample of all pairs: what these are
    expected to add is taken off U, and off the variance for the fourth number.

    Returns
    -------
    Tensor of shape (4, number of sets)
        On the CPU.
    """
    residuals = residuals.double()
    squares = residuals.square().sum(1)
    # Sums over single rows are the same for all sets.
    own, own_square = squares.sum(), squares.square().sum()
    typical = own_square / own.clamp(min=TINY)
    all_sums = residuals.sum(0).square().sum() - own
    all_variance = 2 * (own.square() - own_square)
    columns = codes.long().unbind(1)
    agreements = []
    for fields in sets:
        cells, n_cells, by_hash = _joint_cells(
            [columns[f] for f in fields] or [torch.zeros_like(columns[0])],
            [vocabulary_sizes[f] for f in fields] or [1],
        )
        # Pairs of rows in one cell: the square of its sum, without the squares of its rows.
        sums = sum(
            torch.bincount(cells, column, n_cells).square().sum() for column in residuals.unbind(1)
        )
        weights = torch.bincount(cells, squares, n_cells)
        squared = weights.square()
        square = squared.sum()
        triples = squared @ weights - 3 * typical * square + 2 * typical.square() * own
        variance = 2 * (square - own_square)
        agreements.append(
            torch.stack(
                [
                    sums - own - by_hash * all_sums,
                    variance,
                    8 * triples,
                    (variance - by_hash * all_variance).clamp(min=0),
                ]
            )
        )
    return torch.stack(agreements, 1).cpu()


def _joint_cells(columns: Sequence[Tensor], sizes: Sequence[int]) -> tuple[Tensor, int, float]:
    """Number the joint values of some columns.

    Returns
    -------
    cells : Tensor of shape (n_rows,)
    n_cells : int
    by_hash : float
        How probable it is that two different joint values share a cell.
    """
    cells, n_cells = columns[0], sizes[0]
    for column, size in zip(columns[1:], sizes[1:], strict=True):
        cells, n_cells = cells * size + column, n_cells * size
    if n_cells <= MOST_CELLS:
        return cells, n_cells, 0.0
    # The upper bits of the product are the well-mixed ones.
    return (cells * HASH_FACTOR >> 40) & (MOST_CELLS - 1), MOST_CELLS, 1 / MOST_CELLS


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
    values = torch.tensor(list(scores.values()), dtype=torch.float64, device="cpu")
    centre = values.median()
    spread = max(1.0, 1.4826 * float((values - centre).abs().median()))
    share = values.new_tensor(1 - FALSE_ALARM / len(values))
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
        cells, n_cells, _ = _joint_cells([columns[k] for k in others], [sizes[k] for k in others])
        score = torch.randn(
            (size, n_directions), generator=generator, dtype=torch.float32, device=codes.device
        )
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
