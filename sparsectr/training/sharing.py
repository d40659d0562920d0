"""Crosses that tell the same story twice."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sparsectr.nn.effects import distinct_codes

# Correlation from which on two crosses share an effect.
SHARED = 0.5
TINY = 1e-30
# Most rows on which the values of one cross are compared with the effect of another.
MOST_ROWS = 10_000
# Rows per combination of values, on average: with fewer, any values tell any effect.
ROWS_PER_CELL = 4
# Passes over the fields of a cross that take out what single fields tell.
SWEEPS = 3


def find_shared(effects: Tensor, codes: Tensor, sets: Sequence[Sequence[int]]) -> list[list[int]]:
    """Find crosses that stand for each other, as those of a field and its copy do.

    Two crosses share an effect if their effects on rows correlate by more than .5 in absolute
    value. Every row counts once: few rows with extreme effects may decide, rare values hardly do.
    A net may have learnt the copy weakly and with noise, so that effects correlate less: of
    two crosses with as many fields, the values are looked at as well. They share an effect, too, if
    the effect of one correlates by more than .5 with its mean over the rows that have the same
    values of the other, the best guess of it from these values. What single fields tell is taken
    out before, or two crosses with one field in common would seem to share.

    Parameters
    ----------
    effects : Tensor of shape (P, n, K)
        What crosses add to the logits of rows.
    codes : Tensor of shape (n, C)
        The rows, in random order.
    sets : sequence of P sequences of int
        Columns of codes through which each cross is told.

    Returns
    -------
    list of P lists of int
        For each cross the places of those that share its effect, closest first.
    """
    alike = _unit(effects.double())
    alike = (alike @ alike.T).abs()
    alike = torch.maximum(alike, _told_by_values(effects[:, :MOST_ROWS], codes[:MOST_ROWS], sets))
    alike.fill_diagonal_(0)
    order = torch.argsort(alike, dim=1, descending=True, stable=True)
    n_shared = (alike > SHARED).sum(1).tolist()
    return [places[:n] for places, n in zip(order.tolist(), n_shared, strict=True)]


def _unit(effects: Tensor) -> Tensor:
    """Return effects (P, n, K) centred over rows, as unit vectors (P, n * K)."""
    centred = (effects - effects.mean(1, keepdim=True)).flatten(1)
    return centred / centred.norm(dim=1, keepdim=True).clamp(min=TINY)


def _told_by_values(effects: Tensor, codes: Tensor, sets: Sequence[Sequence[int]]) -> Tensor:
    """Return how well effects follow from the values of other crosses, (P, P), symmetric.

    The correlation ratio of each of two effects (P, n, K) by the cells of the other cross, adjusted
    for the number of cells; the larger of the two. 0 for crosses of other orders.
    """
    n_rows = len(codes)
    pure = effects.double()
    cells = [distinct_codes(codes[:, list(columns)])[1] for columns in sets]
    pure = torch.stack([_without_mains(e, codes, s) for e, s in zip(pure, sets, strict=True)])
    units = _unit(pure).unflatten(1, pure.shape[1:]).transpose(0, 1)  # (n, P, K)
    told = torch.zeros(len(sets), len(sets), dtype=torch.float64, device=effects.device)
    for place, own in enumerate(cells):
        n_cells = int(own.max()) + 1
        if n_cells * ROWS_PER_CELL > n_rows:
            continue
        share = _cell_means(units, own).square().sum((0, 2))
        told[:, place] = 1 - (1 - share) * (n_rows - 1) / (n_rows - n_cells)
    orders = torch.tensor([len(s) for s in sets], dtype=torch.int64, device=effects.device)
    told[orders[:, None] != orders] = 0
    return torch.maximum(told, told.T).clamp(min=0).sqrt()


def _cell_means(values: Tensor, cells: Tensor) -> Tensor:
    """Replace values (n, ...) by their means over the rows of the same cell (n,)."""
    n_cells = int(cells.max()) + 1
    sums = values.new_zeros(n_cells, *values.shape[1:]).index_add_(0, cells, values)
    counts = torch.bincount(cells, minlength=n_cells).to(values)
    return (sums / counts.view(-1, *[1] * (values.dim() - 1)))[cells]


def _without_mains(effects: Tensor, codes: Tensor, columns: Sequence[int]) -> Tensor:
    """Take means over the values of single fields out of the effects (n, K) of a cross."""
    own = [codes[:, column].unique(return_inverse=True)[1] for column in columns]
    for _ in range(SWEEPS):
        for cells in own:
            effects = effects - _cell_means(effects, cells)
    return effects
