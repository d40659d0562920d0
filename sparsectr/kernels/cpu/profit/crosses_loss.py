"""The log loss of a net of kept crosses, and its gradients, in one pass from codes on."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from sparsectr.kernels.arrays import as_array
from sparsectr.kernels.cpu.machine.blocks import (
    clear,
    count_product_columns,
    count_product_rows,
    empty_block,
    look_up,
    prefetch_both,
    store_lookups,
    store_rows,
    store_slopes,
    sum_linear,
)
from sparsectr.kernels.cpu.machine.jit import compiled
from sparsectr.kernels.cpu.machine.losses import LOSSES, weighted_loss
from sparsectr.kernels.cpu.machine.segments import empty_aligned, fill_segment, sum_segment
from sparsectr.kernels.cpu.profit.crosses import (
    PART_ROWS,
    make_left,
    products_backward,
    start_of_weights,
    sum_products,
    total_of_weights,
)
from sparsectr.kernels.memory import empty
from sparsectr.kernels.nets import Batch, KeptCrossesNet
from sparsectr.kernels.one_pass import one_pass_loss
from sparsectr.kernels.rows import empty_rows, lookup_gradient
from sparsectr.kernels.threads import run_parts


def crosses_loss(net: KeptCrossesNet, batch: Batch) -> Tensor:
    """Compute the mean loss of a batch and all gradients in one pass.

    The logit of a row is its linear term and the sum of `sum_crosses` over the coordinates.

    Parameters
    ----------
    net : KeptCrossesNet
        With one logit.
    batch : Batch
        B rows.

    Returns
    -------
    Tensor of shape ()
    """
    kind = LOSSES.get(batch.loss.name)
    if kind is None:
        return NotImplemented
    codes, targets, row_weights = batch.codes, batch.targets, batch.weights
    offsets, table = net.embedding.offsets, net.embedding.weight
    linear, bias = net.linear.table.weight, net.linear.bias
    weights, (fields, starts) = net.cross_weights, net.crosses.listed
    n_parts, (n_rows, n_fields), dim = -(-len(codes) // PART_ROWS), codes.shape, table.shape[1]
    losses, of_bias = np.zeros((2, n_parts))
    rows = empty_rows(n_fields, n_rows)
    of_lookups, of_linear = empty(n_fields, n_rows, dim), empty(n_fields, n_rows)
    of_weights = start_of_weights(n_parts, weights)
    run_parts(
        _loss_part,
        n_parts,
        kind,
        *(as_array(t) for t in (codes, targets, row_weights, offsets, table)),
        as_array(linear).ravel(),
        *(as_array(t) for t in (weights, fields, starts, bias)),
        losses,
        of_bias,
        rows.numpy(),
        of_lookups.numpy(),
        of_linear.numpy(),
        of_weights,
    )
    gradients = [
        lookup_gradient(rows, of_lookups, table.shape),
        lookup_gradient(rows, of_linear, linear.shape),
        total_of_weights(of_weights) if weights.requires_grad else None,
        bias.new_tensor([of_bias.sum()]),
    ]
    return one_pass_loss(losses.sum(), (table, linear, weights, bias), gradients)


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
    weights: Any,
    fields: Any,
    starts: Any,
    bias: Any,
    losses: Any,
    of_bias: Any,
    rows: Any,
    of_lookups: Any,
    of_linear: Any,
    of_weights: Any,
) -> None:
    """Compute the loss of the rows of one part, and all gradients."""
    n_fields, dim, n_block_rows = codes.shape[1], table.shape[1], count_product_rows(table.shape[1])
    slopes = np.empty(n_block_rows, np.float32)
    n_columns, left = count_product_columns(n_block_rows, dim), make_left(starts)
    x, of_x = empty_block(n_fields, n_columns), empty_block(n_fields, n_columns)
    total, direction = empty_aligned(n_columns), empty_aligned(n_columns)
    fill_segment(direction, 0, np.float32(0), n_columns)
    stop = min(len(codes), (part + 1) * PART_ROWS)
    for first in range(part * PART_ROWS, stop, n_block_rows):
        n = min(stop - first, n_block_rows)
        coming = codes[first + n : first + n + n_block_rows]
        prefetch_both(coming, offsets, table, linear, 1)
        look_up(codes[first : first + n], offsets, table, dim, x)
        sum_products(x, weights, fields, starts, total)
        for r in range(n):
            logit = bias[0] + sum_segment(total, r * dim, dim)
            logit += sum_linear(codes[first + r], offsets, linear)
            target, weight = targets[first + r], row_weights[first + r]
            loss, slope = weighted_loss(kind, logit, target, weight, len(codes))
            losses[part] += loss
            of_bias[part] += slope
            fill_segment(direction, r * dim, slope, dim)
            slopes[r] = slope
        # Columns of rows that are missing in the last block keep a direction, of zeros in x.
        clear(of_x)
        products_backward(x, weights, fields, starts, direction, left, of_x, of_weights[part])
        store_rows(codes[first : first + n], offsets, first, rows)
        store_slopes(slopes, first, n, of_linear)
        store_lookups(of_x, dim, first, n, of_lookups)
