"""Scores of the values of a set whose product follows residuals: where a search starts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sparsectr.kernels.rows import touched_rows
from sparsectr.training.joint_cells import joint_codes

# Rows without effect that are added to every value when its score is estimated.
SHRINKAGE = 100.0
UNFOLDING_SWEEPS = 8
TENSOR_SWEEPS = 3


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
        cells = joint_codes([columns[k] for k in others], [sizes[k] for k in others])
        n_cells = int(cells.max()) + 1
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
