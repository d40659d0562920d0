"""The logits of a search for crosses, its log loss and gradients, in one pass from codes on."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from sparsectr.kernels.arrays import as_array
from sparsectr.kernels.cpu.machine.blocks import (
    count_product_columns,
    count_product_rows,
    look_up,
    prefetch_both,
    store_lookups,
    store_rows,
    store_slopes,
    sum_linear,
)
from sparsectr.kernels.cpu.machine.jit import compiled
from sparsectr.kernels.cpu.machine.losses import LOSSES, weighted_loss
from sparsectr.kernels.cpu.machine.segments import (
    empty_aligned,
    fill_segment,
    sum_segment,
    zeros_aligned,
)
from sparsectr.kernels.cpu.profit.symmetric import (
    PART_ROWS,
    descend_to_betas,
    descend_to_x,
    direct,
    empty_outer,
    empty_scratch,
    finish_betas,
    join_betas,
    lowest_wanted,
    make_factors,
    split_of_betas,
    start_of_betas,
    sum_polynomials,
)
from sparsectr.kernels.memory import empty
from sparsectr.kernels.nets import AllCrossesNet, Batch
from sparsectr.kernels.one_pass import one_pass_loss
from sparsectr.kernels.rows import empty_rows, lookup_gradient
from sparsectr.kernels.threads import run_parts


def symmetric_logits(net: AllCrossesNet, codes: Tensor) -> Any:
    """Return the logits of codes.

    Parameters
    ----------
    net : AllCrossesNet
        With one logit.
    codes : Tensor of shape (B, F)

    Returns
    -------
    ndarray of shape (B, 1), float32
    """
    offsets, bias, betas = net.embedding.offsets, net.linear.bias, net.betas()
    tables = net.embedding.weight, net.linear.table.weight
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
        logits,
    )
    return logits


def symmetric_loss(net: AllCrossesNet, batch: Batch, *, of_space: bool) -> Tensor:
    """Compute the mean loss of a batch and gradients in one pass.

    Parameters
    ----------
    net : AllCrossesNet
        With one logit.
    batch : Batch
        B rows.
    of_space : bool
        Whether the gradient is that of the betas, or that of everything else.

    Returns
    -------
    Tensor of shape ()
    """
    kind = LOSSES.get(batch.loss.name)
    if kind is None:
        return NotImplemented
    codes, targets, row_weights = batch.codes, batch.targets, batch.weights
    offsets, table = net.embedding.offsets, net.embedding.weight
    linear, bias, betas = net.linear.table.weight, net.linear.bias, net.betas()
    n_parts = -(-len(codes) // PART_ROWS)
    losses, of_bias = np.zeros((2, n_parts))
    for_betas = [of_space and beta.requires_grad for beta in betas]
    n_fields, n_rows = codes.shape[1], 0 if of_space else len(codes)
    rows, of_lookups = empty_rows(n_fields, n_rows), empty(n_fields, n_rows, table.shape[1])
    of_linear = empty(n_fields, n_rows)
    of_architecture = start_of_betas(n_parts, betas, for_betas)
    run_parts(
        _loss_part,
        n_parts,
        kind,
        *(as_array(t) for t in (codes, targets, row_weights, offsets, table)),
        as_array(linear).ravel(),
        as_array(bias),
        join_betas(betas),
        lowest_wanted(for_betas),
        losses,
        of_bias,
        rows.numpy(),
        of_lookups.numpy(),
        of_linear.numpy(),
        of_architecture,
    )
    of_others: list[Tensor | None] = [None, None, None]
    if not of_space:
        of_others = [
            lookup_gradient(rows, of_lookups, table.shape),
            lookup_gradient(rows, of_linear, linear.shape),
            bias.new_tensor([of_bias.sum()]),
        ]
    gradients = [*of_others, *split_of_betas(of_architecture, for_betas)]
    return one_pass_loss(losses.sum(), (table, linear, bias, *betas), gradients)


@compiled
def _logits_part(
    part: int,
    codes: Any,
    offsets: Any,
    table: Any,
    linear: Any,
    bias: Any,
    betas: Any,
    logits: Any,
) -> None:
    """Compute the logits of the rows of one part."""
    dim, n_block_rows = table.shape[1], count_product_rows(table.shape[1])
    factors = make_factors(betas)
    scratch = empty_scratch(factors, count_product_columns(n_block_rows, dim))
    x, _, total = scratch
    stop = min(len(codes), (part + 1) * PART_ROWS)
    for first in range(part * PART_ROWS, stop, n_block_rows):
        last = min(stop, first + n_block_rows)
        prefetch_both(codes[last : last + n_block_rows], offsets, table, linear, 1)
        look_up(codes[first:last], offsets, table, dim, x[0])
        sum_polynomials(factors, scratch)
        for b in range(first, last):
            of_fields = sum_segment(total, (b - first) * dim, dim)
            logits[b, 0] = bias[0] + of_fields + sum_linear(codes[b], offsets, linear)


@compiled
def _loss_part(
    part: int,
    kind: int,
    codes: Any,
    targets: Any,
    row_weights: Any,
    offsets: Any,
    table: Any,
    linear: Any,
    bias: Any,
    betas: Any,
    lowest: Any,
    losses: Any,
    of_bias: Any,
    rows: Any,
    of_lookups: Any,
    of_linear: Any,
    of_betas: Any,
) -> None:
    """Compute the loss of the rows of one part, and the gradients that are wanted."""
    dim, n_block_rows = table.shape[1], count_product_rows(table.shape[1])
    n_columns, factors = count_product_columns(n_block_rows, dim), make_factors(betas)
    scratch, outer = empty_scratch(factors, n_columns), empty_outer(factors, len(of_betas) > 0)
    x, _, total = scratch
    direction, of_x = empty_aligned(n_columns), zeros_aligned(x.shape[1:])
    slopes = np.empty(n_block_rows, np.float32)
    stop = min(len(codes), (part + 1) * PART_ROWS)
    for first in range(part * PART_ROWS, stop, n_block_rows):
        last = min(stop, first + n_block_rows)
        prefetch_both(codes[last : last + n_block_rows], offsets, table, linear, 1)
        look_up(codes[first:last], offsets, table, dim, x[0])
        sum_polynomials(factors, scratch)
        # Of missing rows nothing is wanted.
        fill_segment(direction, 0, np.float32(0), n_columns)
        for b in range(first, last):
            logit = bias[0] + sum_segment(total, (b - first) * dim, dim)
            logit += sum_linear(codes[b], offsets, linear)
            loss, slope = weighted_loss(kind, logit, targets[b], row_weights[b], len(codes))
            losses[part] += loss
            fill_segment(direction, (b - first) * dim, slope, dim)
            of_bias[part] += slope
            slopes[b - first] = slope
        direct(factors, direction, scratch)
        if of_linear.size > 0:
            store_rows(codes[first:last], offsets, first, rows)
            store_slopes(slopes, first, last - first, of_linear)
            descend_to_x(factors, direction, scratch, of_x)
            store_lookups(of_x, dim, first, last - first, of_lookups)
        if len(of_betas) > 0:
            descend_to_betas(factors, direction, lowest, scratch, outer)
    if len(of_betas) > 0:
        finish_betas(factors, lowest, outer, of_betas[part])
