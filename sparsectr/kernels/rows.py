"""The rows of an embedding table that a batch has touched: sum their gradients, update them.

Every function works on lookups as they come, with repeated rows, so that a fused version needs
no sorting of its own and can stand behind the same name. Time and memory follow the number of
lookups N, never the number V of rows in the table. Row numbers must be below 2**31.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from sparsectr.kernels.fused import fused

# Lookups of one row that a GPU sums in one thread.
LONGEST_PIECE = 32


class AdamTable(NamedTuple):
    """An embedding table, what Adam remembers of it, and the gradients of a batch.

    Attributes
    ----------
    weights, exp_avg, exp_avg_sq : Tensor of shape (V, D)
        Weights and both moments.
    step : Tensor of shape (V,), int32
        Number of updates of every row so far.
    values : Tensor of shape (N, D)
        Gradient of every lookup.
    lookup_decay : Tensor of shape (V,) or None
        As in `decay_lookups`.
    """

    weights: Tensor
    exp_avg: Tensor
    exp_avg_sq: Tensor
    step: Tensor
    values: Tensor
    lookup_decay: Tensor | None = None


class AdagradTable(NamedTuple):
    """An embedding table, what row-wise Adagrad remembers of it, and the gradients of a batch.

    Attributes
    ----------
    weights : Tensor of shape (V, D)
    square_sum : Tensor of shape (V,)
        Summed mean squares of the gradients of every row.
    values, lookup_decay
        As in `AdamTable`.
    """

    weights: Tensor
    square_sum: Tensor
    values: Tensor
    lookup_decay: Tensor | None = None


# On a CPU torch's own is fused.
@fused(gpu="rows", numbers=lambda table, rows: (table,))
def look_up(table: Tensor, rows: Tensor) -> Tensor:
    """Look rows of a table up; the gradient of the table is sparse.

    Parameters
    ----------
    table : Tensor of shape (V, D)
    rows : Tensor of shape (...)
        Row numbers, any integer type.

    Returns
    -------
    Tensor of shape (..., D)
    """
    return functional.embedding(rows, table, sparse=True)


def empty_rows(n_fields: int, n_rows: int) -> Tensor:
    """Return scratch for the row numbers of all lookups, (F, B).

    They and their gradients lie field by field: an optimizer then finds those of equal rows
    together, and most fields in one of its parts.
    """
    return torch.empty(n_fields, n_rows, dtype=torch.int64, device="cpu")


def lookup_gradient(rows: Tensor, values: Tensor, shape: torch.Size) -> Tensor:
    """Return the sparse gradient of a table from the gradients of its lookups.

    Parameters
    ----------
    rows : Tensor of shape (N,), int64
        Row numbers.
    values : Tensor of shape (N, D), or of another shape with as many numbers
        Gradient of every lookup.
    shape : torch.Size
        Shape (V, D) of the table.

    Returns
    -------
    Tensor of shape (V, D), sparse
        Shares the memory of both.
    """
    n_rows, dim = shape
    # As torch makes those of its own embeddings. torch.sparse_coo_tensor would do, but torch 2.11
    # warns that it does not check the row numbers, even if that is what it was told.
    return torch.ops.aten.embedding_sparse_backward(  # type: ignore[no-any-return]
        values.view(-1, dim), rows, n_rows, -1, False
    )


def split_gradient(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Split the gradient of a table into row numbers and values.

    Parameters
    ----------
    gradient : Tensor of shape (V, D)
        Sparse COO with one sparse dimension, coalesced or not; or dense, then every row counts
        as touched.

    Returns
    -------
    rows : Tensor of shape (N,)
        Row numbers, repeated as in the batch.
    values : Tensor of shape (N, D)
        What each of them adds to the gradient.

    Raises
    ------
    ValueError
        If the gradient is not that of a 2-d table.
    """
    if gradient.ndim != 2:
        raise ValueError(
            "an embedding table must have 2 dimensions (rows, embedding_dim), got a gradient with "
            f"{gradient.ndim}. Give other parameters to a dense optimizer."
        )
    if gradient.is_sparse:
        return gradient._indices()[0], gradient._values()
    rows = torch.arange(gradient.shape[0], dtype=torch.int64, device=gradient.device)
    return rows, gradient


def sum_rows(rows: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Add up the values of equal rows.

    Parameters
    ----------
    rows : Tensor of shape (N,)
        Row numbers in [0, 2**31), any integer type; a row may come several times.
    values : Tensor of shape (N, D)
        What to add up.

    Returns
    -------
    distinct_rows : Tensor of shape (R,), int64
        The row numbers that occur, in rising order.
    sums : Tensor of shape (R, D)
        Sum of the values of each of them; never shares memory with ``values``.

    Examples
    --------
    >>> import torch
    >>> from sparsectr.kernels.rows import sum_rows
    >>> sum_rows(torch.tensor([7, 2, 7]), torch.tensor([[1.0], [10.0], [3.0]]))
    (tensor([2, 7]), tensor([[10.],
            [ 4.]]))
    """
    distinct_rows, _, (sums,) = count_and_sum_rows(rows, [values])
    return distinct_rows, sums


def count_and_sum_rows(
    rows: Tensor, values: Sequence[Tensor]
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Add up the values of equal rows of several tables, and count the rows.

    Sorts the row numbers and sums each run of equal ones with one embedding bag. The order of
    the additions is that of the lookups, so the sums are the same bits in every call.

    Parameters
    ----------
    rows : Tensor of shape (N,)
        As for `sum_rows`.
    values : sequence of Tensor of shape (N, D)
        What to add up, of every table; each has a D of its own.

    Returns
    -------
    distinct_rows : Tensor of shape (R,), int64
        The row numbers that occur, in rising order.
    counts : Tensor of shape (R,), int64
        How often each of them occurs.
    sums : list of Tensor of shape (R, D)
        As those of `sum_rows`, of every table.
    """
    # 32-bit keys are sorted in half the time of 64-bit ones.
    ordered, order = torch.sort(rows.int(), stable=True)
    distinct_rows, counts = torch.unique_consecutive(ordered, return_counts=True)
    first = counts.cumsum(0) - counts
    sums = [functional.embedding_bag(order, some, first, mode="sum") for some in values]
    return distinct_rows.long(), counts, sums


def touched_rows(rows: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Do what `sum_rows` does, on a GPU without waiting for it.

    How many distinct rows there are is known on the GPU only. There, as many rows as lookups are
    returned: the distinct rows and their sums, again and again. What is computed from a row and
    written to its place is then written more than once, with the same result.

    Parameters
    ----------
    rows : Tensor of shape (N,)
    values : Tensor of shape (N, D)
        As for `sum_rows`.

    Returns
    -------
    distinct_rows : Tensor of shape (R,) or (N,), int64
    sums : Tensor of shape (R, D) or (N, D)
    """
    return sum_rows_filled(rows, values) if rows.is_cuda and len(rows) else sum_rows(rows, values)


def sum_rows_filled(rows: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Do what `touched_rows` does on a GPU, on any device; for at least one lookup.

    Of rows (N,) and values (N, D). Runs are cut every 32 lookups, and the sums of the pieces
    summed again: a GPU sums a run in one thread, and a frequent value has tens of thousands of
    lookups in a batch.
    """
    ordered, order = torch.sort(rows.int(), stable=True)
    places = torch.arange(len(rows), dtype=torch.int64, device=rows.device)
    starts = torch.ones_like(places, dtype=torch.bool)
    torch.ne(ordered[1:], ordered[:-1], out=starts[1:])
    firsts, n_pieces = _list_starts(starts | (places % LONGEST_PIECE == 0))
    pieces = functional.embedding_bag(order, values, firsts, mode="sum")
    # Behind the last piece there are empty ones, which start after the last lookup.
    of_rows = starts[firsts.clamp(max=len(rows) - 1)] & (firsts < len(rows))
    first_pieces, n_distinct = _list_starts(of_rows)
    # Each place behind the last row takes one of them, or one thread would go through them all.
    behind = (places + (n_pieces - n_distinct)).clamp(max=len(rows))
    first_pieces = torch.where(places < n_distinct, first_pieces, behind)
    sums = functional.embedding_bag(places, pieces, first_pieces, mode="sum")
    # In turn: the last one for all the rest would be one place in memory for all writers.
    distinct = places.remainder(n_distinct)
    first_lookups = firsts[first_pieces[distinct]]
    return ordered[first_lookups].long(), sums[distinct]


def _list_starts(starts: Tensor) -> tuple[Tensor, Tensor]:
    """List the places (N,) of what is true in ``starts``, filled up with N, and their number."""
    n = len(starts)
    places = torch.arange(n, dtype=torch.int64, device=starts.device)
    numbers = starts.cumsum(0)
    listed = places.new_full((2 * n,), n)
    # The places of what is not true go behind the list, each to its own.
    listed.scatter_(0, torch.where(starts, numbers - 1, n + places), places)
    return listed[:n], numbers[-1]


def decay_lookups(
    table: Tensor, rows: Tensor, values: Tensor, lookup_decay: Tensor | None, n_rows: int
) -> Tensor:
    """Add to the gradient of every lookup its share of a penalty on the rows of a table.

    Parameters
    ----------
    table : Tensor of shape (V, D)
    rows : Tensor of shape (N,)
        Row numbers of the lookups.
    values : Tensor of shape (N, D)
        Gradient of every lookup.
    lookup_decay : Tensor of shape (V,) or None
        What a lookup of a row adds to the gradient of the sum loss, times the row.
    n_rows : int
        Number of batch rows: the loss is a mean of so many.

    Returns
    -------
    Tensor of shape (N, D)
    """
    if lookup_decay is None:
        return values
    shares = (lookup_decay.index_select(0, rows) / n_rows).to(table.dtype)
    return values + shares.unsqueeze(1) * table.index_select(0, rows)


def _adam_tensors(tables: Sequence[AdamTable], *_: object, **__: object) -> Iterator[Tensor]:
    return (tensor for table in tables for tensor in (*table[:3], table.values))


@fused(cpu="optimizers.rows", gpu="rows", numbers=_adam_tensors)
def adam_rows_(
    tables: Sequence[AdamTable],
    rows: Tensor,
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    n_rows: int = 1,
) -> None:
    """Take one Adam step on the rows of a batch and leave all other rows alone.

    Parameters
    ----------
    tables : sequence of AdamTable
        Tables that look the same rows up, changed in place.
    rows : Tensor of shape (N,)
        Row numbers of the lookups.
    lr, betas, eps, weight_decay : float or pair of float
        As in `sparsectr.training.optimizers.RowAdam`.
    n_rows : int, default=1
        As in `decay_lookups`.
    """
    for table in tables:
        _adam_rows_(table, rows, lr, betas, eps, weight_decay, n_rows)


def _adam_rows_(
    table: AdamTable,
    rows: Tensor,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    n_rows: int,
) -> None:
    values = decay_lookups(table.weights, rows, table.values, table.lookup_decay, n_rows)
    rows, gradient = touched_rows(rows, values)
    weights = table.weights.index_select(0, rows)
    gradient.add_(weights, alpha=weight_decay)
    mean = table.exp_avg.index_select(0, rows).lerp_(gradient, 1 - betas[0])
    square = table.exp_avg_sq.index_select(0, rows)
    square.mul_(betas[1]).addcmul_(gradient, gradient, value=1 - betas[1])
    count = table.step.index_select(0, rows).add_(1)
    table.exp_avg.index_copy_(0, rows, mean)
    table.exp_avg_sq.index_copy_(0, rows, square)
    table.step.index_copy_(0, rows, count)
    # (R, 1): 1 - beta**count of every row; expm1 keeps the digits of 1 - 0.999 in float32.
    exponent = count.to(weights.dtype).unsqueeze(1)
    mean_weight = torch.expm1(exponent * math.log(betas[0])).neg_()
    square_weight = torch.expm1(exponent * math.log(betas[1])).neg_()
    scale = square.sqrt_().div_(square_weight.sqrt_()).add_(eps)
    weights.addcdiv_(mean.div_(mean_weight), scale, value=-lr)
    table.weights.index_copy_(0, rows, weights)


def _adagrad_tensors(tables: Sequence[AdagradTable], *_: object, **__: object) -> Iterator[Tensor]:
    return (tensor for table in tables for tensor in table[:3])


@fused(cpu="optimizers.rows", gpu="rows", numbers=_adagrad_tensors)
def adagrad_rows_(
    tables: Sequence[AdagradTable],
    rows: Tensor,
    *,
    lr: float,
    eps: float,
    weight_decay: float,
    n_rows: int = 1,
) -> None:
    """Take one step of row-wise Adagrad on the rows of a batch and leave all other rows alone.

    Parameters
    ----------
    tables : sequence of AdagradTable
        Tables that look the same rows up, changed in place.
    rows : Tensor of shape (N,)
        Row numbers of the lookups.
    lr, eps, weight_decay : float
        As in `sparsectr.training.optimizers.RowAdagrad`.
    n_rows : int, default=1
        As in `decay_lookups`.
    """
    for table in tables:
        values = decay_lookups(table.weights, rows, table.values, table.lookup_decay, n_rows)
        distinct, gradient = touched_rows(rows, values)
        weights = table.weights.index_select(0, distinct)
        gradient.add_(weights, alpha=weight_decay)
        square_sum = table.square_sum.index_select(0, distinct)
        square_sum.add_(gradient.square().mean(1))
        table.square_sum.index_copy_(0, distinct, square_sum)
        scale = square_sum.sqrt_().add_(eps).unsqueeze(1)
        table.weights.index_copy_(0, distinct, weights.addcdiv_(gradient, scale, value=-lr))
