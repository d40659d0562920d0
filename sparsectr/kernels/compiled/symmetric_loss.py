"""The logits of a search for crosses, its log loss and gradients, in one pass from codes on."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor
from torch.autograd.function import FunctionCtx

from sparsectr.kernels.compiled import vectors
from sparsectr.kernels.compiled.arrays import as_array
from sparsectr.kernels.compiled.blocks import clear
from sparsectr.kernels.compiled.jit import compiled, inlined, prefetch_to_read
from sparsectr.kernels.compiled.losses import (
    OnePassLoss,
    lookup_gradient,
    lookup_rows,
    weighted_log_loss,
)
from sparsectr.kernels.compiled.pieces import copy_piece, sum_piece
from sparsectr.kernels.compiled.symmetric import (
    PART_ROWS,
    add_polynomials,
    add_to_betas,
    add_to_x,
    as_type,
    join_betas,
    lowest_wanted,
    split_of_betas,
    start_of_betas,
)
from sparsectr.kernels.memory import empty
from sparsectr.kernels.threads import run_parts


def symmetric_logits(
    codes: Tensor,
    offsets: Tensor,
    tables: tuple[Tensor, Tensor],
    bias: Tensor,
    betas: list[Tensor],
) -> Any:
    """Compute the logits that `symmetric_loss` is the loss of, (B, 1), float32."""
    logits = np.empty((len(codes), 1), np.float32)
    run_parts(
        _logits_part,
        -(-len(codes) // PART_ROWS),
        as_array(codes),
        as_array(offsets),
        as_array(tables[0]),
        as_array(tables[1]).ravel(),
        as_array(bias),
        join_betas(betas),
        as_type(len(betas)),
        logits,
    )
    return logits


def symmetric_loss(
    codes: Tensor,
    targets: Tensor,
    row_weights: Tensor,
    offsets: Tensor,
    tables: tuple[Tensor, Tensor],
    bias: Tensor,
    betas: list[Tensor],
    *,
    of_betas: bool,
) -> Tensor:
    """Compute the mean log loss of a batch, and gradients, in one pass from codes to gradients.

    The logit of a row is its linear term and the sum of `symmetric_sums` over the coordinates.

    Parameters
    ----------
    codes : Tensor of shape (B, F)
    targets, row_weights : Tensor of shape (B,)
        0 or 1; weight in the sum of the losses, which is divided by B.
    offsets : Tensor of shape (F,)
        First row of every field.
    tables : pair of tensors of shapes (V, D) and (V, 1)
        Embeddings and linear term; their gradients are sparse.
    bias : Tensor of shape (1,)
    betas : list of tensors of shape (R, F)
        One per order, from 1 on.
    of_betas : bool
        Whether the gradient is that of the betas that require one, or that of everything else.

    Returns
    -------
    Tensor of shape ()
    """
    return _SymmetricLoss.apply(  # type: ignore[no-any-return,no-untyped-call]
        codes, targets, row_weights, offsets, of_betas, *tables, bias, *betas
    )


class _SymmetricLoss(OnePassLoss):
    @staticmethod
    def forward(
        ctx: FunctionCtx,
        codes: Tensor,
        targets: Tensor,
        row_weights: Tensor,
        offsets: Tensor,
        of_betas: bool,
        table: Tensor,
        linear: Tensor,
        bias: Tensor,
        *betas: Tensor,
    ) -> Tensor:
        n_parts = -(-len(codes) // PART_ROWS)
        losses, of_bias = np.zeros((2, n_parts))
        for_betas = [of_betas and beta.requires_grad for beta in betas]
        n_lookups = 0 if of_betas else codes.numel()
        of_lookups, of_linear = empty(n_lookups, table.shape[1]), empty(n_lookups, 1)
        of_architecture = start_of_betas(n_parts, betas, for_betas)
        run_parts(
            _loss_part,
            n_parts,
            *(as_array(t) for t in (codes, targets, row_weights, offsets, table)),
            as_array(linear).ravel(),
            as_array(bias),
            join_betas(betas),
            as_type(len(betas)),
            as_type(lowest_wanted(for_betas)),
            losses,
            of_bias,
            of_lookups.numpy().ravel(),
            of_linear.numpy().ravel(),
            of_architecture,
        )
        of_tables: tuple[Tensor | None, ...] = (None, None, None)
        if not of_betas:
            rows = lookup_rows(codes, offsets)
            of_tables = (
                lookup_gradient(rows, of_lookups, table.shape),
                lookup_gradient(rows, of_linear, linear.shape),
                bias.new_tensor([of_bias.sum()]),
            )
        ctx.gradients = (  # type: ignore[attr-defined]
            *(None,) * 5,
            *of_tables,
            *split_of_betas(of_architecture, betas, for_betas),
        )
        return targets.new_tensor(losses.sum())


@inlined
def take_row(codes: Any, b: int, stop: int, offsets: Any, table: Any, linear: Any, x: Any) -> Any:
    """Copy the embeddings of row b to x; return the sum of its linear terms.

    The row after it, if it comes before ``stop``, is asked for.
    """
    n_fields, dim = codes.shape[1], table.shape[1]
    flat, rows, total = x.ravel(), table.ravel(), np.float32(0)
    if b + 1 < stop:
        for f in range(n_fields):
            coming = codes[b + 1, f] + offsets[f]
            prefetch_to_read(rows, coming * dim)
            prefetch_to_read(linear, coming)
    for f in range(n_fields):
        row = codes[b, f] + offsets[f]
        total += linear[row]
        copy_piece(rows, row * dim, flat, f * x.shape[1], dim)
    return total


@compiled
def _logits_part(
    part: int,
    codes: Any,
    offsets: Any,
    table: Any,
    linear: Any,
    bias: Any,
    betas: Any,
    orders: Any,
    logits: Any,
) -> None:
    """Compute the logits of the rows of one part."""
    n_fields, rank = codes.shape[1], len(betas) // len(orders)
    # Filled up with zeros to whole vectors.
    x = np.zeros((n_fields, -(-table.shape[1] // vectors.WIDTH) * vectors.WIDTH), np.float32)
    sums = np.empty((1, x.shape[1]), np.float32)
    kept = np.empty((rank * len(orders) ** 2, vectors.WIDTH), np.float32)
    stop = min(len(codes), (part + 1) * PART_ROWS)
    for b in range(part * PART_ROWS, stop):
        logit = bias[0] + take_row(codes, b, stop, offsets, table, linear, x)
        clear(sums)
        for column in range(0, x.shape[1], vectors.WIDTH):
            for r in range(rank):
                add_polynomials(betas, x, sums, kept, orders, (r, rank, 0, column))
        logits[b, 0] = logit + sum_piece(sums.ravel(), 0, x.shape[1])


@compiled
def _loss_part(
    part: int,
    codes: Any,
    targets: Any,
    row_weights: Any,
    offsets: Any,
    table: Any,
    linear: Any,
    bias: Any,
    betas: Any,
    orders: Any,
    lowest: Any,
    losses: Any,
    of_bias: Any,
    of_lookups: Any,
    of_linear: Any,
    of_betas: Any,
) -> None:
    """Compute the loss of the rows of one part, and the gradients that are wanted."""
    n_fields, dim = codes.shape[1], table.shape[1]
    rank = len(betas) // len(orders)
    # Filled up with zeros to whole vectors.
    x = np.zeros((n_fields, -(-dim // vectors.WIDTH) * vectors.WIDTH), np.float32)
    of_x, sums = np.empty(x.shape, np.float32), np.empty((1, x.shape[1]), np.float32)
    direction = np.empty(sums.shape, np.float32)
    lower = np.empty(
        (x.shape[1] // vectors.WIDTH, rank * len(orders) ** 2, vectors.WIDTH), np.float32
    )
    of_flat = of_x.ravel()
    stop = min(len(codes), (part + 1) * PART_ROWS)
    for b in range(part * PART_ROWS, stop):
        logit = bias[0] + take_row(codes, b, stop, offsets, table, linear, x)
        clear(sums)
        for column in range(0, x.shape[1], vectors.WIDTH):
            for r in range(rank):
                kept = lower[column // vectors.WIDTH]
                add_polynomials(betas, x, sums, kept, orders, (r, rank, 0, column))
        logit += sum_piece(sums.ravel(), 0, x.shape[1])
        loss, slope = weighted_log_loss(logit, targets[b], row_weights[b], len(codes))
        losses[part] += loss
        for d in range(x.shape[1]):
            direction[0, d] = slope
        if len(of_lookups) > 0:
            of_bias[part] += slope
            clear(of_x)
        for column in range(0, x.shape[1], vectors.WIDTH):
            for r in range(rank):
                kept = lower[column // vectors.WIDTH]
                if len(of_lookups) > 0:
                    add_to_x(betas, x, direction, kept, of_x, orders, (r, rank, 0, column))
                if len(of_betas) > 0:
                    result = of_betas[part]
                    add_to_betas(
                        betas, x, direction, kept, result, (orders, lowest), (r, rank, 0, column)
                    )
        if len(of_lookups) > 0:
            for f in range(n_fields):
                of_linear[b * n_fields + f] = slope
                copy_piece(of_flat, f * x.shape[1], of_lookups, (b * n_fields + f) * dim, dim)
