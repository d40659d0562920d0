"""Find sets of fields whose joint values explain what a model has not learnt.

A cross whose table has mean zero along every axis leaves no trace in any smaller set of fields:
gradient descent meets it only by chance. The residuals of a model of the lower orders show it
without training, as rows that agree in all fields of the set have similar residuals.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import comb
from typing import NamedTuple

import torch
from torch import Tensor

from sparsectr.kernels.threads import with_one_torch_thread
from sparsectr.training.joint_cells import Scratch, joint_cells
from sparsectr.training.projection import Units, count_part, project, variance_shares

# Sets times rows of one pass over all sets: some ten seconds of work on one core.
BUDGET = 1_000_000_000
MOST_ROWS = 200_000
FEWEST_ROWS = 10_000
# More sets than this are not scored.
MOST_SETS = 1_000_000
# Chance that any set at all is kept where there is nothing to find.
FALSE_ALARM = 0.05
# A field is nearly constant if fewer rows than this have another value than its most frequent one.
FEWEST_OTHERS = 20
# A set is not scored if fewer pairs of rows than this agree in it.
FEWEST_PAIRS = 10
# Share of its variance that the parts of a set leave to the residual of a row, at least.
LEAST_LEFT = 0.05
TINY = 1e-300
# A sum is taken for as skewed as this at least.
LEAST_SKEWNESS = 1e-6


class _Residuals(NamedTuple):
    """Rows with residuals, and what all sets share.

    Attributes
    ----------
    columns : list of F tensors of shape (n_rows,), int64
    sizes : list of int
        Number of codes of every field.
    outputs : list of K tensors of shape (n_rows,)
    squares : Tensor of shape (n_rows,)
        Squared length of the residual of a row.
    mean : float
        Mean of the squares.
    typical : float
        Mean of the squares, weighted by the squares.
    moments : tuple of 3 floats
        By what the second and third cumulant of a chi-squared sum are multiplied, as the outputs
        depend on each other; and the cubed residuals of two rows, per square.
    spreads : list of F pairs of floats
        By field: what the covariances between its values add to sums of squared, and of cubed,
        variances.
    others : list of F floats
        Rows that have not the most frequent value of a field.
    ones : Tensor of shape (n_rows,)
    scratch : Scratch
    """

    columns: list[Tensor]
    sizes: list[int]
    outputs: list[Tensor]
    squares: Tensor
    mean: float
    typical: float
    moments: tuple[float, float, float]
    spreads: list[tuple[float, float]]
    others: list[float]
    ones: Tensor
    scratch: Scratch


def affordable_rows(n_rows: int, n_fields: int, order: int) -> int:
    """Return on how many rows all sets of an order may be scored; 0 if there are too many sets."""
    n_sets = comb(n_fields, order)
    if n_sets > MOST_SETS:
        return 0
    return min(n_rows, MOST_ROWS, max(FEWEST_ROWS, BUDGET // n_sets))


@with_one_torch_thread()
def agreement_scores(
    codes: Tensor,
    residuals: Tensor,
    vocabulary_sizes: Sequence[int],
    order: int,
    sets: Sequence[tuple[int, ...]] | None = None,
) -> dict[tuple[int, ...], float]:
    """Measure for every set of fields how alike the residuals of equal joint values are.

    The residuals are projected: what any function of fewer fields of the set explains is taken
    out of them by least squares. The sum over pairs of rows that have equal values in all fields,

        U(S) = sum over pairs of 2 r_i r_j = sum over cells of (sum of r)^2 - sum of r^2

    then does not depend on what the model has learnt of fewer fields, too little or too much. It
    needs no validation rows. It is the score test of a random effect of the joint values beside
    fixed effects of all smaller sets.

    Parameters
    ----------
    codes : Tensor of shape (n_rows, F)
        Encoded rows.
    residuals : Tensor of shape (n_rows, K)
        Target minus predicted probability. Rows whose residuals are all 0 are left out.
    vocabulary_sizes : sequence of int
        Number of codes of every field.
    order : int
        Number of fields in a set.
    sets : sequence of tuples of int, optional
        The sets to score, as field numbers; all of this order by default.

    Returns
    -------
    dict
        Set to the normal deviate that is as unlikely, without effect, as U(S). 0 for a set that
        cannot be tested: one of its fields is nearly constant (`FEWEST_OTHERS`), or too few pairs
        of rows agree in it (`FEWEST_PAIRS`) beside what fewer fields determine. Where residuals
        are skewed, as with rare classes, only rows of the rare class count as rows.

    Notes
    -----
    A projection makes residuals of equal joint values unlike each other, and this has to be given
    back: with leverage g of a cell of n rows, the variance of its sum is ``n (1 - n g)`` and not n.
    The leverage is that in the table of 2^o cells that is left when every field only tells whether
    it has the value it has in this cell. It is exact for independent fields and where one field
    follows from others, and otherwise too small (fewer functions are projected out), so that U is
    expected to be 0 or below: a false alarm is never due to it.

    Sums over few cells are skewed. They are taken as chi-squared of their variance and third
    cumulant, and turned into normal deviates by the cube root of E. B. Wilson and M. M. Hilferty,
    "The distribution of chi-square", PNAS 17 (1931).
    """
    kept = residuals.abs().sum(1) > 0
    if not kept.all():
        codes, residuals = codes[kept], residuals[kept]
    if sets is None:
        sets = list(combinations(range(codes.shape[1]), order))
    if not len(codes):
        return dict.fromkeys(sets, 0.0)
    rows = _prepare(codes, residuals.double(), vocabulary_sizes)
    # Of skewed residuals, those of the rare class carry the variance.
    weight = rows.mean / rows.typical
    return {
        fields: _score(rows, fields)
        if all(rows.others[f] * weight >= FEWEST_OTHERS for f in fields)
        else 0.0
        for fields in sets
    }


@with_one_torch_thread()
def rough_scores(
    codes: Tensor,
    residuals: Tensor,
    vocabulary_sizes: Sequence[int],
    sets: Sequence[tuple[int, ...]],
) -> Tensor:
    """Score sets as `agreement_scores` does, but leave in what their parts explain.

    Takes a quarter of the time. Good enough to tell which of many sets are worth a test, where the
    residuals are those of a model that knows the parts.

    Parameters
    ----------
    codes : Tensor of shape (n_rows, F)
        Encoded rows.
    residuals : Tensor of shape (n_rows, K)
        Target minus predicted probability.
    vocabulary_sizes : sequence of int
        Number of codes of every field.
    sets : sequence of tuples of int
        The sets to score.

    Returns
    -------
    Tensor of shape (n_sets,), float64
    """
    columns = [column.contiguous() for column in codes.long().unbind(1)]
    outputs = [output.contiguous() for output in residuals.double().unbind(1)]
    scratch = Scratch(codes.device)
    ones = torch.ones_like(outputs[0])
    mean = float(residuals.square().sum()) / max(1, len(codes))
    scores = []
    for fields in sets:
        cells, n_cells, _ = joint_cells(
            [columns[f] for f in fields], [vocabulary_sizes[f] for f in fields], scratch
        )
        counts = scratch.sum_cells("counts", cells, ones, n_cells)
        pairs = float(counts @ counts) - len(codes)
        total = -mean * len(codes)
        for output in outputs:
            sums = scratch.sum_cells("sums", cells, output, n_cells)
            total += float(sums @ sums)
        scores.append(total / (mean * (2 * pairs) ** 0.5) if pairs >= 2 * FEWEST_PAIRS else 0.0)
    return torch.tensor(scores, dtype=torch.float64, device="cpu")


def _prepare(codes: Tensor, residuals: Tensor, vocabulary_sizes: Sequence[int]) -> _Residuals:
    squares = residuals.square().sum(1)
    total = squares.sum()
    products = residuals.T @ residuals / total
    # The trace of products is 1: these are 1 for one output.
    second = products.square().sum()
    third = (products @ products * products).sum()
    cubes = ((squares @ residuals) / total).square().sum()
    columns = [column.contiguous() for column in codes.long().unbind(1)]
    spreads, others = [], []
    for column, size in zip(columns, vocabulary_sizes, strict=True):
        share = torch.bincount(column, minlength=size).double() / len(column)
        others.append(float(1 - share.max()) * len(column))
        two, three, four = (float(share.pow(k).sum()) for k in (2, 3, 4))
        own = (share * (1 - share)).clamp(min=1e-100)
        spreads.append(
            (
                (two - 2 * three + two**2) / float(own.square().sum()),
                max(0.0, three - 3 * four + 3 * two * three - two**3) / float(own.pow(3).sum()),
            )
        )
    return _Residuals(
        columns,
        list(vocabulary_sizes),
        [column.contiguous() for column in residuals.unbind(1)],
        squares,
        float(squares.mean()),
        float(squares.square().sum() / total),
        (float(second), float(third), float(cubes)),
        spreads,
        others,
        torch.ones_like(squares),
        Scratch(codes.device),
    )


def _score(rows: _Residuals, fields: tuple[int, ...]) -> float:
    """Return the score of one set."""
    scratch, order = rows.scratch, len(fields)
    units = _make_units(rows, fields)
    parts = [
        count_part(units, [k for k in range(order) if k != without], scratch)
        for without in range(order)
    ]
    inside = variance_shares(units, parts, scratch)
    spare, n_units = scratch.get("spare", len(inside)), len(inside)
    torch.sub(units.agreeing, 1, out=spare).mul_(units.counts).mul_(inside)
    pairs = float(spare @ inside) * (rows.mean / rows.typical) ** 2
    if pairs < 2 * FEWEST_PAIRS:
        return 0.0
    rest, left = project(units, parts, rows.mean, scratch)
    # By leverage g of a row: the shares 1 - n g that a cell keeps, and 1 - g that a row keeps.
    torch.sub(1, inside, out=spare).div_(scratch.get("own", n_units))
    shares = torch.mul(units.agreeing, spare, out=scratch.get("shares", n_units)).neg_().add_(1)
    shares.div_(spare.neg_().add_(1).clamp_(min=LEAST_LEFT)).clamp_(0, 2)
    expected = shares.mul_(left)
    mean, typical = float(expected.sum()), inside.mul_(rows.typical)
    if units.cells is not None:
        typical = typical.fill_(rows.typical * float(left.mean()) / rows.mean)[:1]
        expected = scratch.sum_cells("expected", units.cells, left, units.n_cells)
        rest = [
            scratch.sum_cells(f"rest {k}", units.cells, part, units.n_cells)
            for k, part in enumerate(rest)
        ]
    # Sums over pairs and triples of different rows; rows are as unequal in a cell as elsewhere.
    spare = torch.sub(expected, typical, out=scratch.get("spare", len(expected)))
    squared = expected.mul_(spare)
    second, third = float(squared.sum()), float(squared @ spare.sub_(typical))
    of_outputs = rows.moments
    cubes = 4 * of_outputs[2] * second
    for f in fields:
        second, third = second * rows.spreads[f][0], third * rows.spreads[f][1]
    second = min(second, mean**2)
    if second <= TINY:
        return 0.0
    third = min(max(third, 0.0), second**1.5)
    total = sum(float(part @ part) for part in rest) - mean
    return _deviate(total, 2 * of_outputs[0] * second, 8 * of_outputs[1] * third + cubes)


def _make_units(rows: _Residuals, fields: tuple[int, ...]) -> Units:
    """Sum the residuals by joint value; where these are hashed, every row is a unit."""
    scratch = rows.scratch
    columns, sizes = [rows.columns[f] for f in fields], [rows.sizes[f] for f in fields]
    cells, n_cells, by_hash = joint_cells(columns, sizes, scratch)
    counts = scratch.sum_cells("counts", cells, rows.ones, n_cells)
    if by_hash:
        agreeing = scratch.look_up("agreeing", counts, cells).sub_(by_hash * (len(cells) - 1))
        return Units(
            columns, sizes, rows.ones, rows.outputs, rows.squares, agreeing, cells, n_cells
        )
    occupied = counts.nonzero()[:, 0]
    codes, number = [], occupied
    for size in reversed(sizes):
        codes.append(number % size)
        number = number // size
    held = counts[occupied]
    sums = [
        scratch.sum_cells("sums", cells, part, n_cells)[occupied]
        for part in [*rows.outputs, rows.squares]
    ]
    return Units(codes[::-1], sizes, held, sums[:-1], sums[-1], held, None, n_cells)


def _deviate(total: float, variance: float, third: float) -> float:
    """Return the normal deviate that is as unlikely as a sum with these cumulants and mean 0."""
    score = total / variance**0.5
    spread = max(third / variance**1.5, LEAST_SKEWNESS) / 6
    if score > 0:
        return ((1 + 3 * spread * score) ** (1 / 3) - 1) / spread + spread
    # The many small cells reach further down than a chi-squared sum can.
    return score + spread


def outstanding_sets(scores: dict[tuple[int, ...], float]) -> list[tuple[int, ...]]:
    """Return the sets that stand out from the others, the highest score first.

    The limit is Bonferroni's over all sets that have a score. Scores are scaled by their median
    absolute deviation, if above 1, and centred by their median, if above 0: what raises all sets
    must not pass for a cross.

    Parameters
    ----------
    scores : dict
        From `agreement_scores`.

    Returns
    -------
    list of tuples of int
    """
    tested = [score for score in scores.values() if score != 0]
    values = torch.tensor(tested, dtype=torch.float64, device="cpu")
    if not len(values):
        return []
    centre = values.median()
    spread = max(1.0, 1.4826 * float((values - centre).abs().median()))
    share = values.new_tensor(1 - FALSE_ALARM / len(values))
    limit = max(0.0, float(centre)) + spread * float(torch.special.ndtri(share))
    return sorted((s for s in scores if scores[s] > limit), key=lambda s: (-scores[s], s))
